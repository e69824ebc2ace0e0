"""Lesson 00: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "Start here", 15, 1
