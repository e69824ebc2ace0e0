"""The baselines: what they are told, and that their step sizes are the best there are."""

import numpy as np
import pytest
import torch

from mlearn_utils import CartPoleTasks, MAMLAgent, MAMLConfig
from mlearn_utils.meta.policies.baselines import ToldTasks, evaluate_tuned, multitask_config, tune_inner_lr

SMALL = MAMLConfig(tasks=4, episodes=4, horizon=15, hidden=6, iterations=8)


class Scripted:
    """An agent whose return after k steps of the given sizes is a known function."""

    def __init__(self, best: float):
        self.best = best

    def evaluate(self, tasks, *, steps, inner_lr, episodes=10, seed=0):
        rows = [0.0, *(-abs(np.sum(inner_lr[:k]) - self.best) for k in range(1, steps + 1))]
        return np.array(rows)[:, None]


def test_the_multitask_policy_sees_as_many_episodes_as_maml():
    config = multitask_config(MAMLConfig(episodes=7, inner_steps=2))
    assert (config.inner_steps, config.episodes) == (0, 21)


def test_each_number_of_steps_gets_its_own_best_sizes():
    agent = Scripted(best=6.0)
    tuned = tune_inner_lr(agent, None, steps=2, rates=(0.0, 1.0, 3.0, 6.0, 12.0), decays=(1.0, 0.5))  # pyright: ignore[reportArgumentType]
    assert tuned == {1: [6.0], 2: [3.0, 3.0]}


def test_the_edge_of_the_grid_is_never_chosen():
    tuned = tune_inner_lr(Scripted(best=250.0), None, steps=1, rates=(0.0, 1.0, 10.0), decays=(1.0,))  # pyright: ignore[reportArgumentType]
    assert tuned == {1: [270.0]}


def test_not_adapting_at_all_is_a_choice():
    assert tune_inner_lr(Scripted(best=0.0), None, steps=1)[1] == [0.0]  # pyright: ignore[reportArgumentType]


def test_the_search_ends_where_returns_never_stop_rising():
    assert tune_inner_lr(Scripted(best=1e9), None, steps=1) == {1: [656100.0]}  # pyright: ignore[reportArgumentType]


class Sinking(Scripted):
    """An agent that every step but the first harms, the more the larger it is."""

    def evaluate(self, tasks, *, steps, inner_lr, episodes=10, seed=0):
        rows = [0.0, *(-abs(inner_lr[0] - self.best) - sum(inner_lr[1:k]) for k in range(1, steps + 1))]
        return np.array(rows)[:, None]


def test_smaller_decays_are_tried_while_the_smallest_is_the_best():
    table = []
    tuned = tune_inner_lr(Sinking(best=3.0), None, steps=2, decays=(1.0, 0.3), table=table)  # pyright: ignore[reportArgumentType]
    assert tuned[1] == [3.0]
    assert tuned[2] == pytest.approx([3.0, 3.0 * 0.3 / 27])  # 0.011: the next third is below SMALLEST_DECAY
    assert ("3.0", "2") in {(str(rate), str(steps)) for rate, _, steps, _ in table}
    assert max(value for _, _, steps, value in table if steps == 1) == 0.0


class Rising(Scripted):
    """An agent whose first step must be small, and the second 30 times as large."""

    def evaluate(self, tasks, *, steps, inner_lr, episodes=10, seed=0):
        wanted = (self.best, 30 * self.best)
        rows = [0.0, *(-sum(abs(a - b) for a, b in zip(inner_lr[:k], wanted, strict=False)) for k in (1, 2))]
        return np.array(rows)[: steps + 1, None]


def test_larger_decays_are_tried_while_the_largest_is_the_best():
    tuned = tune_inner_lr(Rising(best=1.0), None, steps=2, rates=(0.0, 1.0, 3.0), decays=(1.0, 0.3))  # pyright: ignore[reportArgumentType]
    assert tuned == {1: [1.0], 2: [3.0, 27.0]}  # nine times: the next three is beyond LARGEST_DECAY


def test_the_mean_over_agents_decides():
    agents = [Scripted(best=3.0), Scripted(best=9.0), Scripted(best=9.0)]
    rates = (0.0, 3.0, 9.0, 12.0)
    assert tune_inner_lr(agents, None, steps=1, rates=rates, decays=(1.0,)) == {1: [9.0]}  # pyright: ignore[reportArgumentType]
    assert tune_inner_lr(agents[:2] + agents[:1], None, steps=1, rates=rates) == {1: [3.0]}  # pyright: ignore[reportArgumentType]


def test_an_empty_grid_is_refused():
    with pytest.raises(ValueError, match="agents must not be empty"):
        tune_inner_lr([], None)
    with pytest.raises(ValueError, match="must not be empty"):
        tune_inner_lr(Scripted(best=1.0), None, rates=())  # pyright: ignore[reportArgumentType]


def test_tuned_sizes_are_used_for_the_step_they_were_tuned_for():
    agent = MAMLAgent(CartPoleTasks("dirv"), SMALL, device="cpu")
    tasks = CartPoleTasks("dirv").sample(3, seed=0)
    found = evaluate_tuned(agent, tasks, {1: [5.0], 2: [1.0, 0.3]}, episodes=4)
    one = agent.evaluate(tasks, steps=1, inner_lr=[5.0], episodes=4)
    two = agent.evaluate(tasks, steps=2, inner_lr=[1.0, 0.3], episodes=4)
    assert np.array_equal(found, np.stack([one[0], one[1], two[2]]))


@pytest.mark.parametrize("family", ["dirv", "dir", "phys", "goalv"])
def test_told_observations_end_with_what_is_hidden(family):
    told = ToldTasks(family)
    tasks = told.sample(3, seed=0)
    hidden = tasks.hidden()
    batch = told.make_batch(tasks, 2, horizon=5, device=None)
    obs = batch.reset(seed=0)
    assert obs.shape == (3, 2, 4 + hidden.shape[1]) == (3, 2, batch.num_features)
    assert obs.dtype == torch.float32
    assert np.allclose(obs[:, :, 4:], hidden[:, None])
    after, reward, *_ = batch.step(np.zeros((3, 2), dtype=np.int64))
    assert np.allclose(after[:, :, 4:], hidden[:, None])
    assert not np.allclose(after[:, :, :4], obs[:, :, :4])
    assert reward.shape == (3, 2)
    env = told.make_env(tasks[1])
    seen, _ = env.reset(seed=0)
    assert env.observation_space.contains(seen)
    assert np.allclose(seen[4:], hidden[1])


def test_a_told_policy_needs_no_adaptation():
    """Half of the tasks of `dir` pay what the others take away: about 50 for a policy that is not told."""
    config = multitask_config(MAMLConfig(tasks=10, episodes=5, iterations=30))
    agent = MAMLAgent(ToldTasks("dir"), config, device="cpu")
    agent.train(progress=False)
    assert agent.evaluate(ToldTasks("dir").sample(40, seed=123_456), steps=0).mean() > 53
