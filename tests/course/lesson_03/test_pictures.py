"""The widgets and data of lesson 03: what they say is what independent, slower computations say."""

import importlib.util
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mlearn_utils.course.lesson_03 import bandit, curves, pictures
from mlearn_utils.course.lesson_03 import variance as measured
from mlearn_utils.course.widgets.stepper import Stepper
from mlearn_utils.rl import returns
from mlearn_utils.rl.policy_gradient import PolicyGradientAgent

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def trade() -> measured.Trade:
    return measured.Trade(episodes=60)


# --- the bandit


@pytest.mark.parametrize("theta", [-1.5, 0.0, 0.7])
def test_the_mean_estimate_is_the_derivative_of_the_expected_payout(theta):
    def expected(theta: float) -> float:
        right = 1 / (1 + np.exp(-theta))
        return (1 - right) * 10 + right * 12

    slope = (expected(theta + 1e-5) - expected(theta - 1e-5)) / 2e-5
    for baseline in (0.0, 11.0, 20.0):
        assert bandit.moments(theta, baseline)[0] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("theta", [-1.5, 0.0, 0.7])
def test_no_baseline_beats_the_best(theta):
    best = bandit.moments(theta, bandit.best_baseline(theta))[1]
    assert all(bandit.moments(theta, b)[1] >= best - 1e-12 for b in np.linspace(0, 24, 241))


def test_the_explorer_of_the_baseline_says_the_variance():
    explorer = bandit.baseline_explorer()
    explorer.explore(baseline=11.0, theta=0.0)
    assert "variance 1</b>" in explorer.caption.value
    explorer.explore(baseline=0.0)
    assert "variance 31.2</b>" in explorer.caption.value


def test_the_prediction_says_both_variances():
    predict = bandit.predict_baseline()
    predict.commit("its mean stays, its variance becomes more than ten times smaller")
    assert "31.2 to 1" in predict.caption.value


# --- variance on the cart-pole


def test_scores_are_the_gradient_of_the_log_probability():
    rollout = measured.play(3, seed=0)
    theta = measured.THETA.clone().requires_grad_()
    z = (rollout.obs[0] * measured.SCALE) @ theta
    logp = torch.where(rollout.act[0] == 1, torch.sigmoid(z).log(), torch.sigmoid(-z).log())
    credit = torch.randn(logp.shape, generator=torch.Generator().manual_seed(0))
    for episode in range(3):
        weighed = (logp * credit * rollout.mask[0])[:, episode].sum()
        (slow,) = torch.autograd.grad(weighed, theta, retain_graph=True)
        assert torch.allclose(measured.estimates(rollout, credit)[episode], slow, atol=1e-3)


def test_three_methods_have_one_mean_and_each_less_variance():
    rollout, known = measured.play(1500, seed=0), measured.play(400, seed=1)
    found = {
        name: measured.estimates(rollout, credit) for name, credit in measured.credits(rollout, known).items()
    }
    variances = [measured.variance(estimate) for estimate in found.values()]
    assert variances == sorted(variances, reverse=True)
    target = found["less a baseline"].mean(dim=0)
    for name in ("whole return", "return to go"):
        error = (found[name].std(dim=0) / 1500**0.5) * 4
        assert ((found[name].mean(dim=0) - target).abs() < error).all()


def test_the_angle_of_a_batch_is_what_batches_show(trade):
    values = trade.values(1.0, True)
    estimate = measured.estimates(trade.rollout, trade.advantages(1.0, 1.0, values))
    drawn = torch.randint(len(estimate), (400, measured.BATCH), generator=torch.Generator().manual_seed(0))
    batches = estimate[drawn].mean(dim=1)
    cosine = (batches @ trade.target) / (batches.norm(dim=1) * trade.target.norm())
    seen = torch.rad2deg(torch.acos(cosine)).mean().item()
    mean, batch = trade.angles(1.0, True)
    assert mean[-1] < seen
    assert batch[-1] == pytest.approx(seen, abs=1)


@pytest.mark.parametrize("has_baseline", [True, False])
def test_no_credit_leaves_the_picture(trade, has_baseline):
    axes = Figure()
    measured._draw_trade(trade)(axes)
    low, high = axes.axes[0].get_ylim()
    for gamma in (0.8, 0.99, 1.0):
        for lam in measured.LAMBDAS:
            adv = trade.advantages(gamma, float(lam), trade.values(gamma, has_baseline))
            shown = adv[: trade.length, trade.episode]
            assert low < shown.min() <= shown.max() < high


def test_lambda_zero_is_biased_and_one_is_not(trade):
    mean, _ = trade.angles(0.99, True)
    assert mean[0] > 25
    assert mean[-1] < 15


def test_the_gae_explorer_moves_both_pictures(monkeypatch):
    explorer = measured.gae_explorer()
    first = explorer.png
    explorer.explore(lam=0.0)
    assert "about 1 steps" in explorer.caption.value
    assert explorer.png != first
    explorer.explore(gamma=1.0, lam=1.0, baseline=False)
    assert "all that follows" in explorer.caption.value
    monkeypatch.setattr(measured.Trade, "_degrees", None)  # the angles over lambda are known: none is new
    explorer.explore(lam=0.5)


# --- the stepper


def test_the_steps_end_at_the_package_s_advantages():
    stepper = Stepper(pictures.backward_pass(0.9, 0.8), 7, alt="advantages")
    column = [torch.tensor(values).unsqueeze(-1) for values in (pictures.REWARDS, pictures.VALUES)]
    right = returns.gae(column[0], column[1], torch.ones(6, 1), gamma=0.9, lam=0.8).squeeze()
    for step in range(1, 7):
        stepper.explore(step=step)
        assert f"<b>{right[6 - step]:.2f}</b>" in stepper.caption.value


# --- films


def test_a_film_stands_still_after_the_fall():
    agent = PolicyGradientAgent("CartPole-v1")
    frames = pictures.film(agent, gym.make("CartPole-v1", render_mode="rgb_array"), steps=120)
    assert frames.shape == (60, 200, 300, 3)
    assert (frames[-1] == frames[-2]).all()
    assert frames[-1].mean() < frames[0].mean()
    assert pictures.side_by_side(frames, frames).shape == (60, 200, 604, 3)


# --- the stored runs


def script():
    path = ROOT / "data" / "lesson_03" / "make_curves.py"
    spec = importlib.util.spec_from_file_location("make_curves_03", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_stored_runs_are_complete():
    make, runs = script(), curves.load_runs()
    per_seed = (1 + 2 * 2) * len(make.LEARNING_RATES)
    assert len(runs) == make.SEEDS * per_seed
    assert all(run.curve.shape == (make.ITERATIONS,) for run in runs)
    assert sum(run.after >= 475 for run in curves.select(runs, "cartpole", 0.02)) >= 9


def test_a_stored_run_is_what_its_script_gives():
    make, runs = script(), curves.load_runs()
    stored = next(run for run in runs if (run.experiment, run.seed) == ("scratch", 0) and run.target > 0)
    task = make.make_task(0, 1)
    assert task.target.item() == pytest.approx(stored.target, abs=1e-3)
    agent = PolicyGradientAgent(
        make.FAMILY.make_env(task), learning_rate=stored.learning_rate, seed=stored.seed
    )
    returns_again = [entry["return"] for entry in agent.train(3, seed=stored.seed)]
    assert returns_again == pytest.approx(stored.curve[:3], abs=0.2)


def test_episodes_to_a_level():
    run = curves.Run("scratch", 0, 0.5, 0.02, 1.0, 0.0, 9.0, np.array([1.0, 5.0, 9.0]))
    assert curves.episodes_to(run, 5.0) == 32
    assert curves.episodes_to(run, 10.0) == np.inf
    assert curves.by_seed([run, run._replace(seed=1), run], [1.0, 5.0, 3.0]).tolist() == [2.0, 5.0]


def test_steps_to_a_level_are_those_that_cartpole_paid_and_a_hundred_an_episode_elsewhere():
    paid = curves.Run("cartpole", 0, 0.0, 0.02, 1.0, 0.0, 9.0, np.array([20.0, 50.0, 475.0, *[500.0] * 57]))
    assert curves.steps_to(paid, 475.0) == 16 * (20 + 50 + 475)
    assert curves.steps_to(paid, 501.0) == 16 * paid.curve.sum()
    new = paid._replace(experiment="transfer")
    assert curves.steps_to(new, 50.0) == 16 * 100 * 2
    assert curves.cost([paid, new._replace(seed=1)], 50.0, "steps").tolist() == [16 * 70, 3200]


def test_the_prediction_reveals_what_the_stored_runs_say():
    runs = curves.load_runs()
    slow = []
    for run in curves.select(runs, "transfer", 0.1):  # the best rate for every nine seeds
        reached = [k for k, value in enumerate(run.curve) if value >= curves.GOAL]
        slow.append(16 * (reached[0] + 1) if reached else 960)
    predict = curves.predict_how_long(runs)
    predict.commit(100)
    assert f"<b>{np.mean(slow):.0f}</b>; you said 100" in predict.caption.value


def made_run(seed: int, rate: float, batch: int) -> curves.Run:
    """A run of the new task that earns enough in its batch number `batch`."""
    curve = np.where(np.arange(60) >= batch - 1, 80.0, 0.0)
    return curves.Run("transfer", seed, 0.5, rate, 1.0, 0.0, 80.0, curve)


def test_each_seed_is_judged_at_the_rate_that_is_best_for_the_others():
    table = {0.1: (1, 1, 60), 0.2: (10, 10, 10)}  # 0.1 is best of all but for the seed that fails with it
    runs = [made_run(seed, rate, k) for rate, batches in table.items() for seed, k in enumerate(batches)]
    rate, cost = curves.best_cost(runs, "transfer")
    assert rate == 0.2
    assert cost.tolist() == [160.0, 160.0, 960.0]


def test_a_ratio_of_means_has_the_interval_of_its_seeds():
    ours = np.array([2.0, 4.0, 6.0])
    assert curves.ratio(ours, ours / 2) == pytest.approx((2.0, 2.0, 2.0))
    middle, low, high = curves.ratio(ours, np.array([3.0, 2.0, 1.0]))
    assert middle == pytest.approx(2.0)
    assert low * high == pytest.approx(4.0)
    assert low < 0.5


def test_the_best_learning_rates_lie_inside_those_tried():
    runs, rates = curves.load_runs(), script().LEARNING_RATES
    for experiment in curves.LEVELS:
        assert min(rates) < curves.best_cost(runs, experiment)[0] < max(rates)
