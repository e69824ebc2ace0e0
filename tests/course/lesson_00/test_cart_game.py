"""Lesson 00's game: its rules, its scripted players, and the page's half driven as the page drives it."""

import itertools

import numpy as np
import pytest

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.lesson_00 import cart_players as players
from mlearn_utils.course.lesson_00.cart_game import CartGame, caption
from mlearn_utils.course.lesson_00.cart_picture import lean
from mlearn_utils.course.lesson_00.cart_rounds import (
    FLIPPERS,
    LEFT,
    LUCKY,
    PHYSICS,
    PUSHES,
    RIGHT,
    ROUNDS,
    STEPS_PER_PUSH,
    Match,
    Round,
    coin_flip_returns,
    ending,
    signed,
    verdict,
)
from mlearn_utils.tasks.cartpole import FAMILIES, cartpole_step, fallen

PRAISE, LEARNED = "what learning to learn looks like", "you learned the task"

# --- the rules


def test_a_push_is_six_physics_steps_and_pays_the_familys_reward_of_the_state_reached():
    played, state = Round(-0.7), np.zeros(4)
    for action in (RIGHT, LEFT, LEFT, LEFT):
        reward = played.push(action)
        for _ in range(STEPS_PER_PUSH):
            state = cartpole_step(state, np.array(action), PHYSICS)
        assert np.array_equal(played.state, state)
        assert reward == FAMILIES["dirv"].reward(state, np.array(-0.7)) == played.rewards[-1]
        assert played.velocities[-1] == state[1]
    assert played.score == pytest.approx(sum(played.rewards))
    assert played.score > 0


def test_a_round_is_over_after_its_pushes_and_takes_no_more():
    played = Round(0.6)
    for k in range(PUSHES):
        assert not played.is_over
        played.push(k % 2)
    assert played.is_over
    assert ending(played) == ""
    with pytest.raises(ValueError, match="the round is over"):
        played.push(LEFT)


@pytest.mark.parametrize("action", [2, -1, 0.5, "left"])
def test_another_action_is_refused(action):
    with pytest.raises(ValueError, match="action must be 0"):
        Round(0.6).push(action)
    with pytest.raises(ValueError, match="action must be 0"):
        CartGame().play([action])


def test_nobody_has_to_balance():
    """The pole falls for no holder of a velocity, and off the track come only 13 pushes one way."""
    for target in np.linspace(-1, 1, 21):
        played = Round(target)
        while not played.is_over:
            played.push(players.steer(played, target))
        assert not played.has_fallen
        assert abs(np.degrees(played.state[2])) < 9
    for action in (LEFT, RIGHT):
        played = Round(0.0)
        while not played.is_over:
            played.push(action)
        assert len(played.rewards) == 13
        assert ending(played) == "The cart left the track"


def test_a_fallen_pole_ends_a_round():
    played = Round(0.5)
    played.state = np.array([0.0, 0.0, 0.205, 0.5])
    played.push(RIGHT)
    assert fallen(played.state)
    assert played.is_over
    assert ending(played) == "The pole fell"


def test_the_targets_are_of_the_family_and_on_opposite_sides():
    drawn = np.array([Match(seed).targets for seed in range(50)])
    assert ((abs(drawn) >= 0.5) & (abs(drawn) <= 1)).all()
    assert (np.sign(drawn[:, 0]) == -np.sign(drawn[:, 1])).all()
    assert 10 < (drawn[:, 0] > 0).sum() < 40
    assert len(np.unique(abs(drawn))) == drawn.size
    assert np.array_equal(Match(3).targets, Match(3).targets)


def test_a_match_is_four_rounds_two_a_task():
    match, seen = Match(9), []
    for k in range(ROUNDS):
        seen.append((match.task, match.now.target, match.is_task_over))
        with pytest.raises(ValueError, match="the next round begins when"):
            match.next_round()
        for _ in range(PUSHES):
            match.now.push(len(match.now.rewards) % 2)
        assert match.is_task_over == (k in (1, 3))
        assert len(match.scores) == k + 1
        if k < 3:
            match.next_round()
    a, b = match.targets
    assert seen == [(0, a, False), (0, a, False), (1, b, False), (1, b, False)]
    assert match.is_over
    with pytest.raises(ValueError, match="the next round begins when"):
        match.next_round()


# --- what the game says in the end


def played_game(seed, push) -> Match:
    """Return a finished game; `push` is called with the match before each push."""
    match = Match(seed)
    while True:
        while not match.now.is_over:
            match.now.push(push(match))
        if match.is_over:
            return match
        match.next_round()


def scored_game(scores, *, same_keys=False) -> Match:
    """Return a finished game whose rounds have these returns."""
    match = Match(9)
    match.rounds = [Round(match.targets[k // 2]) for k in range(ROUNDS)]
    for k, (played, score) in enumerate(zip(match.rounds, scores, strict=True)):
        played.rewards = [score / PUSHES] * PUSHES
        played.actions = [LEFT if same_keys else k % 2] * (PUSHES - 1) + [LEFT if same_keys else k // 2]
    return match


@pytest.mark.parametrize(
    ("scores", "within", "across"),
    [
        (
            (4, 13, 13, 13),
            "gained 9.0 from round 1 to round 2, and none of 1000 players who flip a coin for each push earn",
            "9.0 more than your first on A, although",
        ),
        (
            (4, 7, 8, 13),
            "players who flip a coin for each push earn as much as your round 2: no",
            "round 3: no sign",
        ),
        ((9, 9.5, 9.9, 3), "both rounds brought about the same", "brought about the same: no sign"),
        ((9, 4, 2, 12), "you lost 5.0 from round 1", "7.0 less than your first on A: no sign"),
    ],
)
def test_the_verdict_is_what_the_scores_say(scores, within, across):
    text = verdict(scored_game(scores))
    assert within in text
    assert across in text
    assert (PRAISE in text) == (LEARNED in text) == (scores[1] == 13)
    assert "One game is one sample" in text


def test_the_same_keys_are_no_learning_to_learn():
    text = verdict(scored_game((4, 4, 13, 13), same_keys=True))
    assert "9.0 more than your first on A, by the same keys: the difference lies in the targets" in text
    assert PRAISE not in text


def test_a_verdict_before_the_end_is_refused():
    with pytest.raises(ValueError, match="the verdict is of four rounds that are over"):
        verdict(Match(9))


def test_coin_flippers_earn_what_they_would_earn_in_rounds():
    flips = np.random.default_rng(3).integers(2, size=(PUSHES, 40))
    returns = coin_flip_returns(-0.7, 40, seed=3)
    for k in range(40):
        played = Round(-0.7)
        for action in flips[:, k]:
            if not played.is_over:
                played.push(int(action))
        assert returns[k] == pytest.approx(played.score)
    assert coin_flip_returns(0.5, 500).mean() > coin_flip_returns(1.0, 500).mean() + 1  # a slow one is easier


BLIND = {
    "right, left": lambda match: (RIGHT, LEFT)[len(match.now.rewards) % 2],
    "left, right": lambda match: (LEFT, RIGHT)[len(match.now.rewards) % 2],
    "right first on A, left first on B": lambda match: (len(match.now.rewards) + match.task + 1) % 2,
    "always right": lambda match: RIGHT,
    "always left": lambda match: LEFT,
    "hold 0.75 m/s": lambda match: players.steer(match.now, 0.75),
}


@pytest.mark.parametrize("name", BLIND)
def test_who_does_not_look_at_the_reward_is_never_praised(name):
    for seed in range(40):
        text = verdict(played_game(seed, BLIND[name]))
        assert PRAISE not in text
        assert LEARNED not in text


def test_who_flips_coins_is_hardly_ever_praised_and_who_learns_often():
    rng, n_games = np.random.default_rng(1), 100
    coins = [verdict(played_game(k, lambda match: int(rng.integers(2)))) for k in range(n_games)]
    assert sum(PRAISE in text for text in coins) <= 5 * n_games * LUCKY / FLIPPERS
    assert sum(LEARNED in text for text in coins) <= 5 * n_games * LUCKY / FLIPPERS

    def knows_on_b(match):  # flips coins on A, and on B knows what kind of thing to look for
        return players.experienced(match.rounds[2:], rng) if match.task else int(rng.integers(2))

    learners = [verdict(played_game(k, knows_on_b)) for k in range(40)]
    assert sum(PRAISE in text for text in learners) > 20


def test_numbers_in_words():
    assert [signed(x) for x in (0.5, -0.526)] == ["+0.50", "−0.53"]
    assert lean(0.0) == "pole leans 0.0°"
    assert lean(-0.0001) == "pole leans 0.0°"
    assert lean(np.radians(-2.0)) == "pole leans 2.0° left"
    assert lean(np.radians(2.04)) == "pole leans 2.0° right"


# --- the scripted players


@pytest.fixture(scope="module")
def returns() -> dict[str, np.ndarray]:
    """[T, 2] of each player on 30 tasks that the notebook does not use."""
    both = (players.newcomer, players.experienced)
    return {player.__name__: players.play_tasks(player, 30, seed=500).sum(axis=-1) for player in both}


def test_the_newcomer_learns_within_a_task(returns):
    _, low, _ = interval(returns["newcomer"][:, 1] - returns["newcomer"][:, 0])
    assert low > 0


def test_knowing_the_family_is_a_head_start_of_about_a_round(returns):
    newcomer, experienced = returns["newcomer"], returns["experienced"]
    _, low, _ = interval(experienced[:, 0] - newcomer[:, 0])
    assert low > 0.5
    assert abs(experienced[:, 0].mean() - newcomer[:, 1].mean()) < 1.5
    assert experienced.min() > 10  # it finds every target


def test_players_know_only_what_they_are_told():
    """Whatever the target, the same rewards so far give the same push."""
    rng = np.random.default_rng(0)
    for player in (players.newcomer, players.experienced):
        pushes = []
        for target in (-0.8, 0.8):
            played = Round(target)
            played.push(RIGHT)
            played.push(RIGHT)
            played.rewards = [0.2, 0.5]
            pushes.append(player([played], rng))
        assert pushes == [RIGHT, RIGHT]


def test_the_newcomer_follows_the_reward_then_holds_the_best():
    played = Round(0.9)
    played.push(RIGHT)
    played.push(LEFT)
    rng = np.random.default_rng(0)
    for rewards, expected in (([0.2, 0.1], RIGHT), ([0.1, 0.2], LEFT)):
        played.rewards = rewards
        assert players.newcomer([played], rng) == expected
    played.rewards = [0.3, 0.3]
    assert {players.newcomer([played], rng) for _ in range(20)} == {LEFT, RIGHT}
    played.rewards = [0.9, 0.1]
    assert players.newcomer([played, Round(0.9)], rng) == RIGHT


def test_play_tasks_is_repeatable_and_pads_with_zeros():
    rewards = players.play_tasks(lambda rounds, rng: RIGHT, 3, seed=1)
    assert rewards.shape == (3, 2, PUSHES)
    assert (rewards[:, :, 13:] == 0).all()
    again = players.play_tasks(players.newcomer, 3, seed=1)
    assert np.array_equal(again, players.play_tasks(players.newcomer, 3, seed=1))


# --- the widget


def test_keys_and_buttons_do_the_same():
    keys, buttons = CartGame(seed=9), CartGame(seed=9)
    for key, button in (("ArrowLeft", buttons.left), ("ArrowRight", buttons.right)):
        keys.canvas.send("key", key=key)
        button.click()
    assert keys.match.now.actions == buttons.match.now.actions == [LEFT, RIGHT]
    assert keys.canvas.caption.value == buttons.canvas.caption.value
    assert keys.table.value == buttons.table.value
    assert keys.canvas.png == buttons.canvas.png


def test_a_whole_game_tells_what_happens():
    game = CartGame(seed=9)
    assert "Round 1 of 4, task A" in game.canvas.caption.value
    game.play([RIGHT])
    assert "Push 1 of 16, right: reward <strong>0.08</strong>." in game.canvas.caption.value
    game.play(itertools.repeat(LEFT, 3))
    assert "(before:" in game.canvas.caption.value
    game.play([RIGHT, LEFT] * 6)
    assert "Round 1 is over" in game.canvas.caption.value
    assert "revealed" not in game.canvas.caption.value
    assert game.scores == [pytest.approx(game.match.rounds[0].score)]
    game.next.click()
    assert "the same hidden reward again" in game.canvas.caption.value
    game.play([LEFT, RIGHT] * 8)
    assert "Task A revealed:</strong> what paid was a velocity, best at −0.64 m/s (left)" in caption(
        game.match
    )
    assert game.table.value.count("−0.64 m/s") == 2
    assert game.table.value.count(">?</td>") == 2
    game.play([RIGHT, RIGHT, RIGHT, *[LEFT, RIGHT] * 6, LEFT, *[RIGHT, LEFT] * 8])
    assert game.match.is_over
    assert "The game is over." in game.canvas.caption.value
    assert verdict(game.match) in game.canvas.caption.value
    assert ">?<" not in game.table.value


def test_between_rounds_pushes_do_nothing_and_enter_only_when_a_round_is_over():
    game = CartGame(seed=2)
    game.canvas.send("key", key="Enter")
    assert len(game.match.rounds) == 1
    game.play([LEFT, RIGHT] * 8)
    over = game.canvas.caption.value
    game.right.click()  # ipywidgets logs what a click raises; the caption would show it
    assert len(game.match.now.rewards) == PUSHES
    assert game.canvas.caption.value == over
    game.canvas.send("key", key="Enter")
    assert len(game.match.rounds) == 2
    game.play([LEFT, RIGHT] * 24)
    game.next.click()
    game.left.click()
    assert game.match.is_over
    assert len(game.match.rounds) == ROUNDS
    with pytest.raises(ValueError, match="the next round begins when"):
        game.play([LEFT])


def test_a_click_on_the_picture_only_focuses_it():
    game = CartGame()
    before = game.canvas.png
    game.canvas.send("down", 1.0, 0.0)
    game.canvas.send("up", 1.0, 0.0)
    assert game.match.now.rewards == []
    assert game.canvas.png == before


def test_a_new_game_has_new_tasks_and_an_empty_table():
    game = CartGame(seed=9)
    empty = game.table.value
    game.play([LEFT, RIGHT] * 16)
    game.new.click()
    assert game.seed == 10
    assert np.array_equal(game.match.targets, Match(10).targets)
    assert game.table.value == empty
    assert "Round 1 of 4" in game.canvas.caption.value


def test_a_round_that_ends_early_says_so_and_the_next_begins():
    game = CartGame(seed=9)
    game.play([RIGHT] * 13)
    assert "The cart left the track: the round ends early." in game.canvas.caption.value
    assert game.scores == [game.match.now.score]
    game.play([LEFT])
    assert len(game.match.rounds) == 2


def test_the_display_has_a_picture_and_stable_text_without_a_kernel():
    bundle, facts = CartGame(seed=9)._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Game: A cart with a pole")
    assert bundle["image/png"] == CartGame(seed=9)._repr_mimebundle_()[0]["image/png"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert facts["image/png"]["width"] > 300


def test_the_hidden_target_is_not_shown_before_the_reveal():
    game = CartGame(seed=9)
    game.play([LEFT, RIGHT] * 8)
    for shown in (game.canvas.caption.value, game.table.value, str(game._repr_mimebundle_())):
        assert signed(game.match.targets[0]) not in shown
        assert signed(game.match.targets[1]) not in shown
