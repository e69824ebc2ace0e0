"""What the checks of lesson 02 compare with is right, and their mistakes can be told apart."""

import numpy as np
import pytest

from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.lesson_02 import mistakes
from mlearn_utils.course.lesson_02.exercises import EXERCISES, discretize, learn_episode, td_update
from mlearn_utils.rl import temporal_difference as td


@pytest.mark.parametrize("trial", [mistakes.LEARN_EPISODE, mistakes.DISCRETIZE])
def test_the_mistakes_are_told_apart(trial):
    assert len(trial.wrong) > 10  # raises if two of them look alike


def test_the_update_of_the_exercise_is_the_packages():
    for probe in mistakes.update_probes():
        q, state, action, reward, after, terminated, rate, gamma = probe
        right = td.td_update(q, state, action, reward, after, terminated, learning_rate=rate, gamma=gamma)
        assert td_update(*probe) == pytest.approx(float(right.value))


def test_the_episode_of_the_exercise_is_the_one_compared_with():
    for mine, right in zip(mistakes.episode_probes(), mistakes.episode_probes(), strict=True):
        assert learn_episode(*mine) == mistakes.right_episode(*right)
        assert np.array_equal(mine[1], right[1])


def test_the_cell_of_the_exercise_is_the_packages():
    for probe in mistakes.cell_probes():
        assert discretize(*probe) == mistakes.right_cell(*probe)


def test_an_episode_must_begin_with_a_reset():
    def without_reset(env, q, learning_rate, gamma, epsilon, rng):
        return env.step(0)

    (exercise,) = (one for one in EXERCISES if one.name == "learn_episode")
    report = grade(exercise, without_reset)
    assert report.outcome == "your code raised"
    assert "step was called before reset" in report.message
