"""Lesson 04: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "MAML: objective and update rule", 50, 1
