"""The widgets of lesson 01: what they say is what dynamic programming computes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from mlearn_utils.course.lesson_01 import pictures
from mlearn_utils.course.lesson_01.arrows import KEYS, Arrows, arrow_editor
from mlearn_utils.course.widgets.stepper import Stepper
from mlearn_utils.course.widgets.value_map import ValueMap
from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.tasks.gridworld import ACTIONS, GridTask, grid_mdp

TASK = GridTask(size=5, pits=((1, 1), (2, 3), (3, 1)), trap=(2, 0), slip=0.2)
RIM = np.where(np.arange(25) % 5 == 4, 2, 1)
GAMMA = 0.95


@pytest.fixture
def arrows() -> Arrows:
    return Arrows(TASK, RIM, GAMMA)


def worth(policy) -> np.ndarray:
    mdp = grid_mdp(TASK)
    return dp.policy_evaluation(mdp.P, mdp.R, policy, GAMMA, terminal=mdp.terminal)


# --- the policy being edited


def test_arrows_are_worth_what_policy_evaluation_says(arrows):
    assert np.allclose(arrows.V, worth(RIM), atol=1e-5)
    arrows.point(2)
    changed = RIM.copy()
    changed[0] = 2
    assert np.allclose(arrows.V, worth(changed), atol=1e-5)


def test_four_turns_are_none(arrows):
    for _ in range(4):
        arrows.turn()
    assert (arrows.policy == RIM).all()


def test_improving_until_nothing_changes_gives_the_best_values(arrows):
    for _ in range(10):
        arrows.improve()
    mdp = grid_mdp(TASK)
    assert arrows.is_best
    best = dp.value_iteration(mdp.P, mdp.R, GAMMA, terminal=mdp.terminal)
    assert np.allclose(arrows.V, best, atol=1e-5)
    assert arrows.rounds == 2  # then nothing changed


def test_three_arrows_are_enough_for_more_than_a_fifth(arrows):
    """As the notebook says."""
    for cell, action in (((2, 2), 2), ((1, 3), 0), ((1, 0), 0)):
        arrows.cell = TASK.state(cell)
        arrows.point(action)
    assert arrows.V[0] > 0.2


def test_a_terminal_cell_has_no_arrow(arrows):
    assert arrows.choose(1.5, 1.5)
    arrows.turn()
    assert (arrows.policy == RIM).all()


def test_the_grid_ends_at_its_walls(arrows):
    arrows.move(-1, 0)
    arrows.move(0, -1)
    assert arrows.cell == 0
    assert not arrows.choose(5.2, 1.0)
    assert not arrows.choose(1.0, -0.1)


def test_starting_over_takes_everything_back(arrows):
    arrows.improve()
    arrows.reset()
    assert (arrows.policy == RIM).all()
    assert arrows.rounds == 0
    assert not arrows.is_best


# --- its picture


def test_a_click_turns_the_arrow_of_its_cell():
    canvas = arrow_editor(TASK, RIM, GAMMA)
    before = canvas.png
    canvas.send("down", x=2.5, y=3.5)
    assert canvas.caption.value.startswith("Row 3, column 2: arrow down")
    assert canvas.png != before


def test_the_keyboard_can_do_what_the_pointer_can():
    canvas = arrow_editor(TASK, RIM, GAMMA)
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "s"):
        canvas.send("key", key=key)
    assert canvas.caption.value.startswith("Row 1, column 2: arrow down")
    canvas.send("key", key=" ")
    assert "arrow left" in canvas.caption.value
    canvas.send("key", key="ArrowLeft")
    assert "the episode ends here" in canvas.caption.value


def test_the_buttons_in_the_picture_are_the_keys_g_and_r():
    by_key, by_click = arrow_editor(TASK, RIM, GAMMA), arrow_editor(TASK, RIM, GAMMA)
    by_key.send("key", key="g")
    by_click.send("down", x=1.5, y=6.1)
    assert by_click.caption.value == by_key.caption.value
    assert "Rounds of improvement: 1." in by_key.caption.value
    by_key.send("key", key="g")
    assert "No policy is worth more" in by_key.caption.value
    by_click.send("down", x=4.0, y=6.1)
    assert "Rounds" not in by_click.caption.value


def test_between_the_buttons_nothing_happens():
    canvas = arrow_editor(TASK, RIM, GAMMA)
    before = canvas.caption.value
    for x, y in ((2.85, 6.1), (1.5, 5.5), (9.0, 6.1)):
        canvas.send("down", x=x, y=y)
        canvas.send("up", x=x, y=y)
    assert canvas.caption.value == before


def test_the_alternative_text_names_the_keys():
    canvas = arrow_editor(TASK, RIM, GAMMA)
    assert set(KEYS) == set(canvas._surface.listen)
    for word in ("arrow keys", "space", "W, A, S and D", "G", "R"):
        assert word in canvas.text


# --- the discount's explorer


@pytest.mark.parametrize(("gamma", "share"), [(0.8, "in the trap 84 %"), (0.99, "at the goal 97 %")])
def test_a_short_horizon_ends_in_the_trap_and_a_long_one_at_the_goal(gamma, share):
    explorer = pictures.gamma_explorer(TASK)
    explorer.explore(gamma=gamma)
    assert share in explorer.caption.value


@pytest.mark.parametrize(("gamma", "words"), [(0.97, ""), (0.99, "horizon: 100 steps →")])
def test_a_horizon_beyond_the_axis_is_written_at_its_end(gamma, words):
    figure = Figure()
    pictures.discount(TASK)(figure)(gamma, 0.2)
    assert figure.axes[1].texts[-1].get_text() == words


def test_without_slips_the_goal_is_worth_what_the_caption_counts():
    explorer = pictures.gamma_explorer(TASK)
    explorer.explore(gamma=0.9, slip=0.0)
    mdp = grid_mdp(GridTask(size=5, pits=TASK.pits, trap=TASK.trap, slip=0.0))
    V = dp.value_iteration(mdp.P, mdp.R, 0.9, terminal=mdp.terminal)
    costs = 0.01 * (1 - 0.9**8) / (1 - 0.9)
    assert V[0] == pytest.approx(0.9**7 - costs, abs=1e-6)
    assert f"counts {0.9**7:.2f}" in explorer.caption.value
    assert "at the goal 100 %" in explorer.caption.value


def test_where_episodes_end_agrees_with_playing_them():
    mdp, random = grid_mdp(TASK), np.random.default_rng(0)
    ends = []
    for _ in range(1000):
        state = 0
        while not mdp.terminal[state]:
            state = random.choice(25, p=mdp.P[state, RIM[state]])
        ends.append(state)
    goal, pits = np.mean(np.equal(ends, 24)), np.isin(ends, TASK.pit_states).mean()
    told = pictures.ending(TASK, mdp, RIM)
    shares = dict(zip(("goal", "pit"), (int(word) for word in told.split() if word.isdigit()), strict=False))
    assert shares["goal"] == pytest.approx(100 * goal, abs=5)
    assert int(told.split("in a pit ")[1].split()[0]) == pytest.approx(100 * pits, abs=5)


def test_a_policy_that_never_ends_is_said_to_end_nowhere():
    assert "nowhere 100 %" in pictures.ending(TASK, grid_mdp(TASK), np.zeros(25, dtype=int))


def test_a_grid_without_a_trap_has_an_explorer_too():
    explorer = pictures.gamma_explorer(GridTask(size=4, slip=0.1))
    assert "trap" not in explorer.caption.value


# --- value iteration, sweep by sweep


def test_the_stepper_ends_near_the_best_values():
    stepper = Stepper(pictures.sweeps(TASK, GAMMA, 31), 31, alt="sweeps")
    assert "Nothing is known" in stepper.caption.value
    for step in (1, 2, 30):
        stepper.explore(step=step)
        assert f"<b>{step} sweep" in stepper.caption.value
    error = float(stepper.caption.value.split()[-1].rstrip("."))
    assert 0 < error <= GAMMA**30


# --- pictures


def test_a_value_map_shows_numbers_colors_and_one_frame():
    figure = Figure()
    board = ValueMap(figure.subplots(), TASK)
    V = worth(RIM)
    board.show(V, RIM)
    on_light, on_dark = board._dark.texts, board._light.texts
    assert len(on_light) + len(on_dark) == 20  # every cell but the goal, three pits and the trap
    assert on_light[0] == f"{V[0]:.2f}"
    assert on_dark == [f"−{-V[state]:.2f}" for state in (5, 11, 12, 15)], "minus signs, not hyphens"
    first = np.array(board._image.get_array())
    board.show(np.zeros(25))
    assert (np.array(board._image.get_array()) != first).any()
    board.frame(7)
    assert board._frame.get_xy() == (2, 1)
    assert board._frame.get_visible()
    board.frame(None)
    assert not board._frame.get_visible()


def test_the_first_figure_names_all_five_parts_twice():
    figure = Figure()
    pictures.five_parts(figure, TASK)
    texts = " ".join(text.get_text() for ax in figure.axes for text in ax.texts)
    assert all(texts.count(mark) == 2 for mark in "①②③④⑤")
    assert not plt.get_fignums()


def test_the_first_moves_are_those_of_the_start():
    task = GridTask(size=3, start=(2, 1), goal=(0, 1), slip=0.0)
    moves = pictures.first_moves(task, np.array([0.5, 0.9]))
    assert moves[:, 0] == pytest.approx([-0.01 + 0.5 * 0.99, -0.01 + 0.9 * 0.99])
    assert (moves.argmax(axis=1) == 0).all()


def test_the_revealed_picture_crosses_where_right_beats_down():
    gammas = np.array([0.7, 0.9])
    figure = Figure()
    pictures.two_ways(figure, gammas, np.array([[0, 1, 2, 0], [0, 4, 3, 0]]), turns=0.9, guess=0.6)
    right, down, crossing, guess = figure.axes[0].lines
    assert np.asarray(right.get_ydata()).tolist() == [1, 4]
    assert np.asarray(down.get_ydata()).tolist() == [2, 3]
    assert np.allclose(crossing.get_xydata(), [[0.9, 4]])
    assert np.asarray(guess.get_xdata()).tolist() == [0.6, 0.6]


def test_two_arrows_lift_the_policy_above_a_fifth():
    edited = RIM.copy()
    edited[TASK.state((1, 0))], edited[TASK.state((1, 3))] = ACTIONS.index("left"), ACTIONS.index("up")
    assert (edited != RIM).sum() == 2
    assert worth(edited)[0] > 0.2
