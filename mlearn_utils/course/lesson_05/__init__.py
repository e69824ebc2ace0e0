"""Lesson 05: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "MAML in practice: few-shot regression", 50, 1
