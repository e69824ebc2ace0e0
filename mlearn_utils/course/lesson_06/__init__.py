"""Lesson 06: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "Meta-RL on CartPole", 50, 2
