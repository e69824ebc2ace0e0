"""Learning to act in context from labels, on bandits: no reward is maximised, and yet the network adapts.

Two ways, both supervised:

- **decision pretraining**: from the counts of a history predict the best arm of its bandit. With
  cross-entropy the best prediction is P(best | history), so drawing arms from it is Thompson sampling. The
  label needs to know the arms' true chances; the prior is that from which the histories' bandits were drawn.
- **distillation**: from the history of a learner predict what that learner pulls next. A network that has
  seen whole learning histories improves within one, as its teacher does, with its weights fixed.

References: Lee et al. (2023), "Supervised pretraining can learn in-context reinforcement learning",
https://arxiv.org/abs/2306.14892; Laskin et al. (2022), "In-context reinforcement learning with algorithm
distillation", https://arxiv.org/abs/2210.14215.
"""

import numpy as np
import torch
from torch import Tensor, nn

from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.meta.policies.trials import InputEncoder, build
from mlearn_utils.rl.bandit_histories import HistoryPolicy
from mlearn_utils.rl.bayes_bandit import Rule
from mlearn_utils.rl.policies import choose
from mlearn_utils.runtime import check_integer, check_positive, make_generator
from mlearn_utils.tasks.bandit import BernoulliBandits


class ArmScorer(nn.Module):
    """Counts [N, A, 2] -> a logit of each arm [N, A]; the arms may be permuted, and so are the logits.

    Every arm is described by its own counts and by the sum of what the others' say.

    Args:
        hidden: units of each layer.
    """

    def __init__(self, hidden: int = 64):
        super().__init__()
        self.each = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.score = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, counts: Tensor) -> Tensor:
        """Return logits [N, A] for losses and wins [N, A, 2]."""
        pulls = counts.sum(dim=-1, keepdim=True)
        mean = (counts[..., 1:] + 1) / (pulls + 2)
        own = self.each(torch.cat((counts / 10, mean, 1 / (pulls + 2).sqrt()), dim=-1))
        others = own.sum(dim=-2, keepdim=True) - own
        return self.score(torch.cat((own, others), dim=-1)).squeeze(-1)


def train_arm_scorer(
    bandits: BernoulliBandits,
    *,
    pulls: int,
    updates: int = 1500,
    histories: int = 512,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> ArmScorer:
    """Train a network to name the best arm of a bandit from the counts of a history: decision pretraining.

    The histories are played by nobody in particular: arms are drawn with probabilities that differ from one
    history to the next (Dirichlet(1)), for 0 to `pulls` - 1 pulls.

    Args:
        bandits: the family; one without a safe arm.
        pulls: how many a player will have, >= 1.
        updates: Adam steps, each on new histories.
        histories: of an update.
        learning_rate: Adam's at the start; it falls to 0 by a cosine.
        seed: of the first weights, the bandits and the histories.

    Raises:
        ValueError: if a count is not an integer >= 1, the rate is not > 0, or there is a safe arm.
    """
    for name, value in (("pulls", pulls), ("updates", updates), ("histories", histories)):
        check_integer(name, value, minimum=1)
    check_positive("learning_rate", learning_rate)
    _check_unsafe(bandits)
    generator, rng = make_generator(seed), np.random.default_rng(seed)
    network = build(ArmScorer, generator)
    adam = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, updates)
    for _ in range(updates):
        chances = rng.uniform(size=(histories, bandits.n_arms))
        counts = random_counts(chances, rng.integers(0, pulls, histories), rng)
        loss = nn.functional.cross_entropy(
            network(torch.from_numpy(counts).float()), torch.from_numpy(chances.argmax(axis=1))
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
    return network


def random_counts(chances: np.ndarray, pulls: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return losses and wins [H, A, 2] of histories whose arms are drawn with random probabilities.

    Args:
        chances: [H, A] of each history's bandit.
        pulls: [H] how many.
        rng: generator.
    """
    weights = rng.dirichlet(np.ones(chances.shape[1]), size=len(chances))
    n = rng.multinomial(pulls, weights)
    wins = rng.binomial(n, chances)
    return np.stack((n - wins, wins), axis=-1)


def network_rule(network: ArmScorer, *, greedy: bool = False) -> Rule:
    """Return a trained network as a rule of counts: drawing from its probabilities, or its first choice."""

    def rule(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits = network(torch.from_numpy(np.stack((losses, wins), axis=-1)).float()).double()
        if greedy:
            best = (logits >= logits.max(dim=1, keepdim=True).values - 1e-6).double()  # but for rounding
            return (best / best.sum(dim=1, keepdim=True)).numpy()
        return logits.softmax(dim=1).numpy()

    return rule


def learning_histories(
    rule: Rule, bandits: BernoulliBandits, *, pulls: int, histories: int, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return arms [H, S] int64 and rewards [H, S] of a rule that learns on bandits of its own, each anew.

    Args:
        rule: of counts.
        bandits: the family; one without a safe arm.
        pulls: S of each history.
        histories: H.
        seed: of the bandits and the luck.

    Raises:
        ValueError: if a count is not an integer >= 1, or there is a safe arm.
    """
    check_integer("pulls", pulls, minimum=1)
    check_integer("histories", histories, minimum=1)
    _check_unsafe(bandits)
    chances = bandits.sample(histories, seed=seed).chances
    rng = np.random.default_rng([seed, 1])
    wins, losses = np.zeros_like(chances, dtype=int), np.zeros_like(chances, dtype=int)
    arms, rewards, row = [], [], np.arange(histories)
    for _ in range(pulls):
        below = rule(wins, losses).cumsum(axis=1)[:, :-1]
        arm = (rng.uniform(size=(histories, 1)) >= below).sum(axis=1)
        won = rng.uniform(size=histories) < chances[row, arm]
        wins[row, arm] += won
        losses[row, arm] += ~won
        arms.append(arm)
        rewards.append(won)
    return torch.from_numpy(np.stack(arms, axis=1)), torch.from_numpy(np.stack(rewards, axis=1)).float()


def bandit_inputs(encode: InputEncoder, arms: Tensor, rewards: Tensor) -> Tensor:
    """Return [S + 1, H, I] what a `MemoryAgent` sees before each pull of histories [H, S] and after the last.

    Args:
        encode: of an agent on `BernoulliBandits`, one pull an episode.
        arms: [H, S] int64.
        rewards: [H, S].
    """
    pulled = encode.action(arms.T)
    zero = pulled.new_zeros(1, *pulled.shape[1:])
    acts, paid = torch.cat((zero, pulled)), torch.cat((zero[..., 0], rewards.T.float()))
    ended = torch.ones_like(paid)
    ended[0] = 0.0
    steps = zip(acts, paid, ended, strict=True)
    seen = torch.ones(len(arms), len(encode.scale))
    return torch.stack([encode(seen, *step) for step in steps])


def agent_policy(agent: MemoryAgent, *, greedy: bool = False) -> HistoryPolicy:
    """Return an agent trained on bandits as a policy of histories, for `rl.bandit_histories.policy_value`.

    Args:
        agent: on `BernoulliBandits`, one pull an episode.
        greedy: the most probable arm instead of the probabilities.
    """

    @torch.no_grad()
    def policy(arms: Tensor, rewards: Tensor) -> Tensor:
        logits = agent.network(bandit_inputs(agent.encode, arms, rewards))[0][-1].double()
        if logits.shape[1] == 1:
            logits = torch.cat((torch.zeros_like(logits), logits), dim=1)
        if greedy:
            return nn.functional.one_hot(logits.argmax(dim=1), logits.shape[1]).double()
        return logits.softmax(dim=1)

    return policy


class Imitator(nn.Module):
    """Reads arms and rewards and says what the learner whose history it is will pull next.

    Args:
        n_arms: A.
        hidden: units.
        memory: a GRU; False is a network that sees the last pull alone.
    """

    def __init__(self, n_arms: int, *, hidden: int = 64, memory: bool = True):
        super().__init__()
        self.n_arms, self.memory = n_arms, memory
        layer = (
            nn.GRU(2 * n_arms, hidden) if memory else nn.Sequential(nn.Linear(2 * n_arms, hidden), nn.Tanh())
        )
        self.body, self.head = layer, nn.Linear(hidden, n_arms)

    def forward(self, arms: Tensor, rewards: Tensor) -> Tensor:
        """Return [S + 1, H, A] logits before each pull of histories [H, S], and after the last."""
        pulled = nn.functional.one_hot(arms.T, self.n_arms).float()
        x = torch.cat((pulled, pulled * rewards.T[..., None]), dim=-1)
        start = x.new_zeros(1, len(arms), 2 * self.n_arms)
        return self.head(self._remember(torch.cat((start, x)), None)[0])

    def policy(self) -> HistoryPolicy:
        """Return what it does as a policy of histories, for `rl.bandit_histories.policy_value`."""

        def policy(arms: Tensor, rewards: Tensor) -> Tensor:
            with torch.no_grad():
                return self(arms, rewards.float())[-1].double().softmax(dim=1)

        return policy

    @torch.no_grad()
    def play(self, chances: np.ndarray, *, pulls: int, seed: int = 0) -> Tensor:
        """Return rewards [H, S] that it earns on bandits [H, A], each with a history of its own."""
        check_integer("pulls", pulls, minimum=1)
        generator, table = make_generator(seed), torch.from_numpy(chances).float()
        state, rewards = None, []
        x = torch.zeros(1, len(table), 2 * self.n_arms)
        for _ in range(pulls):
            features, state = self._remember(x, state)
            arm = choose(self.head(features[0]), torch.rand(len(table), generator=generator))
            chance = table.gather(1, arm[:, None]).squeeze(1)
            reward = (torch.rand(len(table), generator=generator) < chance).float()
            pulled = nn.functional.one_hot(arm, self.n_arms).float()
            x = torch.cat((pulled, pulled * reward[:, None]), dim=-1)[None]
            rewards.append(reward)
        return torch.stack(rewards, dim=1)

    def _remember(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self.body(x, state) if self.memory else (self.body(x), None)


def distill(
    arms: Tensor,
    rewards: Tensor,
    *,
    n_arms: int,
    memory: bool = True,
    updates: int = 1000,
    histories: int = 256,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> Imitator:
    """Train an imitator on learning histories [H, S], as `learning_histories` returns them.

    Args:
        arms: [H, S] int64.
        rewards: [H, S].
        n_arms: A.
        memory: of the imitator.
        updates: Adam steps.
        histories: of an update, drawn from those given.
        learning_rate: Adam's at the start; it falls to 0 by a cosine.
        seed: of the first weights and the draws.

    Raises:
        ValueError: if a count is not an integer >= 1, the rate is not > 0, or `arms` and `rewards` differ in
            shape.
    """
    for name, value in (("n_arms", n_arms), ("updates", updates), ("histories", histories)):
        check_integer(name, value, minimum=1)
    check_positive("learning_rate", learning_rate)
    if arms.shape != rewards.shape or arms.ndim != 2:
        raise ValueError(
            f"arms and rewards must be [H, S] alike, got {list(arms.shape)} and {list(rewards.shape)}"
        )
    generator = make_generator(seed)
    network = build(lambda: Imitator(n_arms, memory=memory), generator)
    adam = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, updates)
    for _ in range(updates):
        chosen = torch.randint(len(arms), (histories,), generator=generator)
        logits = network(arms[chosen, :-1], rewards[chosen, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), arms[chosen].T.flatten())
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        schedule.step()
    return network


def _check_unsafe(bandits: BernoulliBandits) -> None:
    if bandits.safe is not None:
        raise ValueError(f"bandits must have no safe arm, got {bandits}")
