"""Lesson 09: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "What meta-RL is used for", 50, 2
