"""Networks that learn to act from labels, against exact posteriors, their teacher, and histories by hand."""

import numpy as np
import pytest
import torch

from mlearn_utils.meta.policies import in_context
from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.meta.policies.memory_config import bandit_config
from mlearn_utils.rl.bandit_histories import policy_value
from mlearn_utils.rl.bayes_bandit import CountTree, chance_best, greedy_rule, random_rule, ucb_rule
from mlearn_utils.tasks.bandit import BernoulliBandits

BANDITS = BernoulliBandits(2)


def test_an_arm_scorer_becomes_the_posterior_that_an_arm_is_best():
    """Two arms, four pulls: total variation, and the exact value of what it does."""
    network = in_context.train_arm_scorer(BANDITS, pulls=4, updates=300, histories=256)
    wins, losses = np.array([[0, 0], [2, 0], [0, 1], [1, 1]]), np.array([[0, 0], [0, 1], [2, 0], [1, 0]])
    rule = in_context.network_rule(network)
    assert 0.5 * abs(rule(wins, losses) - chance_best(wins, losses)).sum(axis=1).max() < 0.05
    tree = CountTree(2, 4)
    assert tree.value(in_context.network_rule(network, greedy=True)) > tree.value(random_rule) + 0.15


def test_an_arm_scorer_treats_the_arms_alike():
    network = in_context.ArmScorer(8)
    counts = torch.tensor([[[0.0, 2.0], [1.0, 0.0], [3.0, 3.0]]])
    order = [2, 0, 1]
    torch.testing.assert_close(network(counts)[:, order], network(counts[:, order]))


@pytest.mark.parametrize("greedy", [False, True])
def test_a_rule_of_a_network_is_probabilities(greedy):
    rule = in_context.network_rule(in_context.ArmScorer(8), greedy=greedy)
    chances = rule(np.array([[0, 1, 2], [0, 0, 0]]), np.array([[1, 0, 2], [0, 0, 0]]))
    assert np.allclose(chances.sum(axis=1), 1)
    assert (chances >= 0).all()
    if greedy:
        assert chances[0].max() == 1
        assert np.allclose(chances[1], 1 / 3)


def test_training_is_repeatable_and_leaves_the_global_generators_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, other = (in_context.train_arm_scorer(BANDITS, pulls=3, updates=3, histories=8, seed=4) for _ in "ab")
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_random_counts_have_the_pulls_and_the_chances_asked_for():
    rng, chances = np.random.default_rng(0), np.full((20_000, 3), 0.25)
    pulls = np.arange(20_000) % 7
    counts = in_context.random_counts(chances, pulls, rng)
    assert (counts.sum(axis=(1, 2)) == pulls).all()
    assert counts.min() >= 0
    assert counts[..., 1].sum() / counts.sum() == pytest.approx(0.25, abs=0.01)


def test_histories_of_a_rule_earn_what_the_rule_is_worth():
    arms, rewards = in_context.learning_histories(greedy_rule, BANDITS, pulls=5, histories=40_000, seed=1)
    assert arms.shape == rewards.shape == (40_000, 5)
    error = rewards.sum(dim=1).std() / 200
    assert abs(rewards.sum(dim=1).mean() - CountTree(2, 5).value(greedy_rule)) < 4 * error
    follows = arms[:, 1] == torch.where(rewards[:, 0] == 1, arms[:, 0], 1 - arms[:, 0])
    assert follows.all()  # greedy stays after a win and leaves after a loss


def test_an_imitator_learns_its_teacher_and_one_without_memory_does_not():
    arms, rewards = in_context.learning_histories(ucb_rule(0.1), BANDITS, pulls=6, histories=2000, seed=2)
    values = {}
    for memory in (True, False):
        network = in_context.distill(
            arms, rewards, n_arms=2, memory=memory, updates=150, histories=128, learning_rate=1e-2
        )
        values[memory] = policy_value(network.policy(), n_arms=2, pulls=6).item()
    teacher = CountTree(2, 6).value(ucb_rule(0.1))
    assert abs(values[True] - teacher) < 0.03
    assert values[True] > values[False] + 0.01


def test_an_imitator_plays_as_its_policy_says():
    """What it earns in play agrees with the enumeration of all histories."""
    arms, rewards = in_context.learning_histories(greedy_rule, BANDITS, pulls=4, histories=300, seed=3)
    network = in_context.distill(arms, rewards, n_arms=2, updates=20, histories=64)
    exact = policy_value(network.policy(), n_arms=2, pulls=4).item()
    played = network.play(BANDITS.sample(40_000, seed=5).chances, pulls=4, seed=6).sum(dim=1)
    assert abs(played.mean() - exact) < 4 * played.std() / 200


def test_an_agents_policy_of_histories_is_what_it_plays():
    agent = MemoryAgent(BANDITS, bandit_config(3, trials=8), seed=1, device="cpu")
    with torch.no_grad():
        agent.network.policy.weight *= 300  # so that it prefers something
    exact = policy_value(in_context.agent_policy(agent), n_arms=2, pulls=3).item()
    returns = agent.evaluate(BANDITS.sample(40_000, seed=7)).sum(axis=0)
    assert abs(returns.mean() - exact) < 4 * returns.std() / 200
    best = policy_value(in_context.agent_policy(agent, greedy=True), n_arms=2, pulls=3).item()
    greedy = agent.evaluate(BANDITS.sample(40_000, seed=7), greedy=True).sum(axis=0)
    assert abs(greedy.mean() - best) < 4 * greedy.std() / 200


def test_inputs_of_histories_are_those_that_were_played():
    agent = MemoryAgent(BernoulliBandits(3), bandit_config(4, trials=8), seed=1, device="cpu")
    played = agent.play(agent.make_batch(agent.family.sample(6, seed=0)), episodes=4, seed=2)
    inputs = in_context.bandit_inputs(agent.encode, played.act.T, played.reward.T)
    torch.testing.assert_close(inputs[:-1], played.inputs)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: in_context.train_arm_scorer(BANDITS, pulls=0), "pulls must be an integer >= 1, got 0"),
        (lambda: in_context.train_arm_scorer(BANDITS, pulls=2, updates=0), "updates must be"),
        (lambda: in_context.train_arm_scorer(BANDITS, pulls=2, learning_rate=0), "learning_rate must be"),
        (
            lambda: in_context.train_arm_scorer(BernoulliBandits(2, safe=0.5), pulls=2),
            "bandits must have no safe arm",
        ),
        (
            lambda: in_context.learning_histories(greedy_rule, BANDITS, pulls=2, histories=0),
            "histories must be",
        ),
        (lambda: in_context.distill(torch.zeros(3, 2), torch.zeros(3, 1), n_arms=2), "arms and rewards"),
        (lambda: in_context.distill(torch.zeros(3, 2), torch.zeros(3, 2), n_arms=0), "n_arms must be"),
        (lambda: in_context.Imitator(2).play(np.zeros((2, 2)), pulls=0), "pulls must be"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
