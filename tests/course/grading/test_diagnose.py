"""What is said of an answer that no mistake explains is a fact about it."""

import numpy as np
import pytest

from mlearn_utils.course.grading.diagnose import diagnose


def reference(x, w, gamma):
    return gamma * x + w.sum()


def probes():
    return [
        (np.array([1.0, 2.0]), np.array([0.5, 2.0, 1.0]), 0.5),
        (np.array([3.0, -1.0]), np.array([1.5, -1.0, 2.0]), 0.8),
        (np.array([1.0, 4.0, 2.0]), np.array([0.5, 3.0]), 0.25),
    ]


def said(answer, **options):
    return diagnose(lambda f, probe: f(*probe), answer, reference, probes, tol=1e-5, **options)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda x, w, gamma: x, "This is the argument `x`, as it was given"),
        (lambda x, w, gamma: 0.5 * x + w.sum(), "`gamma` makes no difference"),
        (lambda x, w, gamma: gamma * x + 3.5, "`w` makes no difference"),
        (lambda x, w, gamma: -reference(x, w, gamma), "The sign is turned"),
        (lambda x, w, gamma: 3 * reference(x, w, gamma), "It is 3 times the right value, everywhere"),
        (lambda x, w, gamma: reference(x, w, gamma) * gamma, "It is the right value times `gamma`"),
        (lambda x, w, gamma: reference(x, w, gamma) / gamma, "It is the right value divided by `gamma`"),
        (lambda x, w, gamma: reference(x, w, gamma) * (1 - gamma), "the right value times 1 - `gamma`"),
        (lambda x, w, gamma: reference(x, w, gamma) / len(w), "divided by the length of `w`"),
        (lambda x, w, gamma: reference(x, w, gamma) * w[0] ** 2, "a factor that differs from case to case"),
        (lambda x, w, gamma: reference(x, w, gamma) + 0.001, "It is close everywhere, off by"),
        (
            lambda x, w, gamma: reference(x, w, gamma) + (gamma > 0.7) * x**2,
            "It is right with x [2], w [3], gamma = 0.5, but not with x [2], w [3], gamma = 0.8",
        ),
        (lambda x, w, gamma: reference(x, w, gamma) + x**2, ""),
        (lambda x, w, gamma: "a text", ""),
        (lambda x, w, gamma: np.zeros(7), "No argument makes a difference"),
        (lambda x, w, gamma: np.round(reference(x, w, gamma)), "Only whole numbers are returned"),
        (lambda x, w, gamma: 1.0001 * reference(x, w, gamma), "It is 1.0001 times the right value"),
        (lambda x, w, gamma: gamma * x + w.mean() + w.max(), ""),
        (lambda x, w, gamma: w.mean(), "neither `x` nor `gamma` makes a difference"),
    ],
)
def test_what_is_said_is_so(answer, sentence):
    assert sentence in said(answer)
    assert bool(said(answer)) == bool(sentence)


def test_of_a_part_no_argument_is_called_unused():
    assert "difference" not in said(lambda x, w, gamma: 0.5 * x + w.sum(), is_whole=False)


def test_a_ratio_of_single_numbers_is_no_news():
    scalar = lambda x, w, gamma: gamma * x.sum() + w[0]  # noqa: E731

    def answer(x, w, gamma):
        return gamma * x.sum() + w[0] + x[0] * gamma

    assert diagnose(lambda f, probe: f(*probe), answer, scalar, probes, tol=1e-5) == ""


def test_an_answer_that_raises_on_mixed_arguments_is_no_trouble():
    def picky(x, w, gamma):
        if (x[0], gamma) not in {(1.0, 0.5), (3.0, 0.8), (1.0, 0.25)}:
            raise KeyError("not one of the probes")
        return reference(x, w, gamma) + x

    said(picky)


def partly(answer, probes, reference):
    return diagnose(lambda f, probe: f(*probe), answer, reference, lambda: probes, tol=1e-5)


def test_cases_are_named_only_if_their_words_tell_the_right_ones_from_the_wrong():
    cases = [(np.array([1.0, k]), 0.5) for k in (1.0, 2.0, 3.0)] + [(np.array([1.0, 4.0]), 0.25)]
    right = lambda x, a: a * x.sum()  # noqa: E731
    assert "but not with" not in partly(lambda x, a: a * x.sum() + (x[1] > 1.5) * x[1] ** 2, cases, right)
    said = partly(lambda x, a: a * x.sum() + (a > 0.3) * x[1] ** 2, cases, right)
    assert "It is right with x [2], a = 0.25, but not with x [2], a = 0.5" in said


def test_cases_where_nothing_is_to_be_found_do_not_hide_a_factor():
    cases = [(np.zeros(2), 0.5), (np.ones(2), 0.3), (np.array([3.0, 1.0]), 0.7)]
    assert "It is 2 times the right value" in partly(lambda x, a: 2 * a * x, cases, lambda x, a: a * x)
    assert "times" not in partly(lambda x, a: 2 * a * x + 1, cases, lambda x, a: a * x)
