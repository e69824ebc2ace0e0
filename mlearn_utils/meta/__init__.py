"""Learning to learn: the MAML core and the learners built on it."""
