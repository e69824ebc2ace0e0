"""Lesson 02: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "Q-learning", 50, 1
