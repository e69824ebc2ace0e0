"""Lesson 10: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "Scaling up", 50, 2
