"""Lesson 03: policy gradients."""
