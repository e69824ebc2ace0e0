"""What the text of lesson 00 promises of its exercises."""

import re

import numpy as np

from mlearn_utils.course.grading.grade import grade
from mlearn_utils.course.lesson_00 import MINUTES
from mlearn_utils.course.lesson_00.exercises import EXERCISES, hidden_reward
from mlearn_utils.course.lesson_00.mistakes import reward_probes
from mlearn_utils.course.widgets.course_map import NOTEBOOKS
from mlearn_utils.tasks.cartpole import FAMILIES


def test_the_hidden_reward_is_the_reward_of_the_game():
    for velocity, target in reward_probes():
        state = np.stack([np.zeros_like(velocity), velocity], axis=-1)  # [position, velocity]
        game = FAMILIES["dirv"].reward(state, np.array(target))
        np.testing.assert_allclose(hidden_reward(velocity, target), game)


def test_pythons_own_max_is_reported_with_the_students_line():
    def hidden_reward(velocity, target):
        return max(0, 1 - abs(velocity - target))

    report = grade(EXERCISES[0], hidden_reward)
    assert report.outcome == "your code raised"
    assert report.source == "return max(0, 1 - abs(velocity - target))"


def test_the_stated_minutes_add_up():
    source = (NOTEBOOKS / "source" / "00_start_here.py").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^# \| (\d\. .+?) \| (\d+) \|$", source, flags=re.MULTILINE))
    headings = dict(re.findall(r"^# ## (\d\. .+?) \((\d+) minutes?\)$", source, flags=re.MULTILINE))
    assert rows == headings
    total = sum(int(minutes) for minutes in rows.values())
    assert f"| **together** | **{total}** |" in source
    assert total == MINUTES == 15
    assert int(rows["4. Three small exercises"]) == sum(exercise.minutes for exercise in EXERCISES)
    for exercise in EXERCISES:
        unit = "minute" if exercise.minutes == 1 else "minutes"
        assert f"# ### {exercise.title} ({exercise.minutes} {unit}, {exercise.level})" in source
