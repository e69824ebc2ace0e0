# %% [markdown]
# # 02 · Q-learning
#
# **You will be able to**
#
# - turn the Bellman optimality equation into a rule that learns from single steps, and say why each sign in
#   it is as it is;
# - write tabular Q-learning: the update, epsilon-greedy exploration, the loop;
# - use a table where the observations are real numbers, by cutting them into cells;
# - say what replaying stored steps buys and what it costs;
# - show that the best settings of a learner change from task to task.
#
# **Time**: 50 minutes: 26 of reading and running, 20 of exercises, 4 for the quiz.
#
# **You need**: Python with numpy, and lesson 01: state, action, reward, return, discount, terminated and
# truncated, the Bellman optimality equation.

# %% tags=["nbval-ignore-output"]
from mlearn_utils import course

lesson = course.start("02")

# %%
import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np

from mlearn_utils import QLearningAgent
from mlearn_utils.course.lesson_02 import pictures, predictions, settings
from mlearn_utils.rl import dynamic_programming as dp
from mlearn_utils.rl import temporal_difference as td
from mlearn_utils.rl.batched_q_learning import BatchedQLearner
from mlearn_utils.rl.q_learning import SarsaAgent
from mlearn_utils.rl.schedules import linear_decay
from mlearn_utils.tasks.gridworld import ACTIONS, GridTask, grid_mdp, make_env

# %% [markdown]
# ## 1. From an equation to a correction (4 minutes)
#
# Lesson 01 computed the best values from $P$ and $R$. From now on nobody tells us $P$ and $R$: all that we
# can do is act and see what happens. First we move the max. Let $q^*(s, a)$ be what action $a$ is worth in
# state $s$ if everything after it is done in the best way. Then $V^*(s) = \max_a q^*(s, a)$, and the
# Bellman optimality equation reads
#
# $$q^*(s, a) = \sum_{s'} P(s' \mid s, a)\,\bigl[\, r(s, a, s') + \gamma \max_{a'} q^*(s', a') \,\bigr],
# \qquad q^* = 0 \text{ at terminal states.}$$
#
# This is the grid of lesson 01 with $\gamma = 0.95$, solved with $P$ and $R$ to have something to compare
# with:

# %%
task, gamma = settings.TASK, settings.GAMMA
mdp = grid_mdp(task)
V_best = dp.value_iteration(mdp.P, mdp.R, gamma, terminal=mdp.terminal)
q_best = dp.action_values(mdp.P, mdp.R, V_best, gamma, terminal=mdp.terminal)
right_side = (mdp.P * (mdp.rewards + gamma * q_best.max(axis=1))).sum(axis=2)  # terminal rows of q are 0
assert np.allclose(q_best, np.where(mdp.terminal[:, None], 0.0, right_side))
start = task.state(task.start)
for action, name in enumerate(ACTIONS):
    print(f"q*(start, {name:5}) = {q_best[start, action]:.3f}")

# %% [markdown]
# Now the max stands *inside* the sum, and a sum weighted by probabilities is a mean. A mean can be
# estimated from samples, without knowing the probabilities. One step from $s$ with action $a$ gives a
# reward $r$ and a next state $s'$. (The four together, $(s, a, r, s')$, are called a **transition**.)
# Learning keeps a **table** of estimates $q(s, a)$, one entry for each pair, all 0 at first. The step's
# **target** is $r + \gamma \max_{a'} q(s', a')$. The **TD error** (temporal-difference error) $\delta$ is
# what the step says minus what the table says:
#
# $$\delta = \underbrace{r + \gamma \max_{a'} q(s', a')}_{\text{target}}
# - \underbrace{q(s, a)}_{\text{table}}, \qquad q(s, a) \leftarrow q(s, a) + \alpha\, \delta .$$
#
# **Mind the sign**: better than expected is $\delta > 0$, and the entry goes *up*. The **learning rate**
# $\alpha$ says how much of the way to the target it goes. If the table is $q^*$, single steps still have
# errors, but their mean is 0:

# %%
env, action = make_env(task), ACTIONS.index("right")
env.reset(seed=0)
errors = []
for _ in range(1000):
    state, _ = env.reset()
    after, reward, terminated, _, _ = env.step(action)
    errors.append(reward + gamma * q_best[after].max() * (not terminated) - q_best[state, action])
mean, low, high = course.interval(errors)
print(f"1000 steps right from the start, seen by q*: errors from {min(errors):.3f} to {max(errors):.3f}")
print(f"their mean is {mean:.4f}, 95 % interval over the steps {low:.4f} to {high:.4f}")
assert course.interval(errors, level=0.999)[1] < 0 < course.interval(errors, level=0.999)[2]

# %% [markdown]
# That is **Q-learning** (Watkins 1989): nudge the entry of every step you take until the errors average
# out. The target contains another entry of the same table: it learns a guess from a guess, which lesson 01
# called **bootstrapping**.

# %% [markdown]
# ## 2. One update (2 minutes)
#
# **Exercise `td_update`** (core, 5 minutes). Return the new value of `q[state, action]`. Where the episode
# terminated nothing follows, so there is nothing to bootstrap from.

# %% exercise="td_update"

# %%
lesson.check(td_update)

# %% [markdown]
# `lesson.hint("td_update")` gives one hint at a time, `lesson.solution("td_update")` one way to write it.
# The following cells never use your function; they call the package's, which returns the new value and the
# error.
#
# Step through the first updates of a learner on a small grid without slips, with $\alpha = 0.5$ and
# $\gamma = 0.9$. Each cell shows four values, one a move, and a dot at the largest. Work out the new number
# before you press *Next*. (Updates that change nothing are skipped after the first three.)

# %%
updates = pictures.record_updates(pictures.STEPPED, 400, rate=0.5, gamma=0.9, seed=2)
shown = pictures.interesting_updates(updates, most=15)
course.Stepper(
    pictures.update_steps(shown, rate=0.5, gamma=0.9),
    count=2 * len(shown),
    alt="A grid of three by three cells with the values of the four moves in each; one entry changes a step.",
    name="single-updates",
)

# %% [markdown]
# A reward changes one entry. Only when the walk comes by again does the entry *before* it learn: the goal's
# news travels backwards, one cell a visit. The pit's does not travel here, because of the max: a cell from
# which one *can* fall is no worse for it. (With slips it would travel, too: then one *may* fall whatever
# one chooses.)

# %% [markdown]
# ## 3. Explore, and break ties (3 minutes)
#
# Which action to take while learning? Always the one that looks best (**greedy**) never tries the others.
# **Epsilon-greedy** takes a random action with probability $\varepsilon$ and the greedy one otherwise. One
# detail decides more than it seems to: at the beginning all entries are 0.

# %%
predictions.predict_ties()


# %%
def steps_to_goal(choose, step_cost, seed, limit=3000):
    """Return after how many steps a learner with epsilon = 0 first reaches the goal."""
    env, q = make_env(GridTask(slip=0.0, step_cost=step_cost)), np.zeros((25, 4))
    rng, state = np.random.default_rng(seed), env.reset(seed=seed)[0]
    rates = {"learning_rate": 0.5, "gamma": 0.9}
    for step in range(1, limit + 1):
        action = choose(q[state], rng)
        after, reward, terminated, truncated, _ = env.step(action)
        q[state, action] = td.td_update(q, state, action, reward, after, terminated, **rates).value
        if terminated:
            return step
        state = env.reset()[0] if truncated else after
    return np.inf


# %%
choices = {
    "argmax, the first of equals": lambda values, rng: int(values.argmax()),
    "ties at random": lambda values, rng: td.epsilon_greedy(values, 0.0, rng),
}
reached = []
for (label, choose), runs in zip(choices.items(), (1, 200), strict=True):  # nothing is random in the first
    for cost in (0.01, 0.0):
        found = np.array([steps_to_goal(choose, cost, seed) for seed in range(runs)])
        there = np.isfinite(found).sum()
        text = f"after {np.median(found):.0f} steps (median)" if there else "never"
        print(f"{label:28} step cost {cost:4}: goal reached in {there:3} of {runs:3} runs, {text}")
        reached.append(there)
assert reached == [1, 0, 200, 200]

# %% [markdown]
# Without a step cost, `argmax` takes action 0, "up", into the wall, for ever. Breaking ties at random makes
# the same table a random walk until something is found, whether steps cost something or not.
#
# **Exercise `epsilon_greedy`** (core, 5 minutes). `rng` is a numpy generator: `rng.random()`,
# `rng.integers(n)` and `rng.choice(list)` are what you need.

# %% exercise="epsilon_greedy"

# %%
lesson.check(epsilon_greedy)

# %% [markdown]
# Exploring is worth most at the beginning, so $\varepsilon$ usually falls over the episodes:

# %%
decay = linear_decay(1.0, 0.05, 500)
print(
    "epsilon in episode", ", ".join(f"{episode}: {decay(episode):.3g}" for episode in (0, 100, 250, 500, 900))
)
assert decay(0) == 1.0 and np.isclose(decay(900), 0.05)

# %% [markdown]
# ## 4. The agent on the grid (5 minutes)
#
# Update and choice make a loop. **Exercise `learn_episode`** (core, 3 minutes, *find the bug*). The
# function below runs, and its table is wrong. Mend it.

# %% exercise="learn_episode"

# %%
lesson.check(learn_episode)

# %% [markdown]
# The package's `QLearningAgent` is this loop for any Gymnasium environment with discrete actions. On the
# slippery grid of section 1:

# %%
agent = QLearningAgent(make_env(task), learning_rate=0.1, gamma=gamma, epsilon=0.3)
history = agent.train(1000, seed=0)
greedy = agent.q_table.argmax(axis=1)
found = dp.policy_evaluation(mdp.P, mdp.R, greedy, gamma, terminal=mdp.terminal)[start]
print(f"the greedy policy is worth {found:.3f} from the start, the best possible is {V_best[start]:.3f}")
print(f"the table says {agent.q_table[start].max():.3f}")

# %% [markdown]
# Table and policy need not agree: to choose, the order of four entries is enough. And one run shows little,
# since chance plays a part. `BatchedQLearner` runs many learners at once: the same update, vectorized. Here
# are 40 for each of three learning rates, and what their greedy policies are worth as they learn, solved
# exactly as in lesson 01. (*Swing* is the standard deviation of one learner's last five values, 200
# episodes apart.)

# %%
states = np.arange(25)


def worth_of_greedy(q_tables):
    """Return [L] what the greedy policy of each table [L, S, A] is worth from the start."""
    actions = q_tables.argmax(axis=2)
    P_pi, R_pi = mdp.P[states, actions], mdp.R[states, actions]
    return np.linalg.solve(np.eye(25) - gamma * P_pi, R_pi[..., None])[:, start, 0]


# %%
labels, decay = ("α = 0.5", "α = 0.1", "α from 0.5 to 0.02"), linear_decay(0.5, 0.02, 1500)


def rate(episode):
    """Return [120] the learning rate of each learner in its own episode [120]."""
    return np.concatenate([np.full(40, 0.5), np.full(40, 0.1), decay(episode[80:])])


learners = BatchedQLearner(mdp, task=np.zeros(120, int), learning_rate=rate, gamma=gamma, epsilon=0.3)
episodes, worth = np.arange(200, 2001, 200), []
for k in range(10):
    learners.train(200, seed=k)
    worth.append(worth_of_greedy(learners.q_tables))
worth = dict(zip(labels, np.array(worth).T.reshape(3, 40, 10), strict=True))
says = learners.q_tables[40:80, start].max(axis=1)  # of the 40 with α = 0.1
print(
    f"α = 0.1: what the tables say of the start {says.mean():.3f}, what their policies are worth "
    f"{worth['α = 0.1'][:, -1].mean():.3f}, means over 40 learners"
)

# %%
swing = {}
fig, ax = plt.subplots()
print("worth after 2000 episodes, 95 % interval over 40 learners")
for label, runs in worth.items():
    course.band(ax, episodes, runs, label=label)
    mean, low, high = course.interval(runs[:, -1])
    swing[label] = runs[:, -5:].std(axis=1)
    print(f"{label:19} {mean:.3f} ({low:.3f} to {high:.3f}), mean swing {swing[label].mean():.3f}")
ax.axhline(V_best[start], color=course.COLORS["oracle"], linestyle="-", linewidth=1, label="best policy")
ax.set(
    xlabel="episodes", ylabel="value at the start", title="Greedy policies, 95 % interval over 40 learners"
)
ax.set_ylim(top=0.34)
ax.legend(ncols=2, loc="upper left")
# alt: Line chart of what greedy policies are worth at the start, over episodes, for three learning rates.
# alt: With α = 0.5 the value swings around 0. With α = 0.1 it climbs, and with a falling α it ends
# alt: highest, still below the best policy.
plt.show()
assert np.max(list(worth.values())) <= V_best[start] + 1e-9
assert course.interval(worth[labels[2]][:, -1])[1] > course.interval(worth[labels[0]][:, -1])[2]
assert course.interval(swing[labels[0]])[1] > course.interval(swing[labels[2]])[2]

# %% [markdown]
# A large $\alpha$ forgets: an entry keeps jumping with the last few slips, and the policy with it. A falling
# $\alpha$ moves far at first and averages later. (With $\alpha = 1/n$ at the $n$-th update an entry is the
# plain mean of its targets. Q-learning converges to $q^*$ if every pair is tried again and again and $\alpha$
# falls to 0, neither too fast nor too slowly: the sum of all $\alpha$ must be infinite, that of their squares
# finite. Watkins and Dayan 1992.)
#
# **Play with it**: moving a slider trains 400 learners anew for 500 steps. What their greedy policies are
# worth is the return without discount, whatever $\gamma$ they learn with, so the settings can be compared.
# Try $\varepsilon = 0$, then 1. Try $\gamma = 0$: what do the entries say now? Last, write down the
# $\alpha$ that you think best at $\varepsilon = 0.1$.

# %%
explorer = pictures.retrain_explorer()
explorer

# %% [markdown]
# With $\gamma = 0$ an entry is the mean reward of its step and nothing more: only the moves that may end at
# the goal or in a pit stand out. And the best $\alpha$? Here are eight of them, 400 new learners each, and
# five of the eight in numbers (with the 95 % interval over learners):

# %%
alphas = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0])
small, rates, greedy = grid_mdp(pictures.RETRAINED), np.repeat(alphas, 400), {}
for epsilon in (0.1, 1.0):
    learners = BatchedQLearner(
        small, task=np.zeros(3200, int), learning_rate=rates, gamma=0.9, epsilon=epsilon
    )
    (learning,) = learners.train_steps(500, windows=1, seed=1)
    greedy[epsilon] = learners.greedy_returns().reshape(8, 400).T
    print(
        f"ε = {epsilon:g}, α = 0.5: return while learning {np.nanmean(learning['return'][rates == 0.5]):.2f}"
    )
    for alpha in (0.02, 0.2, 0.3, 0.5, 1.0):
        mean, low, high = course.interval(greedy[epsilon][:, alphas == alpha][:, 0])
        print(
            f"   α = {alpha:4}: greedy policies are worth {round(mean, 2) + 0:5.2f} ({low:.2f} to {high:.2f})"
        )

# %%
fig, ax = plt.subplots(figsize=(6.4, 3))
for epsilon, runs in greedy.items():
    course.band(ax, alphas, runs, label=f"ε = {epsilon:g}")
best = pictures.best_return()
ax.axhline(best, color=course.COLORS["oracle"], linestyle="-", linewidth=1, label="best policy")
ax.set(xlabel="learning rate α", ylabel="greedy return, undiscounted", ylim=(-1, 1))
ax.set_title("After 500 steps, 95 % interval over 400 learners")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
# alt: Greedy return after 500 steps over the learning rate. With ε = 0.1 it is best at about 0.2 to 0.3
# alt: and worse at both ends. With ε = 1 larger rates do best. Neither curve comes near the line of the
# alt: best policy.
plt.show()

# %%
ends = {(e, a): course.interval(greedy[e][:, k]) for e in greedy for k, a in enumerate(alphas)}
for middle in (0.2, 0.3):
    assert ends[0.1, middle][1] > max(ends[0.1, other][2] for other in (0.02, 0.05, 0.7, 1.0))
two = np.repeat([0.2, 0.3], 1600)  # the two best, on new learners
learners = BatchedQLearner(small, task=np.zeros(3200, int), learning_rate=two, gamma=0.9, epsilon=0.1)
learners.train_steps(500, windows=1, seed=2)
fresh = learners.greedy_returns().reshape(2, 1600)
gap = course.interval(fresh[1] - fresh[0])  # they are independent, so any pairs will do
print(f"1600 new learners each: α = 0.3 less α = 0.2, 95 % interval {gap[1]:.2f} to {gap[2]:.2f}")
assert gap[1] < 0 < gap[2] < 0.1
assert ends[0.1, 0.3][1] > ends[0.1, 0.5][2]
assert ends[1.0, 0.5][1] > max(ends[1.0, 0.2][2], ends[0.1, 0.5][2])

# %% [markdown]
# With $\varepsilon = 0.1$ both ends are worse than the middle. And of the two best, 0.3 looked a little
# better; but who picks the best of eight also picks luck. Many new learners do not confirm it: the interval
# of the *difference* holds 0, so "about 0.2 to 0.3" is all that they can say. With
# $\varepsilon = 1$ the good rates are larger: 0.5 is ahead of 0.2 there, and behind 0.3 with
# $\varepsilon = 0.1$. And none comes near the best policy in 500 steps.
#
# With $\varepsilon = 1$ the return while learning stays poor, and yet at $\alpha = 0.5$ the greedy policies
# are worth more than with $\varepsilon = 0.1$: Q-learning learns about the *best* policy from the steps of
# another. That is **off-policy** learning.

# %% [markdown]
# ## 5. FrozenLake (2 minutes)
#
# FrozenLake-v1 is a slippery 4 × 4 grid of Gymnasium: a move goes where it should one time in three, and to
# either side otherwise. Only the goal pays, 1. So the mean return is the share of successes. Three learning
# rates, 100 learners each, 5000 episodes, with $\varepsilon$ falling from 1 to 0.1 (recorded in
# `data/lesson_02/`; the script there repeats them). One rate is 0.1 throughout, one 0.01 throughout, and one
# falls from 0.3 to 0.01:

# %%
fig, ax = plt.subplots()
for label in settings.LAKE_RATES:
    episode, runs = settings.curves("lake", label)
    course.band(ax, episode, runs, label=label)
    print(f"{label:13} last 500 episodes while learning: {runs[:, -1].mean():.2f}")
ax.set(xlabel="episodes", ylabel="success rate while learning", ylim=(0, 0.6))
ax.set_title("FrozenLake-v1, 95 % interval over 100 learners")
ax.legend(loc="upper left")
# alt: Success rate on FrozenLake over 5000 episodes, while learning, for three learning rates. A constant
# alt: 0.1 and a falling rate climb nearly alike to about 0.4. A constant 0.01 stays below 0.1.
plt.show()

# %%
success = {label: settings.results("lake", label) for label in settings.LAKE_RATES}
for label, values in success.items():
    mean, low, high = course.interval(values)
    print(
        f"{label:13} greedy: {mean:.3f} ({low:.3f} to {high:.3f}), worst {values.min():.2f}; "
        f"at least 0.70 in {(values >= 0.70).sum()} of {len(values)} learners"
    )
lake = settings.lake_mdp()
V_lake = dp.value_iteration(lake.P, lake.R, 0.99, terminal=lake.terminal)
best = dp.greedy_policy(lake.P, lake.R, V_lake, 0.99, terminal=lake.terminal)
limit = dp.expected_return(lake.P, lake.R, best, lake.start, horizon=100, terminal=lake.terminal)
print(f"the policy that is best for γ = 0.99, computed from P and R: {limit:.3f}, within 100 steps")
assert max(values.max() for values in success.values()) < limit + 0.005
assert course.interval(success["falling"])[1] > course.interval(success["constant 0.1"])[2]
assert (success["falling"] >= 0.70).sum() >= 95 > 90 >= (success["constant 0.1"] >= 0.70).sum()
assert success["constant 0.01"].max() < 0.70

# %% [markdown]
# (Gymnasium states 0.70 as what solves this task; an episode is cut off after 100 steps.) While learning
# even the best stay near 0.4, since one move in ten is random. Judged greedily (computed exactly, the
# intervals over learners), the falling rate and the constant 0.1 differ little in their means and much in
# their worst learner: with 0.1 throughout, one learner in seven has just then a policy below 0.70. A rate
# of 0.01 throughout, as small as the falling one ends, has learned almost nothing: a rate can be too small
# from the start. (No other constants were tried, so 0.1 need not be the best of them.) Always judge a
# learner apart from its exploration.

# %% [markdown]
# ## 6. Along the cliff: Q-learning and SARSA (3 minutes)
#
# CliffWalking-v1: walk from the lower left to the lower right. Every step costs 1, the cliff between costs
# 100 and puts you back at the start. **SARSA** differs from Q-learning in one place: its target takes the
# action $a'$ that the exploring agent really takes next, $r + \gamma\, q(s', a')$, instead of the best one.
# Both explore with $\varepsilon = 0.1$ throughout; $\alpha = 0.5$, $\gamma = 1$.

# %%
predictions.predict_cliff()

# %%
fig, ax = plt.subplots()
late = {}
for label in ("Q-learning", "SARSA"):
    episode, runs = settings.curves("cliff", label)
    course.band(ax, episode, runs, label=label)
    late[label] = runs[:, episode > 400].mean(axis=1)
    mean, low, high = course.interval(late[label])
    print(f"{label:10} return while learning, episodes 401-500: {mean:.1f} ({low:.1f} to {high:.1f})")
ax.set(xlabel="episodes", ylabel="return while learning", ylim=(-150, 0))
ax.set_title("CliffWalking-v1, 95 % interval over 10 seeds")
ax.legend(loc="lower right")
# alt: Returns on CliffWalking over 500 episodes, while learning. SARSA's curve lies above that of
# alt: Q-learning nearly all the time. Near episode 210 SARSA dips once and its interval fills the axis.
plt.show()
dip = runs[:, episode == 210][:, 0]  # of SARSA
print(f"SARSA, episodes 201-210, seed by seed: {np.sort(dip).round()}")
assert course.interval(late["SARSA"] - late["Q-learning"])[1] > 0

# %% [markdown]
# (SARSA's dip near episode 210 is one seed of the ten, whose ten walks there have a mean of about −400, and
# the interval, which knows only mean and spread, fills the axis. Both are cut off at −150 at the very
# beginning.)
#
# Now the greedy paths, without random moves, of one seed of each, trained here:

# %%
paths = {}
for label, kind in (("Q-learning", QLearningAgent), ("SARSA", SarsaAgent)):
    env = gym.make("CliffWalking-v1")
    walker = kind(env, **settings.CLIFF)
    walker.train(settings.CLIFF_EPISODES, seed=0)
    paths[label], ended = [int(env.reset(seed=0)[0])], False
    while not ended and len(paths[label]) < 1000:
        state, _, ended, _, _ = env.step(walker.act(paths[label][-1], greedy=True))
        paths[label].append(int(state))
fig, ax = plt.subplots(figsize=(7, 2.8))
pictures.draw_paths(ax, paths)
# alt: Two greedy paths from start to goal on the map of CliffWalking. Q-learning walks along the very edge
# alt: of the cliff, the shortest way. SARSA makes a detour through the rows farther up.
plt.show()

# %%
for label, path in paths.items():
    recorded = settings.results("cliff", label)
    shares = ", ".join(f"{value:.0f} in {(recorded == value).sum()}" for value in np.unique(recorded)[::-1])
    print(f"{label:10} this path: {1 - len(path)}; greedy returns of 10 seeds: {shares}")
assert (settings.results("cliff", "Q-learning") == -13).sum() >= 9

# %% [markdown]
# Q-learning's greedy path is the shortest, -13, in every seed. SARSA's is longer and keeps away from the
# edge. (A return of -1000 is a greedy walk in circles, cut after 1000 steps: two of the ten tables of
# SARSA held one when training stopped.) Neither is better as such: Q-learning answers "what is best if I
# stop exploring?", SARSA "what is best while I explore?".

# %% [markdown]
# ## 7. CartPole with a table (3 minutes)
#
# CartPole's state is four real numbers: position and velocity of the cart, angle and angular velocity of
# the pole. A table needs a row number. **Discretizing** cuts dimension $d$ into $n_d$ intervals of equal
# length; $k_d$ is the interval that the observation lies in, counted from 0. With three dimensions the row
# is $(k_0 \, n_1 + k_1)\, n_2 + k_2$, as in numpy's `reshape`.
#
# **Exercise `discretize`** (core, 7 minutes). Return the row for an observation of any number of
# dimensions. What lies outside `low` and `high`, or on `high`, belongs to the outermost interval.

# %% exercise="discretize"

# %%
lesson.check(discretize)

# %% [markdown]
# How fine, and of what? Six tables, all within the same bounds. The pole's angle × angular velocity is cut
# into 6 × 12, 12 × 24 or 24 × 48 intervals. The cart's position × velocity is ignored, or cut into 4 × 4.
# Everything else is equal: 600 episodes, and bounds and rates that we had chosen for the smallest table
# (2.4 m, 3 m/s, 0.21 rad and 2 rad/s to either side; $\alpha$ from 0.5 to 0.1, $\varepsilon$ from 1 to
# 0.01, $\gamma = 0.99$). We count the seeds that reach 195, which Gymnasium states as what solves the
# shorter CartPole-v0.

# %% tags=["slide-hide-input"]
balanced = {variant: settings.results("cartpole", variant) for variant in settings.CART_BINS}
for variant, values in balanced.items():
    mean, low, high = course.interval(values)
    print(
        f"{variant:24} greedy, 100 episodes a seed: {mean:3.0f} ({low:3.0f} to {high:3.0f}); "
        f"at least 195 in {(values >= 195).sum():2} of {len(values)} seeds"
    )

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
for variant, bins in settings.CART_BINS.items():
    episode, runs = settings.curves("cartpole", variant)
    label = f"pole {bins[2]} × {bins[3]}: {np.prod(bins)} cells"
    course.band(axes[int(bins[0] > 1)], episode, runs, label=label)
for ax, title in zip(axes, ("the cart ignored", "the cart 4 × 4"), strict=True):
    ax.set(xlabel="episodes", title=title, ylim=(0, 780), yticks=range(0, 501, 100))
    ax.legend(loc="upper left")
axes[0].set_ylabel("return while learning")
fig.suptitle("CartPole-v1, 95 % interval over 10 seeds")
# alt: Returns on CartPole over episodes, while learning, for ever finer tables. Left, without the cart,
# alt: all three learn, the finest least in the end. Right, with the cart, the coarsest climbs above 400,
# alt: the next stays below 200, the finest hardly learns.
plt.show()


# %% tags=["slide-hide-input"]
def gap(one, other):
    """Return the mean difference of two tables' greedy returns and its 95 % interval over the 10 seeds."""
    return course.interval(balanced[one] - balanced[other])


poles = ("pole 6 x 12", "pole 12 x 24", "pole 24 x 48")
withs = [f"cart 4 x 4, {pole}" for pole in poles]
for one, other in (
    (withs[0], poles[0]),
    (poles[0], poles[1]),
    (poles[1], poles[2]),
    (withs[0], withs[1]),
    (withs[1], withs[2]),
    (withs[0], poles[2]),
):
    mean, low, high = gap(one, other)
    print(f"{one:24} minus {other:24} {mean:4.0f} ({low:.0f} to {high:.0f})")
assert gap(withs[0], poles[0])[1] < 0 < gap(withs[0], poles[0])[2]  # the cart: not told apart
assert gap(poles[0], poles[1])[1] < 0 < gap(poles[0], poles[1])[2]
assert min(gap(withs[0], withs[1])[1], gap(withs[1], withs[2])[1], gap(poles[1], poles[2])[1]) > 0
assert gap(withs[0], poles[2])[1] > 0  # the same number of cells

# %% [markdown]
# (A return cannot exceed 500, the time limit; an interval of the mean does not know that.) Each cell learns
# alone, so a finer table spreads the same steps over more cells. With the cart in the table each finer cut
# was worse. Without it, 24 × 48 is worse than 12 × 24, but 12 × 24 and 6 × 12 are not told apart. Whether
# to look at the cart, with the pole cut 6 × 12, ten seeds do not settle: their interval reaches far to
# either side. And the number of cells is not all: of two tables with 1152 cells, the one that spends them
# on the cart is better than the one that spends them on a finer pole. Why, and whether more episodes or
# other rates would turn this round, these runs do not say.
#
# Here is what the smallest table learned (seed 0): where it pushes right, where left. (A dot: no difference.)

# %%
discretizer, q_cart = settings.cart_discretizer(), settings.cart_table()
fig, ax = plt.subplots(figsize=(5, 3.6))
pictures.draw_cart_table(ax, q_cart, discretizer.low, discretizer.high)
# alt: Heat map over the pole's angle and angular velocity, with an arrow for the better push. Roughly, it
# alt: pushes right where the pole leans or turns fast to the right, and left where it does so to the left.
# alt: At the rim the pattern breaks.
plt.show()

# %%
camera = gym.wrappers.RenderCollection(gym.make("CartPole-v1", render_mode="rgb_array"))
observation, _ = camera.reset(seed=1)
steps, ended = 0, False
while not ended:
    observation, _, terminated, truncated, _ = camera.step(int(q_cart[discretizer(observation)].argmax()))
    steps, ended = steps + 1, terminated or truncated
print(
    f"{steps} steps; at the end the cart is at {observation[0]:.2f} m, the pole at {observation[2]:.2f} rad"
)
assert terminated and abs(observation[0]) > 2.4 and abs(observation[2]) < 0.2
frames = np.stack(camera.render()[:400:4])[:, 140:340]
course.animation(
    frames.reshape(len(frames), 100, 2, 300, 2, 3).min(axis=(2, 4)),  # half the size, thin lines kept
    fps=12,
    alt="The cart keeps the pole upright, but drifts to the left until it leaves its track.",
)

# %% [markdown]
# The pole never fell. The cart left its track (2.4 m to either side), which ends an episode too: a table that
# ignores the cart cannot see that coming.

# %% [markdown]
# ## 8. An experience pool (2 minutes)
#
# A step in the world is often dear, an update is cheap. So keep every transition $(s, a, r, s')$ in a
# **pool**, and after each real step learn from some of them again, drawn at random. (In **Dyna**, Sutton
# 1990, these steps are drawn from estimates of $P$ and $R$, a *model*; here they are the stored ones.) It
# works because Q-learning is off-policy: the target asks only what the best continuation is worth, so an
# old step is as good as a new one. The grid below has no chance in it, so $\alpha = 1$ is used: one step
# tells all. (A step costs 0.01, the goal pays 1 and a pit takes 1; the greedy policy is looked at every 50
# steps.)

# %%
fig, ax = plt.subplots()
solved = {}
for replay in ("0", "5", "25"):
    step, runs = settings.curves("replay", replay)
    course.band(ax, step, runs, label=f"{replay} replayed per step")
    solved[replay] = np.array([step[np.flatnonzero(run < run[-1] - 1e-6)[-1] + 1] for run in runs])
    mean, low, high = course.interval(solved[replay])
    print(
        f"{replay:2} replayed: best policy for good after {mean:3.0f} steps ({low:.0f} to {high:.0f}), "
        f"{mean * (1 + int(replay)):.0f} updates"
    )
ax.set(xlabel="steps in the environment", ylabel="return of the greedy policy")
ax.set_title("Grid 6 × 6 without slips, 95 % interval over 10 seeds")
ax.legend(loc="lower right")
# alt: Return of the greedy policy over steps in the environment. All three curves climb to 0.9, the sooner
# alt: the more is replayed: without replay for good after 670 steps on average, with 5 replayed after 320,
# alt: with 25 after 230.
plt.show()
assert course.interval(solved["0"] - solved["5"])[1] > 0

# %% [markdown]
# Replay buys steps and pays with computation. (Again the interval of the mean does not know that no return
# is above 0.9.)

# %% [markdown]
# ## 9. The best setting moves from task to task (2 minutes)
#
# Which $\alpha$, $\varepsilon$ and $\gamma$ should one use? Try them all: 75 settings × 20 seeds on three
# grids, 4500 learners at once, 1500 steps each. "Far" is large and without surprises. "Noisy" is small and
# slips; each reward has a random part. "Trap" pays 0.2 near the start and ends the episode there. A policy
# is judged by its return without discount, so that learners with different $\gamma$ can be compared.
# (Rewards and costs are those of section 8, and an episode is cut off after 100 steps: one that walks in
# circles earns −1.)

# %%
grids = {
    "far": GridTask(size=7, slip=0.0),
    "noisy": GridTask(size=3, slip=0.1, reward_noise=0.5),
    "trap": GridTask(size=5, trap=(1, 1), slip=0.0),
}
rates, epsilons, gammas = (
    np.array([0.03, 0.1, 0.3, 0.6, 1.0]),
    np.array([0.05, 0.2, 0.4, 0.7, 1.0]),
    np.array([0.8, 0.9, 0.97]),
)
mdps = [grid_mdp(grid) for grid in grids.values()]


# %%
def returns_by_setting(seeds, seed):
    """Return [task, rate, epsilon, gamma, seeds] the exact greedy return, undiscounted, after 1500 steps."""
    axes = np.meshgrid(range(3), rates, epsilons, gammas, range(seeds), indexing="ij")
    t, a, e, g, _ = (axis.reshape(-1) for axis in axes)
    learners = BatchedQLearner(mdps, task=t, learning_rate=a, epsilon=e, gamma=g)
    learners.train_steps(1500, windows=1, seed=seed)
    return learners.greedy_returns().reshape(axes[0].shape)


# %% tags=["slide-hide-input"]
maps = dict(zip(grids, returns_by_setting(20, seed=0).mean(axis=-1), strict=True))
best_cell = {name: np.unravel_index(mean.argmax(), mean.shape) for name, mean in maps.items()}
pictures.draw_maps(plt.figure(), maps, rates, epsilons, gammas, best_cell)
# alt: Three heat maps, one per task: mean return by learning rate α and exploration ε, the best cell
# alt: framed. On far it has a large α and the smallest ε, on noisy a small α and the smallest ε, on trap a
# alt: large α and the largest ε.
plt.show()

# %% [markdown]
# The frame marks each task's best cell (the first of them, where several tie; some lie at an end of what was
# tried). But the best of 75 noisy means was
# in part lucky. So we judge the three chosen settings again, on 40 new seeds, each on every task:

# %%
again = dict(zip(grids, returns_by_setting(40, seed=1), strict=True))
print("setting chosen on        mean return on", *(f"{name:>7}" for name in grids))
for chosen, cell in best_cell.items():
    where = f"α = {rates[cell[0]]:g}, ε = {epsilons[cell[1]]:g}, γ = {gammas[cell[2]]:g}"
    print(f"{chosen:6} ({where})".ljust(41), *(f"{again[name][cell].mean():7.2f}" for name in grids))
for name in grids:  # its own setting beats each other one
    for other in set(grids) - {name}:
        gap = again[name][best_cell[name]] - again[name][best_cell[other]]
        assert course.interval(gap)[1] > 0, (name, other)

# %% [markdown]
# Read along a column: on each task its own setting earns more than the two others (the 95 % interval of
# each difference, over the 40 seeds, lies above 0), and none does well on all three. There is no best
# setting, only a best setting *for a task*. Could it be learned from other tasks which setting a new one
# needs? That is a branch of meta-learning, and lesson 07 takes it up.

# %% [markdown]
# ## 10. Quiz (4 minutes)

# %%
lesson.quiz()

# %% [markdown]
# ## Summary
#
# - $\delta = r + \gamma \max_{a'} q(s', a') - q(s, a)$, without the bootstrap where the episode terminated,
#   and $q(s, a) \leftarrow q(s, a) + \alpha\,\delta$.
# - Explore with probability $\varepsilon$, break ties at random, and judge the learner greedily.
# - Q-learning is off-policy, SARSA learns about the policy it follows (on-policy). That decides the path
#   along the cliff, and whether old steps can be replayed.
# - With chance in the task, let $\alpha$ begin large and become small.
# - Learners with the same setting differ much. Compare settings over many seeds by the interval of their
#   difference, and judge a winner again on seeds that did not choose it.
# - The best setting differs from task to task.
#
# ## What could go wrong
#
# - *The values are wrong near the end of episodes*: the last step bootstraps, and somebody wrote into the
#   row of a terminal state; or the max runs over states.
# - *Nothing is learned at all*: ties always go to action 0, or `state` moves on before the update.
# - *The time limit looks like a danger*: truncation was taken for termination.
# - *Good curves, a poor greedy policy*: $\alpha$ is still large, and the table follows the last few steps.
# - *CartPole does not learn*: too many cells for so few episodes.
#
# ## Further reading
#
# - R. Sutton, A. Barto, *Reinforcement Learning: An Introduction*, 2nd ed. 2018: sections 6.4 and 6.5
#   (SARSA, Q-learning; example 6.6 is the cliff) and 8.2 (Dyna).
# - C. Watkins, *Learning from Delayed Rewards*, PhD thesis, King's College, Cambridge, 1989.
# - C. Watkins, P. Dayan, "Q-learning", *Machine Learning* 8, 1992. The proof of convergence.
# - R. Sutton, "Integrated Architectures for Learning, Planning, and Reacting Based on Approximating Dynamic
#   Programming", ICML 1990. Dyna.

# %%
lesson.progress()
