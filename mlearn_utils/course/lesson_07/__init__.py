"""Lesson 07: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "Learning the learner's hyperparameters", 50, 1
