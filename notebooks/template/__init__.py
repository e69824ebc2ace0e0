"""Lesson NN: its title, the minutes of a session, and how many sessions there are."""

TITLE, MINUTES, SESSIONS = "LESSON_TITLE", 50, 1
