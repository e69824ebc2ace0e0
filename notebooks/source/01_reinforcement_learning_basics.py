# %% [markdown]
# # 01 · Reinforcement-learning basics
#
# **You will be able to**
#
# - name the five parts of a Markov decision process and point at each of them in a new task;
# - play an episode with Gymnasium's `reset` and `step`, and tell *terminated* from *truncated*;
# - compute a discounted return, and choose a discount by its horizon $1/(1-\gamma)$;
# - compute what a policy is worth, and the best policy, when the task is known, and check both;
# - compare policies with intervals, and say when a comparison shows nothing.
#
# **Time**: 50 minutes: 27 of reading and running, 19 of exercises, 4 for the quiz. One more exercise (10
# minutes, *research*) is for at home.
#
# **You need**: Python with numpy, the mean of a random variable, and what `lesson.check` does (lesson 00).
# No reinforcement learning yet.

# %% tags=["nbval-ignore-output"]
from mlearn_utils import course

lesson = course.start("01")

# %%
import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np

from mlearn_utils.course.lesson_01 import pictures, predictions, stand_ins
from mlearn_utils.course.lesson_01.arrows import arrow_editor
from mlearn_utils.course.lesson_01.mistakes import Step
from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.tasks.gridworld import ACTIONS, ENV_ID, GridTask, grid_mdp, make_env

# %% [markdown]
# ## 1. A task, in five parts (4 minutes)
#
# An **agent** acts, step by step, in an **environment** which answers. In the grid below the agent walks
# from the top left (the square) to the flag. Pits end the walk badly. The diamond is a **trap**: it pays
# a little, and ends the walk too. Such cells, and the flag's, are called **terminal**. The floor is
# slippery: one move in five goes to a side instead. On the right is CartPole: push the cart so that the
# pole stays up.

# %%
task = GridTask(size=5, start=(0, 0), goal=(4, 4), pits=((1, 1), (2, 3), (3, 1)), trap=(2, 0), slip=0.2)
pictures.five_parts(plt.figure(), task)
# alt: Two tasks with labels for state, action, transition, reward and policy: a slippery grid with pits, a
# alt: trap and a flag, where a move to the right can slip up or down, and a cart that balances a leaning
# alt: pole.
plt.show()

# %% [markdown]
# Both are **Markov decision processes** (MDPs). An MDP has five parts:
#
# | part | symbol | in the grid | in CartPole |
# |---|---|---|---|
# | ① state space: what can be the case | $s \in S$ | 25 cells: discrete | 4 real numbers: continuous |
# | ② action space: what it can do | $a \in A$ | 4 moves: discrete | 2 pushes: discrete |
# | ③ transition probability to a next state $s'$ | $P(s' \mid s, a)$ | move or slip | one $s'$ is certain |
# | ④ reward function: what a step pays | $r(s, a, s')$ | see the picture | $+1$, always |
# | ⑤ policy: how it chooses | $\pi(a \mid s)$ | ours to find | ours to find |
#
# The first four belong to the task. The policy is what we look for. (Strictly, an MDP is the first four and
# a policy solves it.) **Markov** means that the next state depends on the present state and action and on
# nothing earlier. So a state must hold all that matters: CartPole's holds the two velocities, since a
# photograph of a leaning pole does not tell whether it is falling or rising.
#
# Because the grid is small, parts ③ and ④ fit into two arrays, `mdp.P` and `mdp.rewards`:

# %%
mdp = grid_mdp(task)
P, R, terminal = mdp.P, mdp.R, mdp.terminal
print(f"P[s, a, s'] has shape {list(P.shape)}; every P[s, a] sums to 1: {np.allclose(P.sum(axis=2), 1)}")
state, action = task.state((3, 3)), ACTIONS.index("right")  # as in the picture
for after in np.flatnonzero(P[state, action]):
    row, column = divmod(int(after), task.size)
    print(
        f"(3, 3), right -> ({row}, {column}) with probability {P[state, action, after]:.1f}, "
        f"reward {mdp.rewards[state, action, after]:.4g}"
    )

# %% [markdown]
# Cells are written (row, column), counted from the top left; in the arrays a cell is the number 5 · row +
# column. The expected reward of an action, $R(s,a) = \sum_{s'} P(s' \mid s,a)\, r(s,a,s')$, is `mdp.R`. A
# terminal cell leads to itself with reward 0, so that nothing more is earned there. Not every action space
# is a short list: in Pendulum the action is a torque, a real number. Gymnasium says `Discrete(n)` for a
# list of n things and `Box` for real numbers between bounds:

# %%
for name in ("FrozenLake-v1", "CartPole-v1", "Pendulum-v1"):
    env = gym.make(name)
    print(f"{name:14} states: {type(env.observation_space).__name__:9} actions: {env.action_space}")

# %% [markdown]
# ## 2. An episode in Gymnasium (4 minutes)
#
# Gymnasium's environments all have the same two functions. `reset` starts an **episode** and returns the
# first observation (here: the state). (Its `seed`, a number, fixes the random numbers that follow: the same
# seed gives the same slips.) `step(action)` returns five things: the next observation, the reward,
# *terminated*, *truncated*, and a dict with anything else.


# %%
def run(env, act, seed=None):
    """Play one episode with act(observation) -> action; return its rewards and how it ended."""
    observation, _ = env.reset(seed=seed)
    rewards, terminated, truncated = [], False, False
    while not (terminated or truncated):
        observation, reward, terminated, truncated, _ = env.step(act(observation))
        rewards.append(float(reward))
    return rewards, "terminated" if terminated else "truncated"


right, down = ACTIONS.index("right"), ACTIONS.index("down")
rim = np.array([down if cell % 5 == 4 else right for cell in range(25)])  # along the top, then down
camera = gym.wrappers.RenderCollection(make_env(task, render_mode="rgb_array"))
rewards, end = run(camera, lambda s: rim[s], seed=35)
print(f"{end} after {len(rewards)} steps; first reward {rewards[0]}, last reward {rewards[-1]}")

# %% [markdown]
# The policy `rim` is an array with one action for every state: a **deterministic** policy. (A
# **stochastic** one has a probability $\pi(a \mid s)$ for every action.) Watch it:

# %%
frames = np.stack(camera.render())
course.animation(
    frames, fps=3, alt="Along the top to the right, with slips to the row below, then down to the flag."
)

# %% [markdown]
# It slips, and this time gets home. Row 0, column 1 lies beside a pit, so other episodes end there.
#
# Now look at the two flags. An episode can end in two ways that must not be mixed up:
#
# - **terminated**: the task itself ended. The flag was reached, the pole fell. *Nothing comes after.*
# - **truncated**: somebody stopped watching, usually a time limit. *The task would have gone on.*

# %%
grid, cart = make_env(task), gym.make("CartPole-v1")
for label, env, act, seed in (
    ("grid, along the rim", grid, lambda s: rim[s], 35),
    ("grid, always up", grid, lambda s: 0, 0),
    ("CartPole, always right", cart, lambda observation: 1, 0),
    ("CartPole, held up", cart, stand_ins.held_up, 0),
):
    rewards, end = run(env, act, seed=seed)
    print(f"{label:23} {end} after {len(rewards):3} steps, sum of rewards {sum(rewards):.4g}")

# %% [markdown]
# Our grid is truncated after 100 steps, CartPole-v1 after 500. "Always up" just leans against the wall, and
# nothing about the task ends that; the time limit does.

# %% [markdown]
# ## 3. Return and discount (4 minutes)
#
# The agent should not chase the next reward but the sum of all that follow. The **discounted return** from
# step $t$ on, with rewards $r_t, r_{t+1}, \dots$ and a **discount** $\gamma$ (gamma) between 0 and 1, is
#
# $$G_t = r_t + \gamma\, r_{t+1} + \gamma^2 r_{t+2} + \dots \;=\; r_t + \gamma\, G_{t+1}.$$

# %%
r, g = [1.0, -2.0, 4.0], 0.5
G_2 = r[2]
G_1 = r[1] + g * G_2
G_0 = r[0] + g * G_1
print(f"from the back: G_2 = {G_2}, G_1 = {G_1}, G_0 = {G_0}")
forwards = r[0] + g * r[1] + g**2 * r[2]
assert forwards == G_0

# %% [markdown]
# **Exercise `discounted_return`** (core, 3 minutes). Return $G_0$ for a list of rewards of any length.

# %% exercise="discounted_return"

# %%
lesson.check(discounted_return)

# %% [markdown]
# `lesson.hint("discounted_return")` gives one hint at a time, `lesson.solution("discounted_return")` one
# way to write it. The following cells never use your function, so you can go on whether or not it is done.
#
# Step $t$ weighs $\gamma^t$. All weights together are $1 + \gamma + \gamma^2 + \dots = 1/(1-\gamma)$: the
# **horizon**, the number of steps that a discount looks ahead.

# %%
fig, ax = plt.subplots(figsize=(7, 3))
steps = np.arange(2000)
for gamma in (0.5, 0.9, 0.95, 0.99):
    weights, horizon = gamma**steps, 1 / (1 - gamma)
    assert np.isclose(weights.sum(), horizon)
    inside = weights[: round(horizon)].sum() / horizon
    assert inside > 0.63 and weights[3 * round(horizon) :].sum() / horizon < 0.05
    ax.plot(steps[:101], weights[:101], label=f"γ = {gamma}: {inside:.0%} within {horizon:.0f} steps")
ax.set(xlabel="step t", ylabel="weight γᵗ", title="What a reward weighs, by the step on which it comes")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
# alt: Line chart of a reward's weight over steps, for four discounts. Each curve falls from 1, the faster
# alt: the smaller the discount. Most of the weight lies within the horizon: 75 % within 2 steps for γ =
# alt: 0.5, 63 % within 100 for γ = 0.99.
plt.show()

# %% [markdown]
# About two thirds of all weight lies within the horizon; beyond three horizons lie less than 5 %. A reward
# counts less the later it comes, so the discount decides what is worth waiting for. **Guess**: the trap
# pays 0.2 on the second move ($t = 1$), the goal 1 on the eighth at the earliest ($t = 7$).

# %%
predictions.predict_the_discount(task)

# %% [markdown]
# ## 4. What is a policy worth? (8 minutes)
#
# The **value** of a policy $\pi$ in a state $s$ is the mean return of episodes that start there and follow
# it, $V^\pi(s) = \mathbb{E}[G_0 \mid s_0 = s]$ ($\mathbb{E}$ is the mean, given what stands behind the
# bar). Because $G_0 = r_0 + \gamma G_1$, a value is the reward of one step plus the discounted value of
# where it leads, averaged over what can happen. That is the **Bellman equation**:
#
# $$V^\pi(s) = \sum_a \pi(a \mid s) \sum_{s'} P(s' \mid s, a)\,\bigl[\,r(s,a,s') + \gamma\, V^\pi(s')\,\bigr],
# \qquad V^\pi = 0 \text{ at terminal states.}$$
#
# It is linear. With $P_\pi$ and $R_\pi$ averaged over the policy's actions it reads
# $V = R_\pi + \gamma P_\pi V$, so $(I - \gamma P_\pi)\,V = R_\pi$: 25 equations for 25 unknowns. (At a
# terminal cell, which leads to itself with reward 0, its own equation says $V = \gamma V$, so $V = 0$.)

# %%
gamma = 0.95
pi = dp.policy_rows(rim, n_actions=4)  # [S, A]: the probability of each action
P_pi = np.einsum("sa,sax->sx", pi, P)  # [S, S]
R_pi = (pi * R).sum(axis=1)  # [S]
V_exact = np.linalg.solve(np.eye(25) - gamma * P_pi, R_pi)
print(f"solved:   from the start, `rim` is worth {V_exact[0]:.4f}")

# %% [markdown]
# There is a second way, which section 5 needs, since the best policy's equation is not linear. **Policy
# evaluation** starts from $V = 0$ and uses the equation as an assignment, over and over. Each such **sweep**
# multiplies the largest error by $\gamma$ or less.

# %%
V = np.zeros(25)
errors = [np.abs(V - V_exact).max()]
for _ in range(200):
    V = R_pi + gamma * P_pi @ V
    errors.append(np.abs(V - V_exact).max())
    assert errors[-1] <= gamma * errors[-2] + 1e-12
print(f"swept:    from the start, `rim` is worth {V[0]:.4f} after {len(errors) - 1} sweeps")
package = dp.policy_evaluation(P, R, rim, gamma, terminal=terminal)
assert np.allclose(V, V_exact, atol=1e-4) and np.allclose(package, V_exact, atol=1e-8)

# %% [markdown]
# And is it the mean return? Play 1000 episodes and look. (They stop after 100 steps, and the computed value
# goes on; what comes later weighs less than $0.95^{100} = 0.006$.) A mean of chance results needs a **95 %
# interval**: were the 1000 episodes played again and again, about 95 of 100 such intervals would hold the
# true mean.

# %%
grid.reset(seed=1)
returns = [stand_ins.discounted_return(run(grid, lambda s: rim[s])[0], gamma) for _ in range(1000)]
mean, low, high = course.interval(returns)
print(
    f"mean return {mean:.3f}, 95 % interval over 1000 episodes {low:.3f} to {high:.3f}; "
    f"computed {V_exact[0]:.3f}"
)
assert course.interval(returns, level=0.999)[1] < V_exact[0] < course.interval(returns, level=0.999)[2]

# %% [markdown]
# The computation took no episode at all, since it knows $P$ and $R$. Now **edit the policy**: click an
# arrow to turn it (or choose a cell with the arrow keys and press space). Then press *Improve all*: every
# arrow turns to what looks best one step ahead. How many rounds until nothing changes? (A puzzle for at home:
# two arrows of `rim`, turned, are enough to get above 0.2 from the start. Find such a pair.)

# %%
editor = arrow_editor(task, rim, gamma)
editor

# %% [markdown]
# One arrow changes the values of the cells from which it can be reached, and of no others.
#
# ### When $P$ is not known
#
# Mostly $P$ and $R$ are not given, and $V$ is estimated from recorded steps: the **target** of a step is
# $r + \gamma\, V(s')$, and $V(s)$ becomes the mean target of the steps that began in $s$. To take the
# estimate $V(s')$ in place of the future rewards is called **bootstrapping**. (Lesson 02 builds on this.)
# Here the two flags matter.
#
# **Exercise `step_targets`** (core, 3 minutes, *find the bug*). Each step has the fields `state`, `reward`,
# `next_state`, `terminated` and `truncated`. The function runs, and its values are wrong. Mend it.

# %% exercise="step_targets"

# %%
lesson.check(step_targets)

# %% [markdown]
# What does the bug cost? We record `rim` under a tight time limit of 10 steps, which cuts some episodes off
# on their way, and estimate $V$ with the function as you found it and with the mended one: 40 times, each
# time from 200 new episodes (another seed).


# %%
def record(seed, episodes=200, limit=10):
    """Return the steps of `rim` in a grid that is truncated after `limit` steps."""
    env, steps = gym.make(ENV_ID, task=task, max_episode_steps=limit), []
    for episode in range(episodes):
        state, _ = env.reset(seed=seed if episode == 0 else None)
        done = False
        while not done:
            after, reward, terminated, truncated, _ = env.step(rim[state])
            steps.append(Step(int(state), reward, int(after), terminated, truncated))
            state, done = after, terminated or truncated
    return steps


# %%
def estimate(targets_of, steps):
    """Return V [S]: the mean target of each state, repeated until it settles."""
    states, V = np.array([step.state for step in steps]), np.zeros(25)
    visits = np.maximum(np.bincount(states, minlength=25), 1)
    for _ in range(40):
        V = np.bincount(states, targets_of(steps, V, gamma), 25) / visits
    return V


# %%
found = lesson.exercises[1].stub()  # the function with its planted bug
records = [record(seed) for seed in range(40)]
cut = np.mean([sum(step.truncated for step in steps) for steps in records]) / 200
print(f"computed                                    {V_exact[0]:6.3f}   (episodes cut off: {cut:.0%})")
for label, function in (("mended", stand_ins.step_targets), ("truncation treated as termination", found)):
    values = [estimate(function, steps)[0] for steps in records]
    mean, low, high = course.interval(values)
    print(f"{label:43} {mean:6.3f}, 95 % interval over 40 seeds {low:.3f} to {high:.3f}")
    assert (low < V_exact[0] < high) == (function is not found)

# %% [markdown]
# Cutting an episode off is not a fact about the task. Counted as an end, it took most of its value from the
# start.

# %% [markdown]
# ## 5. The best policy (5 minutes)
#
# The best value of a state takes the best action instead of the policy's mean. That is the **Bellman
# optimality equation**:
#
# $$V^*(s) = \max_a \sum_{s'} P(s' \mid s, a)\,\bigl[\,r(s,a,s') + \gamma\, V^*(s')\,\bigr].$$
#
# Note what is chosen and what is not: the action is ours (max), the next state is chance's (a sum weighted
# by $P$). To compute the right-hand side for a state, from some values $V$ in place of $V^*$, is called a
# **backup**.
#
# **Exercise `bellman_backup`** (core, 7 minutes). Compute it for one state, from any array `V`. At terminal
# states `V` may hold anything; what counts there is 0.

# %% exercise="bellman_backup"

# %%
lesson.check(bellman_backup)

# %% [markdown]
# **Value iteration** makes this backup for all states, sweep after sweep, starting from $V = 0$. As in policy
# evaluation, a sweep multiplies the largest error by $\gamma$ or less, so after $k$ sweeps it lies below the
# dotted line $\gamma^k$ times the first. Step through it:

# %%
course.Stepper(
    pictures.sweeps(task, gamma, count=31),
    count=31,
    alt="Left: values of the grid after k sweeps, spreading from the goal. Right: the error falls.",
    name="value-iteration",
)

# %% [markdown]
# What is known of the goal spreads by one cell a sweep. The best policy is then **greedy**: in each
# state, the action that attains the max. Two checks, both independent of the sweeps:

# %%
V_best = dp.value_iteration(P, R, gamma, terminal=terminal)
best = dp.greedy_policy(P, R, V_best, gamma, terminal=terminal)
states = np.arange(25)
V_of_best = np.linalg.solve(np.eye(25) - gamma * P[states, best], R[states, best])
assert np.allclose(V_of_best, V_best, atol=1e-8)  # following the greedy policy is worth just that
assert (V_best >= V_exact - 1e-9).all()  # and in no state is `rim` worth more
print(f"from the start: best {V_best[0]:.3f}, `rim` {V_exact[0]:.3f}")

# %% [markdown]
# The arrows are right long before the values are:

# %%
V = np.zeros(25)
for _ in range(8):
    before, V = V, dp.bellman_backup(P, R, V, gamma, terminal=terminal)
    assert np.abs(V - V_best).max() <= gamma * np.abs(before - V_best).max() + 1e-12
early = dp.greedy_policy(P, R, V, gamma, terminal=terminal)
worth = dp.policy_evaluation(P, R, early, gamma, terminal=terminal)
off = np.abs(V - V_best).max()
print(f"after 8 sweeps a value is still {off:.2g} off, and yet the arrows are worth {worth[0]:.3f}")
assert np.allclose(worth, V_best)

# %% [markdown]
# Now the discount again. At $\gamma = 0.99$, look at row 0, column 1: the pit lies just below, the goal far
# to the lower right, and one move in five slips.

# %%
predictions.predict_the_patient(task)

# %% [markdown]
# ### Play with it
#
# **Try**: γ from 0.95 down to 0.80: the start turns to the trap. γ = 0.99: find the arrows into walls, and
# compare where the episodes end. Then no slip, and many slips.

# %%
explorer = pictures.gamma_explorer(task)
explorer

# %% [markdown]
# With more patience more episodes reach the goal, on this grid. Why not always a large discount? It costs
# sweeps:

# %%
for g in (0.8, 0.95, 0.99):
    exact, V, sweeps = dp.value_iteration(P, R, g, terminal=terminal), np.zeros(25), 0
    while np.abs(V - exact).max() > 1e-3:
        V, sweeps = dp.bellman_backup(P, R, V, g, terminal=terminal), sweeps + 1
    print(f"γ = {g}: {sweeps} sweeps until no value is more than 0.001 off")

# %% [markdown]
# ## 6. Policies compared (2 minutes)
#
# Three policies for the grid: random, by hand, and best. Each plays 100 episodes in each of 10 seeds. The
# mark is the mean, the bar its 95 % interval over the 10 seeds, the black line what we computed without
# playing. (`horizon=100` there counts the steps up to the grid's time limit, as the episodes do.)


# %%
def sample_returns(policy, seed):
    """Return the discounted returns of 100 episodes."""
    rows, chance = dp.policy_rows(policy, n_actions=4), np.random.default_rng([seed, 1])  # not the grid's
    grid.reset(seed=seed)
    episodes = (run(grid, lambda s: chance.choice(4, p=rows[s]))[0] for _ in range(100))
    return [stand_ins.discounted_return(rewards, gamma) for rewards in episodes]


policies = {"random": np.full((25, 4), 0.25), "by hand (rim)": rim, "best": best}
sampled = {name: np.array([sample_returns(p, seed) for seed in range(10)]) for name, p in policies.items()}

# %%
ends = {}
fig, ax = plt.subplots(figsize=(5, 2.2))
for k, (name, policy) in enumerate(policies.items()):
    exact = dp.expected_return(P, R, policy, mdp.start, horizon=100, gamma=gamma, terminal=terminal)
    mean, low, high = ends[name] = course.interval(sampled[name].mean(axis=1))
    ax.errorbar(mean, k, xerr=[[mean - low], [high - mean]], marker="osD"[k], capsize=4)
    ax.plot([exact, exact], [k - 0.3, k + 0.3], color="black", linestyle="-")
    print(f"{name:13} sampled {mean:6.3f} (95 % {low:.3f} to {high:.3f}), computed {exact:.3f}")
ax.set(xlabel="discounted return (γ = 0.95)", yticks=range(3), yticklabels=policies, ylim=(2.5, -0.5))
ax.set_title("95 % interval over 10 seeds; black: computed")
# alt: Discounted returns of three policies as marks with 95 % intervals and, in black, the computed
# alt: values. The random policy is far behind, the best one is ahead of the one by hand, and the three
# alt: intervals do not overlap.
plt.show()
assert ends["random"][2] < ends["by hand (rim)"][1] and ends["by hand (rim)"][2] < ends["best"][1]

# %% [markdown]
# The bars do not overlap, so the order is settled. It took 1000 episodes. What would 10 have shown?

# %%
tens = {name: values.reshape(100, 10).mean(axis=1) for name, values in sampled.items()}
wrong = (tens["by hand (rim)"] > tens["best"]).mean()
print(f"10 episodes against 10: `rim` looks better than the best policy in {wrong:.0%} of 100 comparisons")
assert 0.15 < wrong < 0.55

# %% [markdown]
# That is why every comparison of this course has seeds and an interval.
#
# **Exercise `balance`** (core, 6 minutes). CartPole has no table to solve: its states are four real
# numbers. Write a policy by hand. It must hold the pole for 200 steps in each of 20 episodes.

# %% exercise="balance"

# %%
lesson.check(balance)

# %% [markdown]
# ### Random, almost, and held (CartPole-v1)

# %%
chance = np.random.default_rng(200)
rules = {
    "random": lambda observation: int(chance.integers(2)),
    "angle only": lambda observation: int(observation[2] > 0),
    "held up": stand_ins.held_up,
}
for name, rule in rules.items():
    lengths = [[len(run(cart, rule, seed=10 * seed + k)[0]) for k in range(10)] for seed in range(10)]
    mean, low, high = course.interval(np.mean(lengths, axis=1))
    print(f"{name:13} {mean:5.1f} steps, 95 % interval over 10 seeds {low:.1f} to {high:.1f}")

# %% [markdown]
# The angle alone holds the pole nearly twice as long as chance does, and far from 200 steps: it reacts too
# late, and the pole swings ever harder. (The interval of the last line has no width because the time limit
# cuts every episode off at 500, not because the rule were perfect.)

# %%
camera = gym.wrappers.RenderCollection(gym.make("CartPole-v1", render_mode="rgb_array"))
run(camera, rules["angle only"], seed=3)
course.animation(
    np.stack(camera.render())[:, 150:350, 100:500],
    fps=15,
    alt="The cart follows the angle alone: the pole swings harder from side to side until it falls.",
)

# %% [markdown]
# **Exercise `policy_iteration`** (research, 10 minutes, at home). The button *Improve all* is an algorithm:
# evaluate, be greedy, repeat. In the editor its arrows were right after two rounds; the arrows of value
# iteration were right after 8 sweeps, its values after 30. Write it.

# %% exercise="policy_iteration"

# %%
lesson.check(policy_iteration)

# %% [markdown]
# ## 7. Quiz (4 minutes)

# %%
lesson.quiz()

# %% [markdown]
# ## Summary
#
# - A task is an MDP: **states**, **actions**, **transition probabilities** and **rewards**; a **policy** is
#   what we look for. A state must hold all that matters for what comes next.
# - *Terminated*: nothing follows, the next value is 0. *Truncated*: the task would have gone on, the next
#   value counts.
# - The **return** is $G_t = r_t + \gamma G_{t+1}$. A discount looks about $1/(1-\gamma)$ steps ahead and so
#   decides what is worth waiting for.
# - The **Bellman equation** gives a policy's value, by solving or by sweeps; with a max over actions it
#   gives the best value, and the greedy policy attains it. Both need $P$ and $R$. Lesson 02 does without.
# - A mean of few episodes shows little. Give the interval.
#
# ## What could go wrong
#
# - *Values are too small, most of all far from the goal*: truncation is treated as termination.
# - *Values explode or never settle*: $\gamma = 1$ with a policy that never ends, or a terminal state that
#   still has a value.
# - *The agent prefers a small reward nearby*: the large one is discounted below it. Compare $\gamma^t$
#   times each, with $t$ the steps before it.
# - *Sampled and computed values disagree beyond the interval*: do the episodes stop at a time limit that the
#   computation does not have? (`dp.expected_return` takes one, as `horizon`.) And do the policy and the
#   environment draw from generators with different seeds? With the same seed both see the same numbers, and
#   the moves are no longer independent of the slips.
# - *The best policy looks absurd*: it is best for the rewards as written, not as meant.
#
# ## Further reading
#
# - R. Sutton, A. Barto, *Reinforcement Learning: An Introduction*, 2nd edition, MIT Press 2018. Chapter 3
#   (MDPs, returns, Bellman equations) and chapter 4 (policy evaluation, policy iteration, value iteration).
# - M. Puterman, *Markov Decision Processes*, Wiley 1994. Chapter 6: discounted problems, with proofs.
# - F. Pardo, A. Tavakoli, V. Levdik, P. Kormushev, "Time Limits in Reinforcement Learning", ICML 2018,
#   arXiv:1712.00378. Termination against truncation.
# - M. Towers et al., "Gymnasium: A Standard Interface for Reinforcement Learning Environments", 2024,
#   arXiv:2407.17032.
# - R. Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021,
#   arXiv:2108.13264. How to compare with few seeds.

# %%
lesson.progress()
