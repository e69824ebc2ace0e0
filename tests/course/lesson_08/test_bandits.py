"""The bandit game, the safe arm and the measures of a memory, against exact values and by hand."""

import numpy as np
import pytest
import torch

from mlearn_utils.course.lesson_08 import bandit_game, inside, safe_arm
from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.meta.policies.memory_config import bandit_config
from mlearn_utils.rl.bandit_histories import count, policy_value
from mlearn_utils.rl.bayes_bandit import CountTree, bayes_value, greedy_rule, posterior_mean
from mlearn_utils.tasks.bandit import BernoulliBandits

# --- the game


def test_the_best_player_gives_nothing_away():
    game = bandit_game.Game(seed=3)
    while game.left:
        game.pull(int(game.tree.action_values(game.wins, game.losses).argmax()))
    assert sum(game.regrets) == 0
    assert len(game.regrets) == 10
    assert game.finished == [(game.wins.sum(), 0.0)]


def test_what_players_give_away_is_what_they_lack_on_average():
    """Mean wins + mean given away = the value of the best player, for a player who pulls at random."""
    game, rng = bandit_game.Game(seed=0), np.random.default_rng(1)
    for _ in range(600):
        while game.left:
            game.pull(int(rng.integers(5)))
        game.begin()
    totals = np.array(game.finished).sum(axis=1)
    assert abs(totals.mean() - bayes_value(5, 10)) < 4 * totals.std() / 600**0.5


def test_the_game_is_played_by_keys_and_by_the_pointer():
    canvas = bandit_game.bandit_game(seed=1)
    assert "Nothing is known yet" in canvas.caption.value
    canvas.send("key", key="3")
    assert "Arm 3" in canvas.caption.value
    assert "9 pulls left" in canvas.caption.value
    canvas.send("down", x=1.1, y=0.5)
    assert "Arm 1" in canvas.caption.value
    for _ in range(9):
        canvas.send("key", key="2")
    assert "The chances were" in canvas.caption.value
    canvas.send("down", x=3.0, y=bandit_game.BUTTON[0] + 0.1)
    assert "So far 1 bandits" in canvas.caption.value
    canvas.send("down", x=9.0, y=0.5)
    assert "Nothing is known yet" in canvas.caption.value
    canvas.send("key", key="5")
    canvas.send("key", key="n")
    assert "Nothing is known yet" in canvas.caption.value


# --- the safe arm


def test_the_value_of_a_policy_is_that_of_the_enumeration():
    paths = safe_arm.all_paths(0.55)
    assert paths.arms.shape == (3, 27)
    policy = safe_arm.TablePolicy()
    with torch.no_grad():
        policy.logits.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))

    def chances(arms, rewards):
        wins, losses = (((arms == 0) & (rewards == paid)).sum(dim=1) for paid in (1, 0))
        p = torch.sigmoid(policy.logits[arms.shape[1], wins, losses])
        return torch.stack((p, 1 - p), dim=1)

    value, entropy = safe_arm.value_and_entropy(policy(paths), paths)
    plain, more = (
        policy_value(chances, n_arms=1, pulls=3, safe=0.55, entropy_weight=weight) for weight in (0.0, 1.0)
    )
    assert value.item() == pytest.approx(plain.item(), abs=1e-6)
    assert entropy.item() == pytest.approx((more - plain).item(), abs=1e-5)


def test_a_network_is_stuck_without_a_bonus_and_not_with_one_and_a_table_is_not():
    ends = {
        "plain": safe_arm.ascend(safe_arm.GRUPolicy, runs=2),
        "bonus": safe_arm.ascend(safe_arm.GRUPolicy, runs=2, bonus=0.1),
        "table": safe_arm.ascend(safe_arm.TablePolicy, runs=2),
    }
    assert abs(ends["plain"].values[:, -1] - 1.65).max() < 1e-3
    assert ends["plain"].tries[:, -1].max() < 0.01
    for name in ("bonus", "table"):
        assert ends[name].values[:, -1].min() > 1.715
        assert ends[name].values.max() < bayes_value(1, 3, safe=0.55) + 1e-6


def test_an_ascent_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    safe_arm.ascend(safe_arm.GRUPolicy, runs=1, steps=1)
    assert torch.equal(before, torch.get_rng_state())


# --- the memory


@pytest.fixture(scope="module")
def agent():
    return MemoryAgent(BernoulliBandits(3), bandit_config(6, trials=16, hidden=8), seed=0, device="cpu")


def test_histories_are_those_that_the_agent_played(agent):
    seen = inside.play(agent, histories=40, pulls=6, seed=1)
    assert seen.arms.shape == seen.rewards.shape == (40, 6)
    assert set(seen.arms.unique().tolist()) == {0, 1, 2}


def test_a_memory_of_counts_alone_is_not_moved_by_the_order(agent, monkeypatch):
    def counts(agent, seen):
        one_hot = torch.nn.functional.one_hot(seen.arms, 3).float()
        return torch.cat((one_hot.sum(dim=1), (one_hot * seen.rewards[..., None]).sum(dim=1)), dim=1)

    def last(agent, seen):
        return torch.nn.functional.one_hot(seen.arms[:, -1], 3).float()

    seen = inside.play(agent, histories=400, pulls=6, seed=1)
    assert 0 < inside.order_shift(agent, seen) < 1.2
    monkeypatch.setattr(inside, "memories", counts)
    assert inside.order_shift(agent, seen) == 0
    assert inside.read_out(agent, seen) > 0.8
    monkeypatch.setattr(inside, "memories", last)
    assert inside.order_shift(agent, seen) == pytest.approx(1, abs=0.2)
    assert inside.read_out(agent, seen) < 0.5


def test_noise_cannot_be_read(agent, monkeypatch):
    seen = inside.play(agent, histories=800, pulls=6, seed=1)
    generator = torch.Generator().manual_seed(0)
    monkeypatch.setattr(inside, "memories", lambda *_: torch.randn(800, 8, generator=generator))
    assert abs(inside.read_out(agent, seen)) < 0.1


def test_a_slow_twin_is_untrained_and_forgets_slowly(agent):
    seen, twin = inside.play(agent, histories=300, pulls=6, seed=1), inside.slow_twin(agent)
    assert inside.order_shift(twin, seen) < 0.5 * inside.order_shift(agent, seen)
    changed = [
        (name, (a != b).sum().item())
        for (name, a), b in zip(agent.network.named_parameters(), twin.network.parameters(), strict=True)
        if not torch.equal(a, b)
    ]
    assert changed == [("body.bias_ih_l0", 8)]


def test_a_head_on_a_memory_is_as_good_as_the_memory(agent, monkeypatch):
    """On a memory that holds the posterior means it is the greedy player; on an empty one it is random."""

    def means(agent, seen):
        """Return them with a sign that changes with every pull: no head serves two pulls."""
        found = posterior_mean(*count(seen.arms, seen.rewards, 3))
        return torch.from_numpy(found).float() * (-1) ** seen.arms.shape[1]

    greedy = CountTree(3, 6).value(greedy_rule)
    monkeypatch.setattr(inside, "memories", means)
    assert inside.frozen_head(agent, histories=300, pulls=6) == pytest.approx(greedy, abs=0.05)
    monkeypatch.setattr(inside, "memories", lambda agent, seen: torch.zeros(len(seen.arms), 2))
    assert inside.frozen_head(agent, histories=300, pulls=6) == pytest.approx(3, abs=0.06)
    monkeypatch.undo()
    assert 3.3 < inside.frozen_head(agent, histories=1000, judged=4000, pulls=6) < greedy + 0.1


def test_win_stay_earns_what_a_loop_by_hand_earns():
    rng, total = np.random.default_rng(0), 0
    for _ in range(4000):
        chances, arm = rng.uniform(size=5), 0
        for _ in range(4):
            won = rng.uniform() < chances[arm]
            total += won
            arm = arm if won else (arm + 1) % 5
    assert inside.win_stay(pulls=4, histories=20_000) == pytest.approx(total / 4000, abs=0.08)
