"""The goal of the exercise `sample_tasks` of lesson 06."""


class Goal:
    """Where to drive: a direction (+-1) and a speed (m/s)."""

    def __init__(self, direction: float = 1.0, speed: float = 0.75):
        self.direction, self.speed = direction, speed
        self.target = direction * speed  # the hidden velocity that is paid
