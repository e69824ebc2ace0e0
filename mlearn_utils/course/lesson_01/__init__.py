"""Lesson 01: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "Reinforcement-learning basics", 50, 1
