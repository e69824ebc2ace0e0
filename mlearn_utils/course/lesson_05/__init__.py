"""Lesson 05: few-shot regression."""
