"""Widgets, films, worlds and results of lesson 06: what they say is what slower computations say."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.lesson_06 import film as films
from mlearn_utils.course.lesson_06 import hidden_task, worlds
from mlearn_utils.course.lesson_06 import results as stored
from mlearn_utils.course.lesson_06.buggy_family import SomebodysTasks
from mlearn_utils.course.widgets.stepper import Stepper
from mlearn_utils.meta.policies.baselines import LARGEST_DECAY, LARGEST_RATE
from mlearn_utils.rl.rollout import Policy
from mlearn_utils.rl.surrogates import SURROGATES
from mlearn_utils.tasks.cartpole import CartPoleTask

ROOT = Path(__file__).resolve().parents[3]


class Leaner:
    """An agent that needs no training: it balances, and after k steps it leans k x 0.04 rad to its target."""

    def adapt(
        self, tasks: CartPoleTask, *, steps: int = 1, inner_lr: object = None
    ) -> dict[str, torch.Tensor]:
        return {"lean": torch.from_numpy(0.04 * steps * np.sign(tasks.target)).float()[:, None, None]}

    def policy(self, params: dict[str, torch.Tensor]) -> Policy:
        return lambda obs: 200 * (obs[..., 2:3] - params["lean"] + 0.3 * obs[..., 3:4])


@pytest.fixture(scope="module")
def seen() -> hidden_task.Chase:
    return hidden_task.chase(Leaner())


# --- the hidden task


def test_a_policy_that_leans_drives_to_its_target_s_side(seen):
    late = np.nanmean(seen.velocity[1, :, :, 50:], axis=(1, 2))
    sides = np.sign(hidden_task.TARGETS) * late
    assert (sides[hidden_task.TARGETS != 0] > 0.1).all()


def test_velocities_are_those_that_were_paid(seen):
    velocity = seen.velocity.astype(float)
    paid = (1 - abs(velocity - hidden_task.TARGETS[:, None, None])).clip(0, 1)
    assert np.nansum(paid, axis=-1).mean(axis=-1) == pytest.approx(seen.returns, abs=1e-3)


def test_velocities_after_the_end_are_not_there():
    fallen = hidden_task.play(Leaner(), CartPoleTask("dirv", target=[0.8]), steps=9)
    velocity = hidden_task.velocities(fallen)
    lengths = fallen.mask.sum(dim=1).numpy()
    assert np.isfinite(velocity).sum(axis=-1) == pytest.approx(lengths)
    assert lengths.min() < 100


def test_the_explorer_says_what_the_chosen_target_pays(seen):
    explorer = hidden_task.hidden_task_explorer(Leaner())
    before = explorer.png
    explorer.explore(target=-0.6, steps=2)
    at = list(hidden_task.TARGETS).index(-0.6)
    assert f"earns <b>{seen.returns[2, at]:.0f}</b>" in explorer.caption.value
    assert "after 2 steps" in explorer.caption.value
    assert "No task of the family" not in explorer.caption.value
    assert explorer.png != before
    explorer.explore(target=0.2)
    assert "No task of the family" in explorer.caption.value


def test_the_moments_of_an_update_tell_what_was_played():
    agent = Leaner()
    stepper = Stepper(
        hidden_task.one_update(agent), count=4, alt="Two tasks, before and after the inner step."
    )
    pictures = set()
    for step, fragment in enumerate(("Support", "Credit", "Inner step", "Outer step")):
        stepper.explore(step=step)
        assert fragment in stepper.caption.value
        pictures.add(stepper.png)
    assert len(pictures) == 4
    after = hidden_task.play(agent, CartPoleTask("dirv", target=hidden_task.PAIR), steps=1, seed=11)
    left, right = after.episode_returns().mean(dim=1)
    stepper.explore(step=2)
    assert f"mean returns {left:.0f} and {right:.0f}." in stepper.caption.value


# --- films


def test_a_film_stands_still_and_darker_after_a_fall():
    task = CartPoleTask("dirv", target=[0.8])
    frames = films.film(task, lambda obs: torch.full((1, 1, 1), 50.0))  # pushes right for ever
    assert frames.shape == (34, 200, 300, 3)
    assert (frames[-1] == frames[-2]).all()
    assert frames[-1].max() < frames[0].max()


def test_a_grid_holds_every_film_between_lines():
    one = np.zeros((2, 4, 6, 3), dtype=np.uint8)
    joined = films.grid([[one, one + 9], [one + 8, one + 7]])
    assert joined.shape == (2, 12, 16, 3)
    assert [joined[0, y, x, 0] for y, x in ((0, 0), (0, 10), (8, 0), (8, 10))] == [0, 9, 8, 7]
    assert joined[0, 5, 0, 0] == 60


# --- worlds


@pytest.mark.parametrize("seed", range(3))
def test_every_surrogate_has_the_gradient_in_every_world(seed):
    world = worlds.World(seed)
    exact = torch.autograd.functional.jacobian(world.expected_return, world.theta)
    for name in SURROGATES:
        for has_baseline in (False, True):
            mean = world.mean_surrogate(name, has_baseline=has_baseline)
            found = torch.autograd.functional.jacobian(mean, world.theta)
            torch.testing.assert_close(found, exact)


def test_the_hessian_of_a_world_is_that_of_finite_differences():
    world, h = worlds.World(4), 1e-4
    exact = torch.autograd.functional.hessian(world.expected_return, world.theta)
    for i in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[i] = h
        up, down = (
            torch.autograd.functional.jacobian(world.expected_return, world.theta + sign * step)
            for sign in (1, -1)
        )
        torch.testing.assert_close((up - down) / (2 * h), exact[i], atol=1e-6, rtol=0)


def test_plain_with_a_baseline_is_first_order_and_dice_is_exact():
    found = worlds.errors(4)
    assert found["plain, baseline"] == pytest.approx(found["first order"])
    assert found["dice, no baseline"].max() < 1e-10
    assert found["lvc, baseline"] == pytest.approx(found["lvc, no baseline"])


@pytest.mark.parametrize(("episodes", "inner_lr"), [(1, 3.0), (2, 3.0)])
def test_what_is_really_run_has_the_gradient_of_its_enumerated_objective(episodes, inner_lr):
    world = worlds.World(0)
    counts, orders = world.batches(episodes)
    every, credit = world._every, world.credit(has_baseline=True)
    in_room = torch.nn.functional.one_hot(every.state, 2)

    def objective(theta):
        """The mean over all batches of J after a step along the slope of the batch; no autograd inside."""
        score = (every.act - torch.sigmoid(theta[every.state])).unsqueeze(-1) * in_room
        slopes = (score * credit.unsqueeze(-1)).sum(dim=0)  # [E, 2]
        weight = orders * (counts @ every.probability(world.logp(theta)).log()).exp()
        assert weight.sum().item() == pytest.approx(1)
        return (weight * world.returns_of(theta + inner_lr * counts @ slopes / episodes)).sum()

    exact = torch.autograd.functional.jacobian(objective, world.theta)
    for name, errors in worlds.sampled_errors(1, episodes=episodes, inner_lr=inner_lr).items():
        assert (errors[0] < 1e-9) == (name == "plain + sampling term")
    found = worlds.sampled_gradients(world, episodes=episodes, inner_lr=inner_lr)
    torch.testing.assert_close(found["plain + sampling term"], exact)


def test_derivatives_of_single_episodes_are_those_of_their_mean():
    world = worlds.World(1)
    for name in SURROGATES:
        slopes, second = world.derivatives(name)
        chance = world.log_chance().exp()
        mean = world.mean_surrogate(name, has_baseline=True)
        jacobian, hessian = torch.autograd.functional.jacobian, torch.autograd.functional.hessian
        torch.testing.assert_close(chance @ slopes, jacobian(mean, world.theta))
        torch.testing.assert_close(torch.einsum("e,eij->ij", chance, second), hessian(mean, world.theta))
    found = worlds.scatter(3)
    assert (found["lvc, baseline"] < found["dice, baseline"]).all()


def test_the_prediction_about_the_plain_surrogate_says_nothing_is_left():
    predict = worlds.predict_plain()
    predict.commit("about half")
    assert "Nothing at all" in predict.caption.value


# --- results


@pytest.fixture(scope="module")
def results() -> stored.Results:
    return stored.load()


def test_the_table_has_every_family_and_method(results):
    for family in ("dirv", "dir", "phys", "goalv"):
        for method in (*stored.METHODS, "MAML undamped"):
            returns = results.returns(family, method)
            assert returns.shape[0] >= 5
            assert returns.shape[1] == 4
            assert ((returns > 0) & (returns <= 100)).all()
        assert results.returns(family, "told").shape[1] == 1


def gain(results: stored.Results, family: str, rival: str, steps: int = 1) -> tuple[float, float, float]:
    ours, theirs = (results.returns(family, method)[:, steps] for method in ("MAML", rival))
    return interval(ours - theirs)


def test_maml_wins_where_adaptation_matters_and_only_there(results):
    """The targets of the experiment: held-out tasks, six seeds, every method with its own settings."""
    assert results.returns("dirv", "MAML")[:, 1].mean() >= 53
    assert results.returns("dir", "MAML")[:, 1].mean() >= 76
    assert results.returns("dirv", "random")[:, 1].mean() <= 25
    assert gain(results, "dirv", "multitask")[1] >= 12
    assert gain(results, "dir", "multitask")[1] >= 10
    assert results.returns("phys", "multitask")[:, 0].mean() >= 98
    assert (
        gain(results, "goalv", "multitask")[1] < 0 < gain(results, "goalv", "multitask")[2]
    )  # not told apart
    for family in ("dirv", "dir"):
        steps = results.returns(family, "MAML")
        assert all(interval(steps[:, k] - steps[:, 1])[1] > 0 for k in (2, 3))


def test_an_unknown_method_is_refused(results):
    with pytest.raises(ValueError, match="no runs of 'magic' on 'dirv'"):
        results.returns("dirv", "magic")


def test_seeds_and_steps_are_sorted_whatever_the_order_of_the_rows(tmp_path):
    lines = ["family,method,seed,step,return", "f,m,1,0,3", "f,m,0,1,2", "f,m,1,1,4", "f,m,0,0,1"]
    path = tmp_path / "results.csv"
    path.write_text("\n".join(lines))
    assert stored.Results(path).returns("f", "m").tolist() == [[1, 2], [3, 4]]


def test_several_sets_of_test_tasks_are_told_apart_and_averaged(tmp_path):
    lines = ["family,method,seed,set,step,return", "f,m,0,0,0,1", "f,m,0,1,0,3", "f,m,1,0,0,5", "f,m,1,1,0,9"]
    path = tmp_path / "results.csv"
    path.write_text("\n".join(lines))
    found = stored.Results(path)
    assert found.by_set("f", "m").tolist() == [[[1], [3]], [[5], [9]]]
    assert found.returns("f", "m").tolist() == [[2], [7]]


def test_no_choice_on_validation_tasks_lies_at_an_end_of_what_was_tried():
    with (ROOT / "data" / "lesson_06" / "tuning.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault((row["family"], row["method"], row["what"], row["steps"]), []).append(row)
    assert {key[0] for key in groups} == {"dirv", "dir", "phys", "goalv"}
    for key, tried in groups.items():
        best = max(tried, key=lambda row: float(row["return"]))
        rates = [float(row["value"]) for row in tried]
        assert float(best["value"]) < max(rates) or 3 * max(rates) > LARGEST_RATE, key
        if key[2] == "sizes":  # 0 is no step at all; below a decay of 0.02 the next step is none
            decays = [float(row["decay"]) for row in tried]
            none_to_decay = key[3] == "1" or float(best["value"]) == 0
            assert none_to_decay or float(best["decay"]) > min(decays) or min(decays) < 0.02, key
            assert none_to_decay or float(best["decay"]) < max(decays) or 3 * max(decays) > LARGEST_DECAY, key
        else:
            assert float(best["value"]) > min(rates), key


def test_the_stored_agents_earn_what_the_table_says(results):
    tasks = stored.CartPoleTasks("dirv").sample(100, seed=stored.LIVE_SEED)
    found = stored.load_agent("dirv").evaluate(tasks, steps=1).mean(axis=1)
    assert found == pytest.approx(results.returns("dirv", "MAML")[0, :2], abs=4)


def test_predictions_quote_the_table(results):
    told = results.returns("dirv", "told").mean()
    predict = stored.predict_table(results)
    predict.commit(50)
    assert (
        f"<b>{results.returns('dirv', 'multitask')[:, 1].mean():.0f}</b>; you said 50"
        in predict.caption.value
    )
    assert f"the {told:.0f} of a policy that is told" in predict.caption.value
    later = stored.predict_later_steps(results)
    later.commit("more: every step follows the gradient of the return")
    assert f"<b>{results.returns('dir', 'MAML undamped')[:, 3].mean():.0f}</b>" in later.caption.value
    families = stored.predict_families()
    families.commit("only on phys")
    assert "<b>phys</b>" in families.caption.value


def test_pictures_of_the_table_have_a_line_a_method(results):
    left, right = Figure().subplots(1, 2)
    stored.draw_table(left, results, "dirv")
    stored.draw_later_steps(right, results, "dir")
    assert [len(ax.containers) for ax in (left, right)] == [len(stored.METHODS), 2]


def test_training_curves_are_by_seed_and_iteration():
    before, after = stored.load_curves("dirv", "MAML")
    assert before.shape == after.shape
    assert before.shape[0] >= 5
    assert after[:, -10:].mean() > before[:, -10:].mean() + 12


# --- somebody's tasks


def test_somebody_s_tasks_do_not_differ():
    assert np.ptp(SomebodysTasks().sample(20, seed=3).target) == 0
