"""Exercises, checks, reports and the progress log: everything that needs no page."""
