"""Lesson 08: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "Agents with a memory", 50, 2
