"""Learning one task: dynamic programming, Q-learning, policy gradients."""
