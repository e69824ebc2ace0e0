"""Q-learning and SARSA agents: learn what each action is worth from single transitions, without a model.

The update itself is `td_update`; an agent adds the table, the exploration and the loop through a Gymnasium
environment.

References: Watkins and Dayan, Q-learning, Machine Learning 8, 1992; Sutton and Barto, Reinforcement Learning:
An Introduction, 2nd ed. 2018, sections 6.4 and 6.5, and 8.2 (Dyna-Q) for learning from replayed transitions.
"""

import math
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from mlearn_utils.rl.discretizer import Discretizer
from mlearn_utils.rl.gymnasium_batch import check_spaces, checked_reset, checked_step
from mlearn_utils.rl.replay import ReplayPool, Transition
from mlearn_utils.rl.schedules import (
    DEFAULT_EPSILON,
    DEFAULT_LEARNING_RATE,
    Schedule,
    at_episode,
    check_learning_rate,
    check_unit_interval,
)
from mlearn_utils.rl.temporal_difference import epsilon_greedy, td_update
from mlearn_utils.runtime import check_fraction, check_integer, make_rng, next_seed
from mlearn_utils.tasks.tabular import FloatArray

History: TypeAlias = list[dict[str, Any]]


class QLearningAgent:
    """Tabular Q-learning in a Gymnasium environment with discrete actions.

    The defaults run everywhere and learn CartPole-v1 with most seeds, but no setting is good everywhere: for
    more, choose the schedules and the bins of the discretizer. `tests/benchmarks/bench_q_learning.py` holds
    settings that were measured.

    Args:
        env: an environment with Discrete actions and Discrete or Box observations.
        learning_rate: step size > 0, or a schedule over episodes; by default it falls from 0.5 to 0.05 over
            the first 1500 episodes.
        gamma: discount in [0, 1].
        epsilon: probability of a random action in [0, 1], or a schedule over episodes; by default it falls
            from 1 to 0.05 over the first 500 episodes.
        replay: learn from this many stored transitions after every step, too.
        discretizer: maps an observation of any kind to a state in 0..n_states-1, and says `n_states`; where
            the observations are a Box and none is given, `Discretizer.from_env(env)`.

    Attributes:
        q_table: [S, A] value of each action.
        episodes: number of episodes trained so far.

    Raises:
        TypeError: if `env` is not such an environment.
        ValueError: if a setting is outside its range.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        learning_rate: float | Schedule = DEFAULT_LEARNING_RATE,
        gamma: float = 0.99,
        epsilon: float | Schedule = DEFAULT_EPSILON,
        replay: int = 0,
        discretizer: Discretizer | None = None,
    ) -> None:
        observations, actions = check_spaces(env, discrete=True, any_observations=discretizer is not None)
        check_fraction("gamma", gamma)
        check_integer("replay", replay, minimum=0, expected="a number of transitions >= 0")
        self.env, self.gamma, self.replay = env, gamma, replay
        self.learning_rate, self.epsilon = learning_rate, epsilon
        self.episodes = 0
        self._begin_episode()
        if isinstance(observations, spaces.Discrete) and discretizer is None:
            n_states, self._first_state = int(observations.n), int(observations.start)
        else:
            discretizer = discretizer or Discretizer.from_env(env)
            n_states, self._first_state = discretizer.n_states, 0
        self.discretizer = discretizer
        assert isinstance(actions, spaces.Discrete)
        self.q_table = np.zeros((n_states, int(actions.n)))
        self._first_action = int(actions.start)
        self._pool = ReplayPool()
        self._rng = np.random.default_rng(0)
        self._seed: int | None = None  # of the last call of train
        self._env_seed: int | None = None  # what the environment's next reset is given

    def train(self, episodes: int, *, seed: int | None = None) -> History:
        """Learn from `episodes` more episodes; everything goes on from where the last call ended.

        `train(2)` after `train(3)` is `train(5)`, also with an `evaluate` between them: schedules go on, and
        so do the random numbers of the environment and of the agent. (`act` draws from the agent's too.)

        Args:
            episodes: number of episodes.
            seed: of the environment and of the agent's own draws; None is the last one used, 0 at first.
                Another seed starts another stream of random numbers.

        Returns:
            One row per episode: "episode", "return" (undiscounted), "steps", "epsilon".

        Raises:
            ValueError: if `episodes` is not an integer >= 1 or `seed` not one >= 0, or the environment gives
                a reward that is not finite; what was learned before that step stays in `q_table`.
        """
        check_integer("episodes", episodes, minimum=1)
        seed = next_seed(seed, self._seed)
        if seed != self._seed:
            self._rng, self._seed, self._env_seed = np.random.default_rng(seed), seed, seed
        history = []
        for _ in range(episodes):
            self._begin_episode()
            observation = checked_reset(self.env, self._env_seed)
            self._env_seed = None
            history.append(self._train_episode(self.state(observation)))
            self.episodes += 1
        return history

    def learn(self, transition: Transition) -> float:
        """Update `q_table` by one transition and return its TD error."""
        value, error = td_update(
            self.q_table,
            transition.state,
            transition.action,
            transition.reward,
            transition.next_state,
            transition.terminated,
            learning_rate=self._rate,
            gamma=self.gamma,
            next_action=transition.next_action,
        )
        self.q_table[transition.state, transition.action] = value
        return float(error)

    def act(self, observation: Any, *, greedy: bool = False) -> int:
        """Return an action for `observation`: a best one if `greedy`, else epsilon-greedy as in training."""
        epsilon = 0.0 if greedy else self._epsilon
        return self._first_action + epsilon_greedy(self.q_table[self.state(observation)], epsilon, self._rng)

    def state(self, observation: Any) -> int:
        """Return the row of `q_table` that belongs to an observation."""
        if self.discretizer is not None:
            return self.discretizer(observation)
        return int(observation) - self._first_state

    def evaluate(self, episodes: int = 100, *, seed: int = 0, max_steps: int = 1000) -> FloatArray:
        """Return the undiscounted returns [episodes] of greedy episodes; nothing is learned.

        Training goes on as if this had not been: the environment's and the agent's generators are put back.
        An episode is cut after `max_steps`: a poor greedy policy may walk in circles, and not every
        environment has a time limit (CliffWalking-v1 has none).

        Raises:
            ValueError: if `episodes` or `max_steps` is not an integer >= 1, or `seed` not one >= 0.
        """
        check_integer("episodes", episodes, minimum=1)
        check_integer("max_steps", max_steps, minimum=1)
        rng, in_training = make_rng(seed), (self._rng, self.env.unwrapped.np_random)
        self._rng = rng
        returns = np.zeros(episodes)
        try:
            for episode in range(episodes):
                observation, _ = self.env.reset(seed=int(seed) if episode == 0 else None)
                returns[episode] = self._greedy_return(observation, max_steps)
        finally:
            self._rng, self.env.unwrapped.np_random = in_training
        return returns

    def _greedy_return(self, observation: Any, max_steps: int) -> float:
        total = 0.0
        for _ in range(max_steps):
            action = self.act(observation, greedy=True)
            observation, reward, terminated, truncated, _ = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return total

    def _begin_episode(self) -> None:
        self._rate = at_episode(self.learning_rate, self.episodes)
        self._epsilon = at_episode(self.epsilon, self.episodes)
        check_learning_rate(self._rate)
        check_unit_interval("epsilon", self._epsilon)

    def _train_episode(self, state: int) -> dict[str, Any]:
        total, steps, ended, action = 0.0, 0, False, None
        while not ended:
            if action is None:
                action = self._choose(state)
            observation, reward, terminated, truncated = checked_step(self.env, self._first_action + action)
            steps += 1
            self._check_reward(reward, steps)
            next_state = self.state(observation)
            next_action = self._choose_ahead(next_state)
            self._experience(Transition(state, action, reward, next_state, terminated, next_action))
            total, ended = total + reward, terminated or truncated
            state, action = next_state, next_action
        return {"episode": self.episodes, "return": total, "steps": steps, "epsilon": float(self._epsilon)}

    def _experience(self, transition: Transition) -> None:
        self.learn(transition)
        if self.replay:
            self._pool.add(transition)
            for stored in self._pool.sample(self.replay, self._rng):
                self.learn(stored)

    def _choose(self, state: int) -> int:
        return epsilon_greedy(self.q_table[state], self._epsilon, self._rng)

    def _choose_ahead(self, next_state: int) -> int | None:
        """Return the next action if the update needs it, else None: then it is chosen after the update."""
        return None

    def _check_reward(self, reward: Any, step: int) -> None:
        if not math.isfinite(reward):
            raise ValueError(
                f"env returned the reward {reward} at step {step} of episode {self.episodes}, expected a "
                "finite number; training has stopped, q_table keeps what was learned before"
            )


class SarsaAgent(QLearningAgent):
    """Tabular SARSA: like `QLearningAgent`, but it learns what the exploring policy that it follows is worth.

    A replayed transition keeps the next action of its time, so replay lags behind a changing policy.
    """

    def _choose_ahead(self, next_state: int) -> int | None:
        return self._choose(next_state)
