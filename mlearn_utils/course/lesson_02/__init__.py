"""Lesson 02: Q-learning."""
