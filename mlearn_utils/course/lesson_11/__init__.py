"""Lesson 11: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "Questions, tools, trends", 50, 1
