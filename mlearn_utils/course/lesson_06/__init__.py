"""Lesson 06: meta-RL on CartPole."""
