"""Lesson 10's sums on paper: what it takes to add up gradients over many ranks, and Amdahl's law.

A message of m bytes takes delay + m / bandwidth seconds, whoever sends it (Thakur et al. 2005, section 3).

References: Patarasu & Yuan 2009, "Bandwidth Optimal All-reduce Algorithms for Clusters of Workstations";
Thakur, Rabenseifner & Gropp 2005, "Optimization of Collective Communication Operations in MPICH";
Amdahl 1967; Gustafson 1988.
"""

import math

BYTES = 4
"""Of a number in float32."""


def bytes_sent(n_ranks: int, parameters: int) -> float:
    """Return how many bytes each rank sends in a ring: 2 (N - 1) / N times the gradient's."""
    return 2 * (n_ranks - 1) / n_ranks * BYTES * parameters


def ring_seconds(n_ranks: int, parameters: int, bandwidth: float, delay: float) -> float:
    """Return the time of an all-reduce in a ring: 2 (N - 1) messages, one after the other, each of 1/N.

    Args:
        n_ranks: N.
        parameters: numbers in the gradient.
        bandwidth: bytes a second.
        delay: seconds a message, however short.
    """
    return 2 * (n_ranks - 1) * delay + bytes_sent(n_ranks, parameters) / bandwidth


def tree_seconds(n_ranks: int, parameters: int, bandwidth: float, delay: float) -> float:
    """Return the time of an all-reduce up a tree and down again: 2 log2 N messages of all of it."""
    levels = math.ceil(math.log2(n_ranks))
    return 2 * levels * (delay + BYTES * parameters / bandwidth)


def amdahl(serial: float, workers: float) -> float:
    """Return the speed-up of a fixed problem, whose share `serial` of the time cannot be shared."""
    return 1 / (serial + (1 - serial) / workers)


def gustafson(serial: float, workers: float) -> float:
    """Return how many times as much is done in the same time, if the shared part grows with the workers."""
    return serial + (1 - serial) * workers
