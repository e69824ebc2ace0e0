"""Exact values of bandits against a plain recursion, closed forms and samples."""

import time
from functools import cache
from itertools import combinations_with_replacement, permutations
from math import comb

import numpy as np
import pytest

from mlearn_utils.rl.bayes_bandit import (
    CountTree,
    bayes_value,
    chance_best,
    count_states,
    greedy_rule,
    posterior_mean,
    random_rule,
    thompson_rule,
    ucb1_rule,
    ucb_rule,
)

RULES = {
    "greedy": greedy_rule,
    "thompson": thompson_rule,
    "random": random_rule,
    "ucb1": ucb1_rule,
    "ucb": ucb_rule(0.7),
}


def beside_safe(rule):
    """Return a rule that pulls the safe arm with probability 1/4, more after losses, else as `rule` does."""

    def mixed(wins, losses):
        safe = 1 - 0.75 / (1 + losses.sum(axis=1, keepdims=True))
        return np.concatenate(((1 - safe) * rule(wins, losses), safe), axis=1)

    return mixed


def always_safe(wins, losses):
    return np.concatenate((np.zeros(wins.shape), np.ones((len(wins), 1))), axis=1)


def slow_value(n_arms, pulls, safe, rule):
    """Return the expected rewards by a recursion over each arm's (wins, losses); rule None is the best."""

    @cache
    def value(counts, left):
        if left == 0:
            return 0.0
        q = []
        for arm, (w, l) in enumerate(counts):
            m = (w + 1) / (w + l + 2)
            won, lost = ((*counts[:arm], after, *counts[arm + 1 :]) for after in ((w + 1, l), (w, l + 1)))
            q.append(m * (1 + value(won, left - 1)) + (1 - m) * value(lost, left - 1))
        if safe is not None:
            q.append(safe + value(counts, left - 1))
        if rule is None:
            return max(q)
        wins, losses = np.array(counts).T[:, None]
        return sum(p * each for p, each in zip(rule(wins, losses)[0], q, strict=True))

    return value(((0, 0),) * n_arms, pulls)


# --- values


@pytest.mark.parametrize(
    ("n_arms", "best", "greedy"), [(2, 6.0218, 6.0058), (3, 6.4096, 6.3831), (5, 6.6600, 6.6262)]
)
def test_ten_pulls_are_worth_the_known_numbers(n_arms, best, greedy):
    tree = CountTree(n_arms, 10)
    assert tree.value() == pytest.approx(best, abs=5e-5)
    assert bayes_value(n_arms, 10) == tree.value()
    assert tree.value(greedy_rule) == pytest.approx(greedy, abs=5e-5)
    assert tree.value(random_rule) == pytest.approx(5, abs=1e-12)


def test_twenty_pulls_of_three_arms_are_worth_the_known_number():
    assert bayes_value(3, 20) == pytest.approx(13.4658, abs=5e-5)  # of slow_value(3, 20, None, None)


def test_an_unknown_arm_beside_a_safe_one():
    tree = CountTree(1, 3, safe=0.55)
    assert tree.value() == pytest.approx(1.725, abs=1e-12)  # a win is followed up, a loss is not
    assert bayes_value(1, 3, safe=0.55) == tree.value()
    assert tree.value(always_safe) == pytest.approx(1.65, abs=1e-12)
    assert CountTree(1, 1, safe=0.55).value() == pytest.approx(0.55)
    assert CountTree(1, 1, safe=0.45).value() == pytest.approx(0.5)


@pytest.mark.parametrize(("n_arms", "pulls"), [(1, 1), (1, 5), (2, 1), (2, 5), (3, 2), (3, 4)])
@pytest.mark.parametrize("safe", [None, 0.55])
def test_the_best_value_is_that_of_a_plain_recursion(n_arms, pulls, safe):
    slow = slow_value(n_arms, pulls, safe, None)
    assert CountTree(n_arms, pulls, safe=safe).value() == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    ("n_arms", "pulls", "safe"), [(1, 3, None), (2, 5, None), (3, 4, None), (2, 4, 0.55)]
)
def test_a_rules_value_is_that_of_a_plain_recursion(name, n_arms, pulls, safe):
    rule = RULES[name] if safe is None else beside_safe(RULES[name])
    slow = slow_value(n_arms, pulls, safe, rule)
    assert CountTree(n_arms, pulls, safe=safe).value(rule) == pytest.approx(slow, abs=1e-12)


def test_no_rule_beats_the_best_player():
    tree = CountTree(3, 8)
    values = {name: tree.value(rule) for name, rule in RULES.items()}
    assert max(values.values()) < tree.value()
    assert values["greedy"] > values["thompson"] > values["random"]


def test_one_arm_is_worth_half_a_pull_whoever_plays():
    tree = CountTree(1, 7)
    for rule in (None, *RULES.values()):
        assert tree.value(rule) == pytest.approx(3.5, abs=1e-12)


def test_values_of_a_level_belong_to_its_counts():
    tree = CountTree(2, 4)
    for level, values in zip(tree.levels, tree.values(), strict=True):
        assert len(level.wins) == len(values)
    last = tree.levels[-1]
    assert tree.values()[-1] == pytest.approx(posterior_mean(last.wins, last.losses).max(axis=1))
    assert tree.values(random_rule)[-1] == pytest.approx(posterior_mean(last.wins, last.losses).mean(axis=1))


# --- what actions are worth


def test_an_actions_value_is_its_reward_and_the_best_afterwards():
    tree = CountTree(2, 4)
    best = {
        tuple(sorted(zip(w.tolist(), l.tolist(), strict=True))): value
        for level, values in zip(tree.levels, tree.values(), strict=True)
        for w, l, value in zip(level.wins, level.losses, values, strict=True)
    }
    for counts, value in best.items():
        made = sum(w + l for w, l in counts)
        expected = []
        for arm, (w, l) in enumerate(counts):
            after = [tuple(sorted((pair, counts[1 - arm]))) for pair in ((w, l + 1), (w + 1, l))]
            lost, won = (best[each] if made < 3 else 0.0 for each in after)
            expected.append((w + 1) / (w + l + 2) * (1 + won - lost) + lost)
        wins, losses = np.array(counts).T
        q = tree.action_values(wins, losses)
        assert q == pytest.approx(expected, abs=1e-12)
        assert q.max() == pytest.approx(value, abs=1e-12)


def test_a_permutation_of_arms_permutes_their_values():
    tree, wins, losses = CountTree(3, 8), np.array([2, 0, 1]), np.array([1, 0, 2])
    q = tree.action_values(wins, losses)
    assert len(set(q.round(9))) == 3
    for order in map(list, permutations(range(3))):
        assert tree.action_values(wins[order], losses[order]) == pytest.approx(q[order], abs=1e-12)


def test_action_values_at_the_first_and_the_last_pull():
    tree = CountTree(3, 5)
    assert tree.action_values(np.zeros(3, int), np.zeros(3, int)) == pytest.approx([tree.value()] * 3)
    assert tree.action_values(np.array([1, 0, 0]), np.array([0, 2, 1])) == pytest.approx(
        [2 / 3, 1 / 4, 1 / 3]
    )


# --- the probability of being best


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (3, 1, 0, 2), (9, 4, 6, 1), (0, 12, 7, 0)])
def test_of_two_arms_the_better_one_is_known_in_closed_form(counts):
    w1, l1, w2, l2 = counts
    # P(p1 > p2): p2 is below p1 if at least w2 + 1 of n uniforms are, n = w2 + l2 + 1
    n = w2 + l2 + 1
    first = sum(
        comb(n, k) * beta(w1 + 1 + k, l1 + 1 + n - k) / beta(w1 + 1, l1 + 1) for k in range(w2 + 1, n + 1)
    )
    found = chance_best(np.array([w1, w2]), np.array([l1, l2]))
    assert found == pytest.approx([first, 1 - first], abs=1e-12)


def beta(a, b):
    """Return Euler's beta function of two integers."""
    return 1 / (a * comb(a + b - 1, a))


def test_arms_of_which_as_much_is_known_are_as_likely_best():
    assert chance_best(np.full(4, 3), np.full(4, 5)) == pytest.approx([0.25] * 4, abs=1e-12)
    assert chance_best(np.array([5]), np.array([2])) == pytest.approx([1.0], abs=1e-12)
    found = chance_best(np.array([4, 1, 4]), np.array([2, 2, 2]))
    assert found[0] == pytest.approx(found[2], abs=1e-14)
    assert found[0] > found[1]


def test_chances_sum_to_one_and_keep_their_shape():
    rng = np.random.default_rng(0)
    wins, losses = rng.integers(0, 10, size=(2, 4, 7, 3))
    found = chance_best(wins, losses)
    assert found.shape == (4, 7, 3)
    assert found.sum(axis=-1) == pytest.approx(np.ones((4, 7)), abs=1e-12)
    assert found[2, 5] == pytest.approx(chance_best(wins[2, 5], losses[2, 5]), abs=1e-12)
    np.testing.assert_array_equal(thompson_rule(wins, losses), found)


@pytest.mark.parametrize(
    ("wins", "losses"), [([1, 0, 3], [0, 0, 2]), ([5, 6, 4, 0], [3, 4, 2, 1]), ([0, 8], [3, 9])]
)
def test_it_is_how_often_samples_are_the_largest(wins, losses):
    rng, n = np.random.default_rng(0), 200_000
    samples = rng.beta(np.add(wins, 1), np.add(losses, 1), size=(n, len(wins)))
    often = np.bincount(samples.argmax(axis=1), minlength=len(wins)) / n
    exact = chance_best(np.array(wins), np.array(losses))
    assert (abs(often - exact) <= 4 * np.sqrt(exact * (1 - exact) / n)).all()


def test_more_nodes_change_nothing_and_fewer_do():
    wins, losses = np.array([[5, 6, 4, 0, 2], [0, 0, 0, 20, 0]]), np.array([[3, 4, 2, 1, 9], [0, 0, 0, 0, 0]])
    enough = int((wins + losses + 1).sum(axis=1).max() - 1) // 2 + 1
    exact = chance_best(wins, losses)
    np.testing.assert_allclose(chance_best(wins, losses, nodes=enough + 30), exact, rtol=0, atol=1e-12)
    assert abs(chance_best(wins, losses, nodes=enough // 3) - exact).max() > 1e-9


# --- rules


def test_a_uniform_prior_gives_laplaces_rule():
    assert posterior_mean(np.array([0, 3]), np.array([0, 1])) == pytest.approx([1 / 2, 4 / 6])


@pytest.mark.parametrize("rule", [greedy_rule, ucb_rule(0.0), ucb_rule(0.7), ucb1_rule])
def test_ties_are_shared(rule):
    assert rule(np.zeros((1, 4), int), np.zeros((1, 4), int)) == pytest.approx(np.full((1, 4), 0.25))
    found = rule(np.array([[2, 2, 0]]), np.array([[1, 1, 3]]))
    assert found == pytest.approx(np.array([[0.5, 0.5, 0.0]]))


def test_greedy_takes_the_largest_mean_whatever_is_unknown():
    assert greedy_rule(np.array([[1, 0, 3]]), np.array([[0, 0, 1]])).tolist() == [
        [0.5, 0.0, 0.5]
    ]  # 2/3 twice
    assert greedy_rule(np.array([[1, 0, 9]]), np.array([[0, 0, 1]])).tolist() == [[0.0, 0.0, 1.0]]


def test_ucb_without_a_bonus_is_greedy():
    for level in CountTree(3, 6).levels:
        np.testing.assert_array_equal(
            ucb_rule(0)(level.wins, level.losses), greedy_rule(level.wins, level.losses)
        )
    assert CountTree(3, 6).value(ucb_rule(0)) != CountTree(3, 6).value(ucb_rule(0.7))


def test_ucb1_tries_each_arm_once_first():
    wins, losses = np.array([[1, 0, 0, 0]]), np.array([[0, 0, 1, 0]])
    assert ucb1_rule(wins, losses).tolist() == [[0.0, 0.5, 0.0, 0.5]]


@pytest.mark.parametrize("name", ["ucb1", "ucb"])
def test_bonuses_are_those_of_the_formula(name):
    tried = 0
    for level in CountTree(3, 9).levels:
        for w, l in zip(level.wins.tolist(), level.losses.tolist(), strict=True):
            n = [a + b for a, b in zip(w, l, strict=True)]
            t = sum(n)
            if min(n) == 0:
                continue
            if name == "ucb1":
                index = [w[a] / n[a] + (2 * np.log(t) / n[a]) ** 0.5 for a in range(3)]
            else:
                index = [
                    (w[a] + 1) / (n[a] + 2) + 0.7 * (np.log(t + 1) / (n[a] + 1)) ** 0.5 for a in range(3)
                ]
            best = np.isclose(index, max(index), rtol=0, atol=1e-13)
            assert RULES[name](np.array([w]), np.array([l]))[0] == pytest.approx(best / best.sum())
            tried += 1
    assert tried > 100


# --- states


@pytest.mark.parametrize("n_arms", [1, 2, 3, 5])
@pytest.mark.parametrize("safe", [None, 0.5])
def test_states_are_counted_without_a_visit(n_arms, safe):
    for pulls in (1, 2, 7):
        tree = CountTree(n_arms, pulls, safe=safe)
        assert count_states(n_arms, pulls, safe=safe) == tree.states == sum(len(w) for w, *_ in tree.levels)


def test_a_level_holds_every_multiset_of_counts_once():
    kinds = [(w, l) for w in range(5) for l in range(5)]
    for made, level in enumerate(CountTree(3, 5).levels):
        expected = {
            arms for arms in combinations_with_replacement(kinds, 3) if sum(w + l for w, l in arms) == made
        }
        found = [
            tuple(sorted(zip(w, l, strict=True)))
            for w, l in zip(level.wins.tolist(), level.losses.tolist(), strict=True)
        ]
        assert len(found) == len(set(found))
        assert set(found) == expected


@pytest.mark.parametrize(
    ("n_arms", "pulls", "safe"), [(5, 40, None), (5, 25, 0.5), (20, 50, None), (2, 60, 0.5)]
)
def test_a_long_horizon_is_refused_at_once(n_arms, pulls, safe):
    states = count_states(n_arms, pulls, safe=safe)
    begin = time.process_time()
    with pytest.raises(
        ValueError, match=rf"pulls={pulls} with n_arms={n_arms} is too long .* {states:,} states"
    ):
        CountTree(n_arms, pulls, safe=safe)
    assert time.process_time() - begin < 1


# --- what is refused


@pytest.mark.parametrize(
    "rule",
    [
        lambda w, l: np.full(w.shape, 1.0),
        lambda w, l: np.full((len(w), 3), 1 / 3),
        lambda w, l: np.full(2, 0.5),
        lambda w, l: np.full(w.shape, np.nan),
        lambda w, l: np.stack((np.full(len(w), 1.5), np.full(len(w), -0.5)), axis=1),
        lambda w, l: w.argmax(axis=1),
        lambda w, l: None,
    ],
)
def test_what_returns_no_probabilities_is_no_rule(rule):
    with pytest.raises(ValueError, match=r"rule must return probabilities \[\d+, 2\] that sum to 1"):
        CountTree(2, 3).value(rule)


def test_a_rule_must_speak_of_the_safe_arm():
    with pytest.raises(ValueError, match=r"rule must return probabilities \[\d+, 3\] that sum to 1"):
        CountTree(2, 3, safe=0.5).value(greedy_rule)


@pytest.mark.parametrize("call", [CountTree, count_states, bayes_value])
def test_bad_numbers_are_refused_by_name(call):
    for bad in (0, -1, 2.0, True, "2"):
        with pytest.raises(ValueError, match=r"n_arms must be an integer >= 1"):
            call(bad, 3)
        with pytest.raises(ValueError, match=r"pulls must be an integer >= 1"):
            call(2, bad)
    for bad in (-0.1, 1.1, float("nan"), "0.5"):
        with pytest.raises(ValueError, match=r"safe must be in \[0, 1\]"):
            call(2, 3, safe=bad)


@pytest.mark.parametrize("constant", [-0.1, float("inf"), float("nan"), None])
def test_a_bad_constant(constant):
    with pytest.raises(ValueError, match="constant must be a finite number >= 0"):
        ucb_rule(constant)


@pytest.mark.parametrize(
    ("wins", "losses"),
    [
        ([0, 0, 0], [0, 0, 0]),
        ([0, 0], [0]),
        ([0, 0], [-1, 2]),
        ([1, 1], [1, 0]),
        ([[0, 0]], [[0, 0]]),
        ([], []),
    ],
)
def test_bad_counts(wins, losses):
    with pytest.raises(ValueError, match=r"wins and losses must be \[2\] integers >= 0, fewer than 3 in all"):
        CountTree(2, 3).action_values(wins, losses)


def test_counts_are_integers():
    with pytest.raises(ValueError, match=r"wins and losses must be \[2\] integers >= 0"):
        CountTree(2, 3).action_values([0.5, 0.5], [0, 0])  # pyright: ignore[reportArgumentType]


def test_action_values_know_no_safe_arm():
    with pytest.raises(ValueError, match="action_values needs a bandit without a safe arm"):
        CountTree(2, 3, safe=0.5).action_values([0, 0], [0, 0])  # pyright: ignore[reportArgumentType]
