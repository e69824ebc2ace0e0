r"""Trials: several episodes in the same task, played by a network that remembers.

The network sees at step t of a trial

    x_t = (observation, previous action, previous reward, whether the previous step ended an episode)

and its hidden state goes from step to step, over the ends of episodes as well; only a new trial, which is a
new task, starts from zeros. All the agent can know about its task stands in these inputs, so a policy over
them can adapt without a gradient step.

Reference: Duan et al. (2016), "RL^2: Fast reinforcement learning via slow reinforcement learning",
https://arxiv.org/abs/1611.02779, section 2.2; Wang et al. (2016), "Learning to reinforcement learn",
https://arxiv.org/abs/1611.05763.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from mlearn_utils.rl.actions import Actions, DiscreteActions
from mlearn_utils.rl.rollout import BatchEnv, check_played, part_of


class Trials(NamedTuple):
    """B = T * E trials side by side, their steps without gaps: [step S, trial B], padded at the end.

    Steps of an episode that had ended while others went on are cut out, so that a recurrent network runs
    through a trial's own steps one after the other.

    Attributes:
        inputs: [S, B, I] what the network saw.
        act: [S, B] int64 what was done, or [S, B, D] float32.
        reward: [S, B] what was paid, seen or not.
        mask: [S, B] 1 for every step taken.
        logp: [S, B] log-probabilities of the actions when they were taken.
        clock: [S, B] when the step was taken, counted as if every episode lasted for the whole horizon.
        returns: [N, B] undiscounted return of each of the N episodes.
    """

    inputs: Tensor
    act: Tensor
    reward: Tensor
    mask: Tensor
    logp: Tensor
    clock: Tensor
    returns: Tensor


class MemoryNetwork(nn.Module):
    """Inputs [S, B, I] -> action parameters [S, B, W] and values [S, B], with a hidden state or without.

    Args:
        inputs: I.
        outputs: W.
        hidden: units of the GRU.
        memory: False puts two tanh layers of twice as many units in the GRU's place.
    """

    def __init__(self, inputs: int, outputs: int, *, hidden: int, memory: bool):
        super().__init__()
        self.memory = memory
        width = hidden if memory else 2 * hidden
        if memory:
            self.body: nn.Module = nn.GRU(inputs, hidden)
        else:
            self.body = nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.policy, self.value = nn.Linear(width, outputs), nn.Linear(width, 1)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return action parameters [S, B, W], values [S, B], and the state [1, B, hidden] after step S.

        Args:
            x: [S, B, I].
            state: [1, B, hidden] before step 0; None is zeros, the start of a trial.
        """
        features, state = self.remember(x, state)
        return self.policy(features), self.value(features).squeeze(-1), state

    def remember(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return features [S, B, *] (of a GRU, its hidden state after each step) and the last state."""
        if self.memory:
            return self.body(x, state)
        return self.body(x), None


Built = TypeVar("Built", bound=nn.Module)


def build(
    make: Callable[[], Built], generator: torch.Generator, *, shrink: Mapping[str, float] | None = None
) -> Built:
    """Return a network whose weights come from a generator; torch's global one is left as it was.

    They are uniform in +-1/sqrt(n), as torch draws them: n the inputs of a linear layer, the units of a GRU.

    Args:
        make: makes the network, of linear layers and GRUs.
        generator: CPU generator.
        shrink: what the weights of a module of this name are multiplied with, such as {"policy": 0.01}.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = make()
        for name, module in network.named_modules():
            if isinstance(module, (nn.Linear, nn.GRU)):
                inputs = module.hidden_size if isinstance(module, nn.GRU) else module.in_features
                bound = (shrink or {}).get(name, 1.0) * inputs**-0.5
                for value in module.parameters(recurse=False):
                    value.copy_(bound * (2 * torch.rand(value.shape, generator=generator) - 1))
    return network


class InputEncoder(NamedTuple):
    """Makes the inputs [B, I] of one step, I = F + (A or D) + 2, and A or D more with `crossed`.

    Attributes:
        actions: the kind of actions.
        center: [F] what is subtracted from observations.
        scale: [F] what they are then divided by.
        crossed: whether the previous action comes a second time, times the previous reward.
    """

    actions: Actions
    center: Tensor
    scale: Tensor
    crossed: bool = False

    @property
    def action_size(self) -> int:
        """Entries for the previous action: one for each discrete action, D of continuous ones."""
        return self.actions.n if isinstance(self.actions, DiscreteActions) else self.actions.width // 2

    @property
    def width(self) -> int:
        """I, the number of inputs."""
        return len(self.scale) + self.action_size * (1 + self.crossed) + 2

    def action(self, act: Tensor) -> Tensor:
        """Return actions [B] or [B, D] as the network sees them, [B, A or D]."""
        if isinstance(self.actions, DiscreteActions):
            return nn.functional.one_hot(act, self.actions.n).float()
        return act.float()

    def __call__(self, obs: Tensor, act: Tensor, reward: Tensor, ended: Tensor) -> Tensor:
        """Return inputs [B, I].

        Args:
            obs: [B, F].
            act: [B, A or D] the previous action as `action` makes it; zeros at the start of a trial.
            reward: [B] the previous reward as far as it may be seen, else 0.
            ended: [B] 1 where the previous step ended an episode of this trial.
        """
        reward = reward[:, None]
        parts = ((obs - self.center) / self.scale, act, reward, ended[:, None], act * reward)
        return torch.cat(parts if self.crossed else parts[:-1], dim=-1)


@torch.no_grad()
def play_trials(
    env: BatchEnv,
    network: MemoryNetwork,
    encode: InputEncoder,
    *,
    episodes: int,
    generator: torch.Generator,
    seen_episodes: int | None = None,
    greedy: bool = False,
    wipe: bool = False,
) -> Trials:
    """Play one trial in every environment.

    Args:
        env: T tasks x E environments.
        network: which plays; it sees what `encode` makes.
        encode: of the environments' observations and actions.
        episodes: N, of each trial.
        generator: CPU generator; it seeds the environments and draws the actions, on any device the same.
        seen_episodes: episodes whose rewards are seen; None for all. Later ones are paid, but read 0.
        greedy: take the most probable actions.
        wipe: forget at the end of each episode: the hidden state and the previous action, reward and end.

    Raises:
        ValueError: if an observation or a reward is not finite; step, task and environment are named.
    """

    def by_task(values: Tensor) -> Tensor:  # [S, B, ...] as [T, S, E, ...]
        return values.unflatten(1, (env.num_tasks, env.num_envs)).transpose(0, 1)

    device = encode.scale.device
    batch = env.num_tasks * env.num_envs
    tasks, of = part_of(env)
    drawn = slice(tasks.start * env.num_envs, tasks.stop * env.num_envs)
    steps: list[tuple[Tensor, ...]] = []
    returns = torch.zeros(episodes, batch, device=device)
    state = act_seen = reward_seen = ended = None
    for episode in range(episodes):
        obs = _rows(env.reset(seed=int(torch.randint(2**31 - 1, (), generator=generator))), device)
        noise = encode.actions.noise((env.horizon, of * env.num_envs), generator)[:, drawn].to(device)
        if wipe or act_seen is None or reward_seen is None or ended is None:
            state = None
            act_seen = torch.zeros(batch, encode.action_size, device=device)
            reward_seen = ended = torch.zeros(batch, device=device)
        is_seen = seen_episodes is None or episode < seen_episodes
        for step in range(env.horizon):
            alive = _flat(env.alive, device)
            x = encode(obs, act_seen, reward_seen, ended)
            outputs, _, after = network(x[None], state)
            outputs = outputs[0]
            act = encode.actions.best(outputs) if greedy else encode.actions.choose(outputs, noise[step])
            logp = encode.actions.log_prob(outputs, act)
            obs_after, reward, *_ = env.step(_as_env(act, env))
            reward = _flat(reward, device).float()
            clock = torch.full_like(reward, episode * env.horizon + step)
            steps.append((x, act, reward, alive.float(), logp, clock))
            returns[episode] += reward
            still = alive[:, None]
            state = after if state is None or after is None else torch.where(still, after, state)
            act_seen = torch.where(still, encode.action(act), act_seen)
            reward_seen = torch.where(alive, reward * is_seen, reward_seen)
            goes_on = _flat(env.alive, device)
            ended = torch.where(alive, (~goes_on).float(), ended)
            obs = _rows(obs_after, device)
            if not goes_on.any():
                break
    inputs, act, reward, mask, logp, clock = (torch.stack(values) for values in zip(*steps, strict=True))
    inputs, act, reward, mask, logp, clock = _without_gaps(mask, inputs, act, reward, mask, logp, clock)
    observations = inputs[..., : len(encode.scale)] * encode.scale + encode.center
    for name, values in (("observation", observations), ("reward", reward)):
        check_played(name, by_task(values), by_task(mask), of="a trial")
    return Trials(inputs, act, reward, mask, logp, clock, returns)


def trial_advantages(trials: Trials, values: Tensor, *, gamma: float, lam: float) -> Tensor:
    """Return generalised advantages [S, B] of whole trials, over the ends of their episodes.

    delta_t = r_t + gamma^k V_{t+1} - V_t and A_t = delta_t + gamma^k lam A_{t+1}, where k is 1, and at the
    end of an episode 1 and what was left of its horizon: a trial goes by the clock. Discounted by the steps
    taken alone, an episode that ends early would bring the next one nearer, and a policy could gain by
    falling. The last step of a trial is followed by nothing.

    Args:
        trials: as `play_trials` returns them.
        values: [S, B] V of each step.
        gamma: discount in [0, 1].
        lam: in [0, 1].
    """
    mask = trials.mask
    adv, after = torch.zeros_like(values), torch.zeros_like(values[0])
    next_value, next_mask, next_clock = after, after, trials.clock[-1] + 1
    for t in reversed(range(len(values))):
        discount = next_mask * gamma ** (next_clock - trials.clock[t]).clamp(min=1)
        delta = trials.reward[t] + discount * next_value - values[t]
        adv[t] = (delta + discount * lam * after) * mask[t]
        after, next_value, next_mask, next_clock = adv[t], values[t], mask[t], trials.clock[t]
    return adv


def _without_gaps(mask: Tensor, *fields: Tensor) -> list[Tensor]:
    """Return fields [S, B, ...] with each trial's own steps first, in order, cut to the longest trial."""
    longest = int(mask.sum(dim=0).max())
    order = torch.argsort(1 - mask, dim=0, stable=True)[:longest]
    return [_pick(field, order) for field in fields]


def _pick(field: Tensor, order: Tensor) -> Tensor:
    index = order.reshape(*order.shape, *[1] * (field.ndim - 2)).expand(-1, -1, *field.shape[2:])
    return field.gather(0, index)


def _flat(values: Any, device: torch.device) -> Tensor:
    """Return [T, E] as [B] on a device."""
    return torch.as_tensor(values).to(device).reshape(-1)


def _rows(obs: Any, device: torch.device) -> Tensor:
    """Return observations [T, E, F] as [B, F] float32 on a device."""
    return torch.as_tensor(obs, dtype=torch.float32).to(device).flatten(0, 1)


def _as_env(act: Tensor, env: BatchEnv) -> Any:
    """Return actions [B] or [B, D] in the form that the environments take, [T, E] or [T, E, D]."""
    shaped = act.reshape(env.num_tasks, env.num_envs, *act.shape[1:])
    return shaped.cpu().numpy() if isinstance(env.alive, np.ndarray) else shaped
