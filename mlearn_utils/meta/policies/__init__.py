"""Meta-learning for policies: the agent, how it adapts, its baselines and its tasks."""
