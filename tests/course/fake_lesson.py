"""A made-up lesson: doubling and a mean with a planted bug."""

import torch

from mlearn_utils.course.grading.compare import expect, expect_close
from mlearn_utils.course.grading.exercise import Exercise


def double(x):
    """Return twice x."""
    y = x
    ### BEGIN SOLUTION
    y = 2 * y
    ### END SOLUTION
    return y


def check_double(answer):
    x = torch.tensor([1.0, -2.0])
    expect_close(answer(x), 2 * x, "squared instead of doubled?", tol=1e-6)
    return "Checked on two numbers"


def mean(values, *, start):
    """Return start plus the mean of values."""
    total = start
    ### BEGIN SOLUTION
    for value in values:
        total = total + value / len(values)
    ### END SOLUTION
    #| for value in values:
    #|     total = total + value  # forgets to divide
    return total


def check_mean(answer):
    expect(answer([2.0, 4.0], start=1.0) != 7.0, "the sum is not divided by how many there are")
    expect_close(answer([2.0, 4.0], start=1.0), 4.0, "not the mean", tol=1e-9)


def broken(x):
    """Its checker is wrong, not the student."""
    ### BEGIN SOLUTION
    return x
    ### END SOLUTION


def check_broken(answer):
    answer(1)
    raise KeyError("a mistake of ours")


def check_that_raises(x):
    """In this file, so an exception in it is the course's."""
    raise ValueError("double trouble")


def triple(x):
    """Return three times x."""
    ### BEGIN SOLUTION
    return 3 * x
    ### END SOLUTION


def check_triple(answer):
    expect_close(answer(x=1.0), 3.0, "not three times x")


HINTS = ("Think of addition.", "Or multiply by 2.")
EXERCISES = (
    Exercise(
        reference=double, check=check_double, title="Twice", level="core", minutes=2, points=1, hints=HINTS
    ),
    Exercise(
        reference=mean,
        check=check_mean,
        title="Find the bug in the mean",
        level="explore",
        minutes=5,
        points=3,
        hints=HINTS,
        planted=True,
    ),
    Exercise(
        reference=broken,
        check=check_broken,
        title="Broken",
        level="research",
        minutes=1,
        points=1,
        hints=HINTS,
    ),
)
EXERCISES_BY_NAME = (
    Exercise(
        reference=triple, check=check_triple, title="Thrice", level="core", minutes=1, points=1, hints=HINTS
    ),
)
