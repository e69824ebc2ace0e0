"""Lesson 01: reinforcement-learning basics."""
