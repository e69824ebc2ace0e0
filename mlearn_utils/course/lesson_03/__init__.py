"""Lesson 03: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "Policy gradients", 50, 1
