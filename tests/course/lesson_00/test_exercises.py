"""Wrong answers to the exercises of lesson 00, each with what its author must be told; its minutes add up."""

import re

import numpy as np
import pytest

from mlearn_utils.course.grading.exercise import find_exercise
from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.lesson_00.exercises import EXERCISES
from mlearn_utils.course.lesson_00.pictures import predict_experienced, reward_explorer
from mlearn_utils.course.widgets.course_map import LESSONS, NOTEBOOKS

# --- hidden_reward


def reward_below_zero(velocity, target):
    return 1 - np.abs(velocity - target)


def reward_as_distance(velocity, target):
    return np.clip(np.abs(velocity - target), 0, 1)


def reward_without_abs(velocity, target):
    return 1 - (velocity - target)


def reward_clipped_without_abs(velocity, target):
    return np.clip(1 - (velocity - target), 0, 1)


def reward_of_the_speed(velocity, target):
    return np.maximum(0, 1 - np.abs(np.abs(velocity) - abs(target)))


def reward_squared(velocity, target):
    return np.clip(1 - (velocity - target) ** 2, 0, 1)


def reward_without_return(velocity, target):
    np.clip(1 - np.abs(velocity - target), 0, 1)


def reward_summed(velocity, target):
    return np.clip(1 - np.abs(velocity - target), 0, 1).sum()


def reward_twice_as_narrow(velocity, target):
    return np.clip(1 - 2 * np.abs(velocity - target), 0, 1)


# --- best_guess


def guess_the_index(velocities, rewards):
    return np.argmax(rewards)


def guess_the_reward(velocities, rewards):
    return rewards.max()


def guess_the_worst(velocities, rewards):
    return velocities[np.argmin(rewards)]


def guess_the_fastest(velocities, rewards):
    return velocities.max()


def guess_the_last(velocities, rewards):
    return velocities[-1]


def guess_the_mean(velocities, rewards):
    return velocities.mean()


def guess_all_of_the_best(velocities, rewards):
    return velocities[rewards == rewards.max()]


# --- mean_return


def mean_that_hides_the_loss(rounds):
    total = 0.0
    for k in range(1, len(rounds)):
        total += rounds[k].sum()
    return total / (len(rounds) - 1)


def mean_that_loses_another_way(rounds):
    return sum(rewards.sum() for rewards in rounds[1:]) / len(rounds)


def mean_without_the_last(rounds):
    total = 0.0
    for k in range(len(rounds) - 1):
        total += rounds[k].sum()
    return total / len(rounds)


def mean_not_divided(rounds):
    return sum(rewards.sum() for rewards in rounds)


def mean_reward_of_a_push(rounds):
    return np.concatenate(rounds).mean()


def mean_of_means(rounds):
    return np.mean([rewards.mean() for rewards in rounds])


def mean_of_three(rounds):
    return sum(rewards.sum() for rewards in rounds) / 3


def mean_of_the_longest(rounds):
    return max(rewards.sum() for rewards in rounds)


WRONG_ANSWERS = {
    "hidden_reward": [
        (reward_below_zero, "never be less than 0"),
        (reward_as_distance, "the distance itself"),
        (reward_without_abs, "too slow is paid more than right"),
        (reward_clipped_without_abs, "too slow is paid in full"),
        (reward_of_the_speed, "left and right are paid alike"),
        (reward_squared, "squared"),
        (reward_without_return, "`return` missing"),
        (reward_summed, "summed or averaged"),
        (reward_twice_as_narrow, "not 1 - |velocity - target|"),
    ],
    "best_guess": [
        (lambda velocities, rewards: abs(velocities[np.argmax(rewards)]), "the sign is lost"),
        (guess_the_index, "the number of the push"),
        (guess_the_reward, "the reward of the best push"),
        (guess_the_worst, "paid least"),
        (guess_the_fastest, "the largest velocity"),
        (guess_the_last, "the last push"),
        (guess_the_mean, "not the velocity of the push with the largest reward"),
        (guess_all_of_the_best, "should be one number"),
    ],
    "mean_return": [
        (
            lambda rounds: np.concatenate(rounds).mean() * len(rounds[0]),
            "not the mean of the three returns",
        ),
        (mean_that_hides_the_loss, "the first round is still lost"),
        (mean_that_loses_another_way, "one round is still missing"),
        (mean_without_the_last, "the last round is missing"),
        (mean_not_divided, "divide by the number of rounds"),
        (mean_reward_of_a_push, "the mean reward of a push"),
        (mean_of_means, "the sum of a round's rewards"),
        (mean_of_three, "with a single round"),
        (mean_of_the_longest, "not the mean of the three returns"),
    ],
}


def right_reward_by_maximum(velocity, target):
    return np.maximum(0.0, 1 - abs(velocity - target))


def right_guess_by_sorting(velocities, rewards):
    return float(max(zip(rewards, velocities, strict=True))[1])


def right_mean_in_one_line(rounds):
    return np.mean([sum(rewards) for rewards in rounds])


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("hidden_reward", right_reward_by_maximum),
        ("best_guess", right_guess_by_sorting),
        ("mean_return", right_mean_in_one_line),
    ],
)
def test_another_right_way_passes(name, answer):
    report = grade(find_exercise(EXERCISES, name), answer)
    assert report.ok, report.message


def test_pythons_own_max_is_reported_with_the_students_line():
    def hidden_reward(velocity, target):
        return max(0, 1 - abs(velocity - target))

    report = grade(EXERCISES[0], hidden_reward)
    assert report.outcome == "your code raised"
    assert report.source == "return max(0, 1 - abs(velocity - target))"


def test_the_reward_explorer_follows_its_sliders():
    explorer = reward_explorer()
    before = explorer.png
    assert "0.40 m/s off the target +0.70 m/s: reward <strong>0.60</strong>" in explorer.caption.value
    explorer.explore(target=-0.5, velocity=1.0)
    assert "1.50 m/s off the target −0.50 m/s: reward <strong>0.00</strong>" in explorer.caption.value
    assert explorer.png != before
    tent, wanted, cart = (np.array(line.get_data()) for line in explorer.picture.figure.axes[0].lines)
    assert tent[0, tent[1].argmax()] == pytest.approx(-0.5)
    assert wanted[0].tolist() == [-0.5, -0.5]
    assert cart.tolist() == [[1.0], [0.0]]


def test_the_stated_minutes_add_up():
    source = (NOTEBOOKS / "source" / "00_start_here.py").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^# \| (\d\. .+?) \| (\d+) \|$", source, flags=re.MULTILINE))
    headings = dict(re.findall(r"^# ## (\d\. .+?) \((\d+) minutes?\)$", source, flags=re.MULTILINE))
    assert rows == headings
    total = sum(int(minutes) for minutes in rows.values())
    assert f"| **together** | **{total}** |" in source
    assert total == LESSONS[0].minutes == 15
    assert int(rows["4. Three small exercises"]) == sum(exercise.minutes for exercise in EXERCISES)
    for exercise in EXERCISES:
        unit = "minute" if exercise.minutes == 1 else "minutes"
        assert f"# ### {exercise.title} ({exercise.minutes} {unit}, {exercise.level})" in source


def test_the_prediction_reveals_the_mean_returns_that_it_was_given():
    newcomer, experienced = np.full((4, 2, 16), 0.25), np.full((4, 2, 16), 0.75)
    prediction = predict_experienced(newcomer, experienced)
    assert "12.0" not in prediction.caption.value
    prediction.commit(8.0)
    assert "It is <b>12.0</b>; you said 8.0" in prediction.caption.value
    assert "reaches 4.0" in prediction.caption.value
