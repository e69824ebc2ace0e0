"""Distributions over problems: what there is to learn."""
