"""Lesson 07: learning the learner's hyperparameters."""
