"""`expect_close` names the kind of slip: None, kind, shape, integers, NaN, and only then the idea."""

import math

import numpy as np
import pytest
import torch

from mlearn_utils.course.grading.compare import describe, expect, expect_close
from mlearn_utils.course.grading.exercise import NotYet

VECTOR = torch.tensor([1.0, 2.0, 3.0])
MATRIX = torch.arange(6.0).reshape(3, 2)


def message(actual, expected, tol=1e-6) -> str:
    with pytest.raises(NotYet) as caught:
        expect_close(actual, expected, "WRONG IDEA", tol=tol)
    return str(caught.value)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (VECTOR + 1e-8, VECTOR),
        (VECTOR.double(), VECTOR),
        (VECTOR.clone().requires_grad_(), VECTOR),
        (torch.tensor(2.0), 2.0),
        (2, 2.0),
        (np.float64(2.0), torch.tensor(2.0)),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
        (math.inf, math.inf),
        (torch.tensor([1, 2]), torch.tensor([1, 2])),
        (torch.tensor([1, 2, 3]), VECTOR),
        (True, True),
        ({"w": VECTOR, "b": 0.0}, {"b": 0.0, "w": VECTOR}),
        ((VECTOR, [1.0, 2.0]), (VECTOR, [1.0, 2.0])),
        (torch.zeros(0), torch.zeros(0)),
        (torch.ones(2, dtype=torch.bfloat16), torch.ones(2)),
    ],
)
def test_equal_values_pass(actual, expected):
    expect_close(actual, expected, "WRONG IDEA", tol=1e-6)


@pytest.mark.parametrize(
    ("actual", "expected", "fragment"),
    [
        (None, VECTOR, "is None, expected a tensor of shape [3] (float32): is a `return` missing?"),
        (..., 1.0, "still a placeholder"),
        ("text", 1.0, "should be one number, got a text"),
        (math.sin, 1.0, "got a function: did you call"),
        ([1.0, 2.0, 3.0], VECTOR, "should be a tensor of shape [3] (float32), got a list of 3 values"),
        (VECTOR.numpy(), VECTOR, "convert it with `torch.as_tensor(...)`"),
        (VECTOR, VECTOR.numpy(), "convert it with `numpy.asarray(...)`"),
        (torch.tensor([1, 2, 3]), VECTOR + 0.5, "whole numbers cut off the fraction"),
        (VECTOR.to(torch.complex64), VECTOR, "complex"),
        (VECTOR.sum(), VECTOR, "summed or averaged over an axis that should stay?"),
        (VECTOR, 2.0, "a sum or a mean is missing?"),
        (VECTOR[:, None], VECTOR, "an axis of length 1 too many or missing?"),
        (MATRIX.T, MATRIX, "transposed?"),
        (MATRIX[0], MATRIX, "over an axis that should stay?"),
        (torch.tensor([1.0, math.nan, 3.0]), VECTOR, "is NaN at [1]: a division by zero"),
        (math.nan, 1.0, "is NaN: a division by zero"),
        (VECTOR, torch.tensor([1.0, math.nan, 3.0]), "should be NaN at [1]"),
        (math.inf, 1.0, "WRONG IDEA (The result: yours inf, expected 1)"),
        (1.5, 1.0, "WRONG IDEA (The result: yours 1.5, expected 1)"),
        (VECTOR + torch.tensor([0.0, 0.5, 0.1]), VECTOR, "largest difference at [1], yours 2.5, expected 2"),
        (False, True, "WRONG IDEA"),
        (np.array([200], dtype=np.uint8), np.array([100], dtype=np.uint8), "yours 200, expected 100"),
        (VECTOR, {"w": VECTOR}, "should be a dict with the keys ['w'], got a tensor"),
        ({"w": VECTOR, "c": 1}, {"w": VECTOR, "b": 1.0}, "lacks ['b'] and should not have ['c']"),
        ({"w": VECTOR, "c": 1}, {"w": VECTOR}, "The result should not have ['c']"),
        ({"w": None}, {"w": VECTOR}, "The result['w'] is None"),
        ({"w": 2 * VECTOR}, {"w": VECTOR}, "The result['w']: largest difference at [0]"),
        (VECTOR, (VECTOR, VECTOR), "should be a tuple of 2 values, got a tensor"),
        ((VECTOR,), (VECTOR, VECTOR), "should hold 2 values, got 1"),
        ((VECTOR, None), (VECTOR, VECTOR), "The result[1] is None"),
    ],
)
def test_the_message_names_the_slip(actual, expected, fragment):
    assert fragment in message(actual, expected)


def test_the_tolerance_is_absolute_below_one_and_relative_above():
    expect_close(1e-4, 0.0, "no", tol=1e-3)
    expect_close(1000.5, 1000.0, "no", tol=1e-3)
    message(2e-3, 0.0, tol=1e-3)
    message(1002.0, 1000.0, tol=1e-3)


def test_a_checker_that_expects_text_is_our_mistake():
    with pytest.raises(TypeError, match="expected must hold numbers"):
        expect_close("a", "a", "no")


def test_descriptions_have_no_address():
    assert describe(object()) == "an object of type object"
    assert describe({"w": 1}) == "a dict with the keys ['w']"
    assert describe(np.zeros((2, 3))) == "an array of shape [2, 3] (float64)"


def test_expect_takes_a_tensor_as_condition():
    expect(torch.tensor(True), "fine")
    with pytest.raises(NotYet, match="no such thing"):
        expect(torch.tensor(False), "no such thing")
