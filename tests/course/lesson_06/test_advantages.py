"""What the checks of lesson 06 rest on."""

import torch

from mlearn_utils.course.lesson_06.exercises import task_advantages
from mlearn_utils.course.lesson_06.task_checks import advantage_probes


def test_a_task_s_advantages_do_not_depend_on_the_others():
    for reward, x, mask, gamma, lam in advantage_probes():
        together = task_advantages(reward, x, mask, gamma, lam)
        for i in range(len(reward)):
            alone = task_advantages(reward[i : i + 1], x[i : i + 1], mask[i : i + 1], gamma, lam)
            torch.testing.assert_close(together[i : i + 1], alone)
