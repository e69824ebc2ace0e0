# %% [markdown]
# # 03 · Policy gradients
#
# **You will be able to**
#
# - derive the score-function identity, and check it without sampling anything;
# - write REINFORCE with return to go, baseline and generalized advantages, and say what each is for;
# - measure the variance of a gradient estimate, and tell variance from bias;
# - train an agent that holds CartPole-v1 for 500 steps;
# - say what such an agent cannot do when the task changes, which is why we go on to meta-learning.
#
# **Time**: 50 minutes: 25 of reading and running, 21 of exercises, 4 for the quiz. One more exercise (10
# minutes, *research*) is for at home.
#
# **You need**: returns and discounts (lesson 01), PyTorch tensors and `torch.autograd.grad`.

# %% tags=["nbval-ignore-output"]
from mlearn_utils import course

lesson = course.start("03")

# %%
import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn.functional import logsigmoid

from mlearn_utils.course.lesson_03 import bandit, curves, pictures
from mlearn_utils.course.lesson_03 import variance as measured
from mlearn_utils.rl import policy_gradient as pg
from mlearn_utils.rl.enumerate_episodes import enumerate_episodes
from mlearn_utils.rl.policies import mlp
from mlearn_utils.rl.policy_gradient import PolicyGradientAgent
from mlearn_utils.rl.rollout import collect
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import BatchedCartPole, CartPoleTask, CartPoleTasks

# %% [markdown]
# ## 1. A policy with a knob (2 minutes)
#
# Q-learning learns values and reads a policy off them. Here we tune the **policy itself**:
# $\pi_\theta(a \mid s)$, the probability of action $a$ in state $s$, depends on parameters $\theta$, and we
# climb the expected return $J(\theta)$ by its gradient. (In lesson 02 a policy picked the best value; here
# it rolls dice, and we load them.)
#
# The smallest example is a **bandit**: one step, two arms, no states. The left arm pays 8 or 12 coins, the
# right one 10 or 14, with equal chances. One number is the whole policy:
# $\pi_\theta(\text{right}) = 1/(1+e^{-\theta})$, the sigmoid. Then $J(\theta)$ is a sum over four outcomes:
#
# $$J(\theta) = \sum_{a, r} \pi_\theta(a)\, P(r \mid a)\, r .$$


# %%
def expected_payout(theta):
    """J(theta): every outcome, weighed by its probability."""
    play = bandit.outcomes(theta)
    return (play.chance * play.reward).sum()


for theta in (-2.0, 0.0, 2.0):
    right = bandit.outcomes(theta).chance[2:].sum()
    print(
        f"theta = {theta:4}: right with probability {right:.2f}, expected payout {expected_payout(theta):.2f}"
    )

# %% [markdown]
# We know that the right arm is better. The agent does not: it sees only what it plays.

# %% [markdown]
# ## 2. The score-function identity (4 minutes)
#
# To climb, we need $dJ/d\theta$. But payouts do not depend on $\theta$; only the *probability* of getting
# them does. Use $\frac{d}{d\theta} \log \pi = \frac{1}{\pi} \frac{d\pi}{d\theta}$, that is,
# $\frac{d\pi}{d\theta} = \pi\, \frac{d}{d\theta} \log \pi$:
#
# $$\frac{dJ}{d\theta} = \sum_{a, r} \frac{d\pi_\theta(a)}{d\theta}\, P(r \mid a)\, r
# = \sum_{a, r} \pi_\theta(a)\, P(r \mid a)\; \underbrace{\frac{d \log \pi_\theta(a)}{d\theta}}_{\text{score}}
# \, r \;=\; \mathbb{E}\bigl[\,\text{score} \cdot r\,\bigr].$$
#
# The last form is an *expected value under the policy*: **play, multiply the score with the payout,
# average**. No knowledge of $P(r \mid a)$ is needed. With $p = \pi_\theta(\text{right})$ the sigmoid has
# $p' = p\,(1 - p)$, so the score is $p'/p = 1 - p$ for right and $-p'/(1 - p) = -p$ for left: in one formula
# $a - p$, with $a = 1$ for right and 0 for left. Check the identity at $\theta = 0.5$, three ways:

# %%
theta = 0.5
play = bandit.outcomes(theta)
identity = (play.chance * play.score * play.reward).sum()

h = 1e-5
difference = (expected_payout(theta + h) - expected_payout(theta - h)) / (2 * h)

t = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
probability = torch.stack((1 - torch.sigmoid(t), torch.sigmoid(t)))  # left, right
(by_autograd,) = torch.autograd.grad((probability * torch.from_numpy(bandit.PAYS).mean(1)).sum(), t)
print(f"E[score * r], enumerated {identity:.6f}")
print(f"finite differences       {difference:.6f}")
print(f"autograd                 {by_autograd:.6f}")
assert abs(identity - difference) < 1e-8 and abs(identity - by_autograd.item()) < 1e-12

# %% [markdown]
# The identity holds. Now from samples, as an agent must do it. One play gives one estimate, and its mean is
# right, but look how they scatter:

# %%
random = np.random.default_rng(0)
k = random.choice(4, size=10_000, p=play.chance)
estimate = play.score[k] * play.reward[k]
mean, low, high = course.interval(estimate, level=0.999)
print("the first six estimates:", estimate[:6].round(2))
print(f"10 000 plays: mean {mean:.2f}, 99.9 % interval {low:.2f} to {high:.2f}; exact {identity:.2f}")
assert low < identity < high

# %% [markdown]
# Every single estimate is about ten times as large as the gradient, to one side or the other.
# Policy-gradient methods are a fight against this **variance**.

# %% [markdown]
# ## 3. A baseline (3 minutes)
#
# The probabilities sum to 1, so their derivatives sum to 0: **the mean score is 0**. Subtracting a constant
# $b$, the **baseline**, from every payout therefore cannot change the mean:
#
# $$\mathbb{E}[\text{score} \cdot (r - b)] = \mathbb{E}[\text{score} \cdot r] - b\,
# \underbrace{\mathbb{E}[\text{score}]}_{0} .$$

# %%
print(f"mean score {abs((play.chance * play.score).sum()):.1f}")
bandit.predict_baseline()

# %% [markdown]
# Move $b$, first with $\theta = 0$. Then move $\theta$ to 2 and look where the best $b$ goes.

# %%
baseline_explorer = bandit.baseline_explorer()
baseline_explorer

# %% [markdown]
# Without a baseline, both arms look good because all payouts are positive: left pushes $\theta$ left, right
# pushes it right, and only their slight difference is the signal. With $b$ near the mean payout, an outcome
# is *good* or *bad*. A baseline that is far too high is as bad as none.
#
# At $\theta = 2$ the best $b$ is *lower*, near what the left arm pays, although the agent mostly plays
# right: a rare action has a large score, so its outcomes are what makes the estimate scatter.
#
# **Exercise `best_baseline`** (research, 10 minutes, at home). So the best $b$ is not the mean payout.
# Derive it. (`lesson.hint("best_baseline")` gives one hint at a time, `lesson.solution("best_baseline")`
# one way to write it. Later cells never use your functions, so every exercise may wait.)

# %% exercise="best_baseline"

# %%
lesson.check(best_baseline)

# %% [markdown]
# ## 4. Episodes: REINFORCE and the return to go (4 minutes)
#
# An **episode** is a sequence $s_0, a_0, r_0, s_1, a_1, r_1, \dots$ Its probability is a product: the
# start, then policy times transition for each step. The logarithm turns it into a sum, and **the
# transitions do not depend on $\theta$**, so they drop out of the gradient $\nabla_\theta$, the vector of the
# derivatives by all parameters:
#
# $$\nabla_\theta \log \Pr(\text{episode}) = \sum_t \nabla_\theta \log \pi_\theta(a_t \mid s_t).$$
#
# With $G_0$ the return of the whole episode (here with $\gamma = 1$), that gives **REINFORCE** (Williams
# 1992): $\nabla J = \mathbb{E}\bigl[\sum_t \text{score}_t\, G_0\bigr]$. But an action cannot change rewards
# that came *before* it. Those only add noise: whatever happened before step $t$, the mean of
# $\text{score}_t$ is 0, so an earlier reward times $\text{score}_t$ has mean 0. So use the **return to go**
# $G_t = r_t + r_{t+1} + \dots$, less a baseline $b_t$ that may depend on the state and the time but not on
# the action:
#
# $$\nabla J = \mathbb{E}\Bigl[\sum_t \text{score}_t\; G_0\Bigr] = \mathbb{E}\Bigl[\sum_t \text{score}_t\;
# G_t\Bigr] = \mathbb{E}\Bigl[\sum_t \text{score}_t\, (G_t - b_t)\Bigr].$$
#
# Again we enumerate, now *all* episodes of three steps in a world of two rooms. Action 0 mostly leads to
# room 0, action 1 to room 1. Action 0 pays 1 in room 0, action 1 pays 2 in room 1. From here on arrays are
# `[S, E]`, step by episode. (In lessons 01 and 02 an $S$ counted states.)

# %%
P = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.2, 0.8]]])  # [room, action, next room]
R = np.array([[1.0, 0.0], [0.0, 2.0]])  # [room, action]
every = enumerate_episodes(P, R, start=np.array([1.0, 0.0]), steps=3)
theta = torch.tensor([0.5, -0.5], dtype=torch.float64, requires_grad=True)  # one knob a room
z = theta[every.state]  # [S, E]: P(action 1) = sigmoid(z)
chance = every.probability(logsigmoid(torch.where(every.act == 1, z, -z)))  # [E]
expected = (chance * every.reward.sum(0)).sum()
(exact,) = torch.autograd.grad(expected, theta)
print(f"{len(chance)} episodes, probabilities sum to {chance.sum():.3f}, J = {expected:.3f}")

# %%
chance = chance.detach()
in_room = torch.nn.functional.one_hot(every.state, 2)  # [S, E, 2]: whose knob a step concerns
score = in_room * (every.act - torch.sigmoid(z)).detach().unsqueeze(-1)
to_go = every.reward.flip(0).cumsum(0).flip(0)
weight = chance[:, None] * in_room  # [S, E, 2]
mean_to_go = (weight * to_go[..., None]).sum(1) / weight.sum(1).clamp(min=1e-12)  # [S, 2]
b = (in_room * mean_to_go[:, None]).sum(-1)  # the mean return to go of this room at this time
for name, credit in (("REINFORCE", to_go[:1]), ("return to go", to_go), ("less a baseline", to_go - b)):
    estimate = (score * credit[..., None]).sum(0)  # [E, 2]
    mean = (chance[:, None] * estimate).sum(0)
    variance = (chance[:, None] * (estimate - mean) ** 2).sum()
    print(f"{name:16} mean ({mean[0]:.4f}, {mean[1]:.4f})   variance {variance:.3f}")
    assert torch.allclose(mean, exact)

# %% [markdown]
# Three estimators, one mean, and ever less variance; nothing here was sampled.
#
# Episodes of different lengths are stored in such arrays with a **mask**: 1 for every step that was taken,
# *the one that ended the episode included*, 0 after that.
#
# **Exercise `returns_to_go`** (core, 5 minutes). With a discount: $G_t = r_t + \gamma\, G_{t+1}$.

# %% exercise="returns_to_go"

# %%
lesson.check(returns_to_go)

# %% [markdown]
# PyTorch wants a **loss** to go down on. Write $A_t$ for what step $t$ is credited with, its **advantage**;
# $n$ steps were taken, the sum is over them. The loss below is built so that its *gradient* points the
# right way: it estimates $-\nabla J$ but for the positive factor (number of episodes) / $n$, which only
# scales the step:
#
# $$L(\theta) = -\frac1n \sum_t \log \pi_\theta(a_t \mid s_t)\; A_t, \qquad A_t \text{ held constant}.$$
#
# Its *value* means nothing: it may rise while the agent gets better.
#
# **Exercise `policy_gradient_loss`** (core, 5 minutes).

# %% exercise="policy_gradient_loss"

# %%
lesson.check(policy_gradient_loss)

# %% [markdown]
# ## 5. Generalized advantages (4 minutes)
#
# A return to go adds up everything that happens until the end, luck included. If we trust a baseline
# $V(s)$, a prediction of the return to go, we need not wait. How much better than expected was *one* step?
#
# $$\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t), \qquad V = 0 \text{ after the end}.$$
#
# (A time limit counts as an end here, other than in lessons 01 and 02: the baseline is told the time, and
# so can know that nothing is paid after the last step.)
#
# This is lesson 02's TD error, with a value of the policy in place of the max. **GAE** (Schulman et al.
# 2016) adds up these surprises, later ones with less weight:
#
# $$A_t = \delta_t + \gamma\lambda\, \delta_{t+1} + (\gamma\lambda)^2\, \delta_{t+2} + \dots = \delta_t +
# \gamma\lambda\, A_{t+1}.$$
#
# $\lambda = 0$ trusts $V$ after one step. $\lambda = 1$ gives $G_t - V(s_t)$: all the $V$ in between
# cancel. Step through the computation for one episode, with $\gamma = 0.9$ and $\lambda = 0.8$:

# %%
course.Stepper(
    pictures.backward_pass(gamma=0.9, lam=0.8),
    count=7,
    alt="An episode of six steps: its baseline, and surprises and advantages computed from the last step.",
    name="advantages-from-the-back",
)

# %% [markdown]
# The surprise at the bad end reaches back: the steps before it are blamed as well, each for its own
# surprise and for a part of all later ones; step 2, which went better than expected, keeps its credit.
#
# **Exercise `gae`** (core, 7 minutes).

# %% exercise="gae"

# %%
lesson.check(gae)

# %% [markdown]
# Now all four (the whole return, the return to go, less a baseline, and GAE with $\gamma = 0.99$ and
# $\lambda = 0.97$) on CartPole, where nothing can be enumerated. The policy is a sigmoid of four weighted
# numbers, the observation, half trained: it balances for about 100 steps. The baseline is linear in the
# observation, its squares and the time, and it is fitted to *other* episodes. Each episode gives one
# estimate of the gradient (4 numbers). We measure their variance, the mean squared distance from their
# mean, over 400 episodes, for each of 8 seeds. The first column is the variance as a multiple of the first
# method's. The last says what it means: over how many episodes one must average until the noise is as small
# as the mean itself, with its 95 % interval.

# %%
methods = [measured.measure(seed=seed) for seed in range(8)]  # each: name -> (variance, mean estimate [4])
common = torch.stack([m["less a baseline"][1] for m in methods]).mean(0)  # three have this mean, GAE its own
found = {}
for name in methods[0]:
    center = common if "GAE" not in name else torch.stack([m[name][1] for m in methods]).mean(0)
    ratio = [m[name][0] / m["whole return"][0] for m in methods]
    found[name] = course.interval([m[name][0] / center.square().sum().item() for m in methods])
    mean, low, high = found[name]
    print(f"{name:16} variance x {np.mean(ratio):6.2g}   episodes {mean:5.2g}  ({low:.2g} to {high:.2g})")
print(f"GAE's mean is {center.norm() / common.norm():.2f} times as long as the gradient")
assert center.norm() < 0.8 * common.norm()
assert found["whole return"][1] > found["return to go"][2] > found["return to go"][1]
assert found["return to go"][1] > found["less a baseline"][2] > found["less a baseline"][1]
assert found["less a baseline"][1] > found["GAE (0.99, 0.97)"][2]

# %% [markdown]
# Each idea cuts the noise, and the intervals (95 %, 8 seeds) do not overlap. GAE pays for it with **bias**:
# its mean is no longer exactly the gradient, but smaller; so its last column is the fair one to compare,
# not its variance. (A discount below 1 is a bias, too: it asks for a nearer goal than the sum of all
# rewards.) Is the trade a good one? Left, below: who gets the blame when the pole falls; an action is
# credited with about $1/(1 - \gamma\lambda)$ steps. Right: the angle between the gradient (the mean of the
# third method over 1600 other episodes) and the estimate, for its mean (bias, and a few degrees of sampling
# noise) and for a batch of 16 episodes (bias and noise). **Try** $\lambda$ from 0 to 1; then $V = 0$, no
# baseline, and the same again.

# %%
gae_explorer = measured.gae_explorer()
gae_explorer

# %% [markdown]
# With a fitted $V$, a $\lambda$ a little below 1 is at least as good as 1. Towards 0 the estimate repeats
# the faults of $V$, a linear guess, and points about 40 degrees off however many episodes one plays. With
# $V = 0$ and $\lambda = 0$ an action is credited with its own reward only, which on CartPole is always 1. The
# mean score is 0 (section 3), so the mean estimate is *exactly* 0: no signal, only noise. Where it cannot be
# told apart from 0, no angle is drawn.

# %% [markdown]
# **Exercise `normalized`** (core, 4 minutes, *find the bug*). Before the update, advantages are scaled to
# mean 0 and deviation 1, so that the step size need not know how large rewards are. From here on there will
# be *several tasks* in one array, `[T, S, E]`: task, step, episode. The function runs, and yet something is
# wrong.

# %% exercise="normalized"

# %%
lesson.check(normalized)

# %% [markdown]
# ## 6. CartPole-v1 (5 minutes)
#
# `PolicyGradientAgent` puts the pieces together: a network with 32 hidden units as policy; each iteration
# plays 16 episodes, computes normalized generalized advantages ($\gamma = 0.99$, $\lambda = 0.97$), and
# takes *one* step of Adam on the loss. Then the episodes are thrown away: the identity holds for episodes
# of the *current* policy. The baseline (`fit_ridge`: least squares on the observation, its squares and the
# time, `baseline_features`) is here fitted to the same episodes that it is taken from: no second batch is
# needed, at the price of a slight bias. (One liberty that nearly everybody takes: the exact gradient of a
# *discounted* return weighs step $t$ by $\gamma^t$ once more. Then late steps would hardly be learned from,
# so it is left out.) One update in the package's functions:

# %%
agent = PolicyGradientAgent("CartPole-v1", seed=0)
carts = BatchedCartPole(num_envs=16, horizon=500)
episodes = collect(carts, lambda obs: mlp(agent.params, obs), generator=make_generator(0))
G = pg.returns_to_go(episodes.reward, episodes.mask, gamma=0.99)
x = pg.baseline_features(episodes.obs)
V = pg.baseline_values(pg.fit_ridge(x, G, episodes.mask), x)
A = pg.normalise(pg.gae(episodes.reward, V, episodes.mask, gamma=0.99, lam=0.97), episodes.mask)
loss = pg.policy_loss(mlp(agent.params, episodes.obs), episodes.act, A, episodes.mask).sum()
gradient = torch.autograd.grad(loss, list(agent.params.values()))
print(f"observations [T, S, E, F]: {list(episodes.obs.shape)}, {episodes.mask.sum().item():.0f} steps taken")
print("the gradient has the shapes", [list(g.shape) for g in gradient])
assert torch.allclose(A, pg.advantages(episodes, gamma=0.99, lam=0.97))

# %% [markdown]
# Thirty such updates, live. A film of the agent before and after:

# %% tags=["nbval-ignore-output"]
camera = gym.make("CartPole-v1", render_mode="rgb_array")
before = pictures.film(agent, camera)
history = agent.train(30, seed=0)
after = pictures.film(agent, camera)
returns = [entry["return"] for entry in history]
print(f"mean return: first 3 batches {np.mean(returns[:3]):.3g}, last 3 batches {np.mean(returns[-3:]):.3g}")
assert np.mean(returns[-3:]) > 5 * np.mean(returns[:3])

# %%
course.animation(
    pictures.side_by_side(before, after),
    fps=25,
    alt="Left, before training: the pole falls within a second. Right, after 30 updates: it stays up.",
)

# %% [markdown]
# One run proves little. `data/lesson_03/curves.csv` holds 60 updates for each of 10 seeds, with the agent's
# default settings (`python data/lesson_03/make_curves.py` makes it again). A *greedy* episode takes the more
# probable action throughout; a mean of 475 is what Gymnasium states as solved:

# %% tags=["slide-hide-input"]
runs = curves.load_runs()
cartpole = curves.select(runs, "cartpole", 0.02)  # the default learning rate
reached = sum(run.after >= 475 for run in cartpole)
slowest = max(run.cpu_seconds for run in cartpole)
print(f"CartPole-v1: mean of 100 greedy episodes >= 475 in {reached} of {len(cartpole)} seeds")
print(f"the slowest seed took {slowest:.0f} CPU-seconds where the file was made")
assert reached >= 9 and len(cartpole) == 10 and slowest < 60
fig, ax = plt.subplots()
course.band(ax, curves.PLAYED, [run.curve for run in cartpole], label="10 seeds: mean, 95 % interval")
ax.axhline(475, color=course.COLORS["muted"], linestyle=":", label="475")
ax.set(xlabel="episodes played", ylabel="mean return of a batch", title="CartPole-v1")
ax.legend(loc="lower right")
# alt: Learning curve on CartPole: mean return of ten seeds over episodes played, with its interval. It
# alt: rises from about 20, crosses the line at 475 after about 400 episodes, and stays near 500.
plt.show()

# %% [markdown]
# Every seed gets there, after a few hundred episodes. (An interval of the mean does not know that no return
# is above 500. A first batch of 16, which only sets the scale of the observations, is not counted.) The
# problem of lesson 02's table of states is gone: the network reads the four numbers as they are.

# %% [markdown]
# ## 7. A new task (3 minutes)
#
# Now the same cart, the same pole, the same physics. New is the *reward* (and episodes are shorter). With
# $\dot{x}$ the velocity of the cart, a step pays $\max(0,\, 1 - |\dot{x} - v^*|)$, where $v^*$ is a
# **hidden target velocity**, between 0.5 and 1 m/s to the left or to the right. An episode has 100 steps,
# so 100 is the most there is (the family `dirv` of lesson 06). The agent can balance already. All it has to
# find out is which way to go, and how fast.

# %%
curves.predict_how_long(runs)

# %% [markdown]
# Each of 10 trained agents met two new tasks, one to either side, and so did 10 untrained ones (**from
# scratch**). How long did it take? To be fair, CartPole and the new tasks were all run with six learning
# rates: compare them at equal rates, then each at its best. (For each seed that is the rate which was best
# for the *other* nine.) A task counts as learned at the first batch with a mean return of 475 on CartPole,
# of 60 on a new task. A run that never came to this level counts with all the 960 episodes that it played,
# so its true cost is higher.

# %%
found = {experiment: curves.costs(runs, experiment) for experiment in curves.LEVELS}
print("episodes at rate      CartPole-v1   new task, trained   from scratch   trained / CartPole")
for rate in found["cartpole"]:
    again = curves.ratio(found["transfer"][rate], found["cartpole"][rate])
    means = [costs[rate].mean() for costs in found.values()]
    print(
        "{:<16g} {:16.0f} {:19.0f} {:14.0f}".format(rate, *means),
        "{:10.2f} ({:.2f} to {:.2f})".format(*again),
    )
best = {experiment: curves.best_cost(runs, experiment) for experiment in curves.LEVELS}
again = curves.ratio(best["transfer"][1], best["cartpole"][1])
print(
    "each at its best {:16.0f} {:19.0f} {:14.0f}".format(*(costs.mean() for _, costs in best.values())),
    "{:10.2f} ({:.2f} to {:.2f})".format(*again),
)
equal = [curves.ratio(found["transfer"][rate], found["cartpole"][rate])[0] for rate in found["cartpole"]]
assert min(equal) > 1 and again[0] > 1 and all(0.01 < rate < 0.4 for rate, _ in best.values())

# %% [markdown]
# In parentheses, 95 % intervals of the ratio over the 10 seeds. But why 60? It is about what the batches of
# trained agents settle at, and it was our choice. Other choices, each at its best rate:

# %%
print("level on the new task   episodes, trained   trained / CartPole     the same in steps")
shares, played = {}, curves.best_cost(runs, "cartpole", unit="steps")[1]
for level in (50.0, 55.0, 60.0, 65.0):
    episodes, steps = (
        curves.best_cost(runs, "transfer", level, unit=unit)[1] for unit in ("episodes", "steps")
    )
    shares[level] = curves.ratio(episodes, best["cartpole"][1])
    in_steps = curves.ratio(steps, played)
    print(
        "{:21.0f} {:19.0f} {:10.2f} ({:.2f} to {:.2f})".format(level, episodes.mean(), *shares[level]),
        "{:9.2f} ({:.2f} to {:.2f})".format(*in_steps),
    )
    assert in_steps[1] > 0.1
assert 0.5 < shares[50.0][0] < 1 < shares[65.0][1]
sizes = [
    np.mean([abs(run.target) for run in runs if run.experiment == "transfer" and run.seed == k])
    for k in range(10)
]
common = np.corrcoef(found["transfer"][0.1], sizes)[0, 1]
print(f"correlation of a seed's cost (60, rate 0.1) with its target speed: {common:.2f}")
assert common > 0.5

# %% [markdown]
# How dear a new task is depends on how well it is to be done: 50 of 100 takes about two thirds of
# CartPole's episodes, 65 two to five times as many. (In *steps* it is cheaper, since a new episode has 100
# at most and one of CartPole up to 500: the last column counts them.) The curves, each at its best rate for
# 60:

# %%
fig, ax = plt.subplots()
for start, label, color, style in (
    ("transfer", "trained agent", "adapted", "-"),
    ("scratch", "from scratch", "random", ":"),
):
    rate = best[start][0]
    chosen = curves.select(runs, start, rate)
    there = sum(run.curve.max() >= curves.GOAL for run in chosen)
    print(f"{label}, rate {rate}: {there} of {len(chosen)} runs earned {curves.GOAL:.0f}")
    batches = curves.by_seed(chosen, [run.curve for run in chosen])
    label = f"{label}, rate {rate}"
    course.band(ax, curves.PLAYED, batches, label=label, color=course.COLORS[color], linestyle=style)
ax.axhline(curves.GOAL, color=course.COLORS["muted"], linestyle=(0, (1, 2)), linewidth=1, label="60")
ax.set(xlabel="episodes played", ylabel="mean return of a batch", ylim=(0, 100))
ax.set_title("A new task: 10 seeds (2 directions each), 95 % interval")
ax.legend(loc="upper left", ncols=2, fontsize=8)
# alt: Mean return on a new task over episodes played. The trained agent starts higher and reaches the line
# alt: at 60 only after more than a hundred episodes. The agent from scratch climbs slowly and stays below
# alt: the line to the end.
plt.show()

# %% [markdown]
# Read it soberly. What was learned on CartPole is worth something: the first batches earn far more than
# those of an untrained agent, which in many of its runs never got there. But to become *good* at a task
# that differs in its reward alone, the trained agent needs **dozens to hundreds of episodes again**, of the
# order of what all of CartPole took: two thirds of it for 50 of 100, on average more for 60, about three
# times for 65. (The intervals are over agents and targets at once, as each seed has a target speed of its
# own, and slow ones are cheap. None lets one hope for a tenth.) A film, with rate 0.02; the arrow is the
# hidden target:

# %%
task = CartPoleTask("dirv", target=[-0.8])
camera = CartPoleTasks("dirv").make_env(task, render_mode="rgb_array")
newcomer = agent.transfer(camera)
before = pictures.film(newcomer, camera, steps=100)
newcomer.train(40, seed=0)
after = pictures.film(newcomer, camera, steps=100)
course.animation(
    pictures.side_by_side(before, after),
    fps=25,
    alt="Left, the trained agent on a new task whose target velocity is to the left: it balances and does "
    "not follow the arrow. Right, after 640 more episodes: it runs to the left.",
)

# %% [markdown]
# A person would try once, see what is paid, and go. Is there a *start* from which one batch of episodes and
# **one** gradient step are enough? Ordinary training never looks for one. To look for it is meta-learning:
# lesson 04 builds the tool, MAML, and lesson 06 comes back to this very family of tasks.

# %% [markdown]
# ## 8. Quiz (4 minutes)

# %%
lesson.quiz()

# %% [markdown]
# ## Summary
#
# - $\nabla J = \mathbb{E}\bigl[\sum_t \nabla \log \pi_\theta(a_t \mid s_t)\, A_t\bigr]$: play, credit each
#   action with what followed, average. Nothing need be known of the environment.
# - With $A_t$ the whole return this is REINFORCE. The return to go and a baseline leave the mean as it is
#   and lower the variance; GAE lowers it further and pays with bias.
# - The loss is built for its gradient: advantages are constants, its value means nothing.
# - Every update needs fresh episodes, hundreds in all. A new task that differs in its reward alone costs
#   dozens to hundreds again; how many, depends on how well it is to be done.
#
# ## What could go wrong
#
# - *The return falls steadily*: the sign of the loss.
# - *It learns, but never from the end of an episode*: the mask drops the terminating step.
# - *It learns with one task and not with several*: advantages normalized across tasks.
# - *The policy becomes certain and learning stops*: too large a learning rate. A policy that always does
#   the same sees nothing else, and its scores are 0.
#
# ## Further reading
#
# - R. J. Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement
#   learning", Machine Learning 8, 1992. REINFORCE, with a baseline.
# - R. S. Sutton, A. G. Barto, "Reinforcement Learning: An Introduction", 2nd edition, 2018, chapter 13.
# - J. Schulman, P. Moritz, S. Levine, M. Jordan, P. Abbeel, "High-dimensional continuous control using
#   generalized advantage estimation", ICLR 2016, arXiv:1506.02438. Equation 16 is our $A_t$.
# - E. Greensmith, P. L. Bartlett, J. Baxter, "Variance reduction techniques for gradient estimates in
#   reinforcement learning", Journal of Machine Learning Research 5, 2004. The best baseline.

# %%
lesson.progress()
