"""Learning a learner's settings: the model of returns, its space, and what chooses the next setting."""
