"""The shared style of the figures, intervals, animations."""
