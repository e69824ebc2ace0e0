"""Lesson 04: MAML, objective and update rule."""
