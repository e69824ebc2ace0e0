# %% [markdown]
# # 07 · Learning the learner's hyperparameters
#
# **You will be able to**
#
# - treat a learning algorithm's own settings as what is to be learned, in three steps: model, suggest and
#   adjust, judge;
# - say which features a model needs before its suggestion can depend on the task;
# - compare strategies on new tasks at equal budgets, and name three ways in which such a comparison cheats;
# - differentiate a loss with respect to a learning rate, and let a discount adjust itself;
# - place all this, and MAML, on a map of meta-reinforcement learning.
#
# **Time**: 50 minutes: 25 of reading and running, 21 of exercises, 4 for the quiz.
#
# **You need**: lessons 02 (Q-learning) and 04 (MAML: support, query, inner step); for the last sections
# also lesson 03 (policy gradient, discount, advantages).

# %% tags=["nbval-ignore-output"]
from mlearn_utils import course

lesson = course.start("07")

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_score

from mlearn_utils import TaskBatch
from mlearn_utils.course.lesson_07 import carts, grids, pictures, predictions, results
from mlearn_utils.meta import maml
from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.model import HyperparameterModel
from mlearn_utils.tasks.gridworld import GridTasks

# %% [markdown]
# ## 1. A setting for every task? (3 minutes)
#
# MAML learned a *start* from which a few steps suffice. There is a second thing that many tasks can teach:
# **how to set the learner**. Lesson 02 ended with a map of Q-learning's return over its settings, and the
# best cell moved from grid to grid. Before a new grid we know a little about it, say its size, how slippery
# it is, how noisy its rewards are. Can that tell us the settings?
#
# Words for this lesson. A **task** is one grid, described by its **features** $x$. A **setting** $h$ is one
# choice of Q-learning's **hyperparameters**: the learning rate $\alpha$, the share $\varepsilon$ of random
# moves, and the discount $\gamma$. A **run** is one learner on one task with one setting: 15 000 steps, then
# its greedy policy is evaluated exactly. What it earns is its **return** $r$: 1 for the goal, $-1$ for a pit,
# less the cost of its steps, so never above 1. Two runs of the same setting differ by luck.

# %%
varied, alike = GridTasks("varied"), GridTasks("alike")
examples = varied.sample(3, seed=5)
print(f"features x: {', '.join(grids.FEATURES)}")
for task in examples:
    print("           ", *(f"{value:5.3g}" for value in grids.task_features(task)))
print("settings h:", ", ".join(f"{n} {r.low:g} to {r.high:g}" for n, r in grids.SPACE.items()))

# %% [markdown]
# The discount is stated by how far it makes the learner look ahead: $1 / (1 - \gamma)$ steps (lesson 01).
# For a learning rate and a look-ahead equal *factors* count as equal, so their scales are logarithmic.
# Among the features, *share of pits* is that of all cells, *trap* is 1 if there is one (a cell that pays
# 0.2 at once and ends the episode), and *distance* is how many rows and columns the goal is away from the
# upper left corner. Note what is **not** among the features: the number (seed) that a grid was made from.
# Section 4 says why.
#
# The plan has three steps:
#
# 1. **Model.** Run many settings on many tasks; learn to predict $r$ from $(x, h)$.
# 2. **Suggest and adjust.** On a new task, take the setting with the best prediction; look at what it
#    earned, and choose the next one.
# 3. **Judge.** Do this on tasks that had no part in steps 1 and 2, against baselines with equal budgets.

# %% [markdown]
# ## 2. Step 1: a table and a model of it (4 minutes)
#
# First a small table, made here: 60 grids × 16 settings, 960 learners at once.

# %%
small_tasks, small_settings = varied.sample(60, seed=0), grids.spread_settings(16)
tried = np.broadcast_to(small_settings, (60, 16, 3))
small_table = grids.run(small_tasks, tried, seed=1)  # [task, setting]
print(f"{small_table.size} runs, returns from {small_table.min():.2f} to {small_table.max():.2f}")

# %% [markdown]
# Each row of this table is a task, each column a setting. Here it is as a picture, tasks sorted by their
# mean:

# %%
fig, ax = plt.subplots(figsize=(6, 3))
order = np.argsort(small_table.mean(axis=1))
image = ax.imshow(small_table[order].T, aspect="auto", vmin=-1, vmax=1)
ax.set(xlabel="task, from hard to easy", ylabel="setting", title="Return of one run")
ax.grid(False)
fig.colorbar(image, ax=ax, label="return")
# alt: Heat map of the returns of single runs: tasks from hard to easy across, settings down. Vertical
# alt: bands show tasks that are easy or hard whatever the setting. Faint horizontal bands show settings
# alt: that are good on most tasks.
plt.show()

# %% [markdown]
# Vertical bands: some tasks are easy whatever one does. Horizontal bands: some settings are good on most
# tasks. What we are after is neither, but the *pattern* left over: which setting suits which task. Is there
# one, or is the rest luck? To say which setting is the best on how many grids proves nothing: in a table of
# pure luck each would win somewhere, too, and often several tie. Make two thirds of the table a second
# time, and see what comes back:

# %%
again = grids.run(small_tasks[:40], tried[:40], seed=2)
rest, rest_again = (
    table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    for table in (small_table[:40], again)
)
common = np.corrcoef(rest.ravel(), rest_again.ravel())[0, 1]
print(f"what is left of a return after its row's and its column's mean: correlation {common:.2f}")
assert common > 0.25

# %% [markdown]
# The pattern is real: about that share of what rows and columns leave over (the correlation of two runs)
# returns in a second run, and the rest is luck.
#
# The course's `HyperparameterModel` learns such a table with any regression method. The simplest one first, a
# plain linear model $r \approx a + b \cdot x + c \cdot h$.

# %%
predictions.predict_linear()

# %%
rows = np.repeat(grids.all_features(small_tasks), 16, axis=0)  # one row a run
columns, earned = np.tile(small_settings, (60, 1)), small_table.ravel()
new_grids = grids.all_features(varied.sample(100, seed=8000))
linear = HyperparameterModel(LinearRegression(), grids.SPACE).fit(rows, columns, earned)
trees = HyperparameterModel(space=grids.SPACE).fit(rows, columns, earned)
for name, model in (("linear", linear), ("boosted trees", trees)):
    suggested = model.suggest(new_grids)[:, 0]  # [task, suggestions, H]: here the only one of each task
    different = len(np.unique(suggested, axis=0))
    print(f"{name:14} suggests {different:3} different settings for 100 new grids")
    assert (different == 1) == (name == "linear")

# %% [markdown]
# Its best $h$ cannot depend on $x$, however many rows it sees. **Boosted trees** (scikit-learn's, the
# model's default) can. They are the sum of a hundred small trees of yes-or-no questions, each made to mend
# what those before it got wrong; and a tree that first asks "noise above 1?" may prefer other settings on
# either side.
#
# **Exercise `surrogate_columns`** (core, 6 minutes). A linear fit becomes useful if it gets the right
# columns: squares of $h$, so that the best value may lie inside the range, and products $x_f h_j$, so that
# it may depend on the task. A model that stands in for the runs like this is called a **surrogate**.

# %% exercise="surrogate_columns"

# %%
lesson.check(surrogate_columns)

# %% [markdown]
# `lesson.hint("surrogate_columns")` gives one hint at a time, `lesson.solution("surrogate_columns")` one way
# to write it. The following cells never use your function.

# %% [markdown]
# ## 3. Step 2: suggest, and adjust (3 minutes)
#
# The small table is thin. The course keeps a larger one (`data/lesson_07/`, made by the script there in about
# a minute of one core): 300 grids × 40 settings. From here on the model is the one fitted on it. Describe a
# grid, and see what the model predicts on it:

# %%
explorer = pictures.surface_explorer()
explorer

# %% [markdown]
# **Try**: noise 0, 0.3 and 2. The suggested $\alpha$ falls, since noisy rewards must be averaged; and the
# uncertainty ± grows. (It is one standard deviation of a single run. A regression does not know that no
# return is above 1, so the return that it predicts may lie above.) Then a trap. One would think: now the
# learner should look further ahead. Does the model? Its suggestions for 100 grids, with a trap and without:

# %%
grids_there = grids.all_features(varied.sample(100, seed=8000))
trap = grids.FEATURES.index("trap")
without, with_trap = grids_there.copy(), grids_there.copy()
without[:, trap], with_trap[:, trap] = 0.0, 1.0
plain, trapped = (results.stored_model().suggest(features)[:, 0] for features in (without, with_trap))
for k, name in ((2, "epsilon"), (1, "look-ahead")):
    larger, smaller = (trapped[:, k] > 1.05 * plain[:, k]).mean(), (trapped[:, k] < 0.95 * plain[:, k]).mean()
    print(f"a trap: the suggested {name:10} is larger on {larger:.0%} of the grids, smaller on {smaller:.0%}")
shortest = (
    results.stored_model().suggest(grids_there)[:, 0, 1] < 1.05 * grids.SPACE["look-ahead"].low
).mean()
print(f"the suggested look-ahead lies at the lower end of its range on {shortest:.0%} of these grids")

# %% [markdown]
# With a trap the suggested $\varepsilon$ is mostly larger, and the look-ahead longer on some grids, shorter
# on others. The model says what earned more in its table; it does not say why, and a story that sounds
# right is no evidence.
#
# Where does the ± come from? The tasks are split into five parts. Five copies of the trees are trained,
# each without one part, and the prediction is their mean. Each copy is wrong on the part it never saw; one
# more set of trees learns the squares of these errors. So the ± holds the model's error and the run's luck,
# on *tasks not seen in training*. If the errors are roughly normal, a run on a new grid lies within 1.96 of
# it in about 95 of 100 cases, and within one of it in 68:

# %%
model = results.stored_model()
check_tasks = varied.sample(80, seed=8100)
drawn = spaces.sample(grids.SPACE, 400, rng=np.random.default_rng(0)).reshape(80, 5, 3)
fresh = grids.run(check_tasks, drawn, seed=3).ravel()
mean, std = model.predict(np.repeat(grids.all_features(check_tasks), 5, axis=0), drawn.reshape(400, 3))
covered, within_one = ((np.abs(fresh - mean) < times * std).mean() for times in (1.96, 1.0))
explained = 1 - ((fresh - mean) ** 2).mean() / fresh.var()
print(f"share of 400 runs on 80 new grids within ±1.96 std: {covered:.2f}; within ±1 std: {within_one:.2f}")
print(f"share of their variance explained: {explained:.2f}")
assert 0.88 < covered < 0.97 and explained > 0.5

# %% [markdown]
# Rather 93 than 95 of 100: a few errors are larger than normal ones would be.
#
# Now **adjusting**. After a run on the new task we know its residual: earned minus predicted. Neighboring
# settings of the same task probably err in the same direction. How strongly is measured on the training
# tasks; a **Gaussian process** (a model of how the errors at near and far settings hang together) turns it
# into corrected predictions. The next setting is the one with the largest **expected improvement** over the
# best so far: a good mean helps, and so does a large uncertainty (Jones et al. 1998). Step through four
# runs on a grid that the model never saw. (Drawn is the prediction from the features, at the look-ahead of
# the run; the corrected ones are not. A mark is a run and what it earned, green above 0.5; the earlier ones
# looked ahead by other numbers of steps.)

# %%
new_grid = varied.sample(40, seed=8200)[17]
known = zip(grids.FEATURES, grids.task_features(new_grid), strict=True)
print("the grid:", ", ".join(f"{name} {value:.2g}" for name, value in known))
runs = pictures.record_adjustment(model, new_grid, 4, seed=0)
course.Stepper(
    pictures.adjust_steps(model, new_grid, runs),
    count=len(runs),
    alt="Predicted return in color over learning rate and epsilon; each moment adds a run with its return.",
    name="adjust",
)

# %% [markdown]
# ## 4. Step 3: judge (5 minutes)
#
# A test of a model is worth what its rules are. There are three easy ways to cheat oneself:
#
# - **Testing on tasks already seen.** Let the only thing known of a grid be its *seed*, the number that it
#   was made from. It says nothing about a new grid. But split the *rows* at random, and other runs on the
#   same grid stand in the training part: the trees recognize each grid by its seed and remember its level.

# %%
features, returns = results.table("varied")
task = np.repeat(np.arange(300), 40)  # the grid of each row, also its seed
settings = spaces.to_unit(grids.SPACE, np.tile(results.settings("varied"), (300, 1)))
seed_and_settings = np.column_stack([task, settings])
shares = {}
rows_apart, tasks_apart = KFold(5, shuffle=True, random_state=0), GroupKFold(5)
for name, parts, groups in (
    ("rows left out at random", rows_apart, None),
    ("whole tasks left out", tasks_apart, task),
):
    regressor = HistGradientBoostingRegressor(random_state=0)
    scores = cross_val_score(regressor, seed_and_settings, returns.ravel(), cv=parts, groups=groups)
    shares[name] = scores.mean()
    print(f"{name:24} share of the variance explained {scores.mean():5.2f}")
assert shares["rows left out at random"] > 0.3 and shares["whole tasks left out"] < 0

# %% [markdown]
# Judged by rows, seed and settings explain half of everything. Judged by tasks, the model is worse than
# guessing the mean (a negative share). On a new grid every seed is new, so only the second number is true.
#
# **Exercise `rows_of_new_tasks`** (core, 5 minutes). Write the split that leaves out whole tasks.

# %% exercise="rows_of_new_tasks"

# %%
lesson.check(rows_of_new_tasks)

# %% [markdown]
# - **Choosing on the test tasks.** The best of 40 settings *on the tasks where it is judged* is an
#   **oracle**, not a baseline: part of its lead is the luck of the runs that chose it.
# - **Unequal budgets.** The best of four runs is better than one run, even of the same setting.
#
# So every strategy below gets the same number of runs on each new task (its **budget**) and keeps its best
# policy; whatever is chosen beforehand is chosen on training tasks.
#
# **Exercise `gain_over_default`** (core, 4 minutes, *find the bug*). The comparison below runs, and it is
# not fair. Find out why, and mend it.

# %% exercise="gain_over_default"

# %%
lesson.check(gain_over_default)

# %% [markdown]
# Now the experiment: 240 held-out grids, five repetitions, each with its own 300 training grids and its own
# luck. The strategies:
#
# - **default**: the one setting that is best on average in the training table, run again and again;
# - **default, then near it**: first the default, then settings at random around it;
# - **portfolio**: a list of settings that complement each other, chosen on the training table one after the
#   other; it does not look at the task;
# - **random search**, and **TPE** (the tree-structured Parzen estimator of Optuna, a much used search; its
#   first three runs are random, too, then it favors settings near its good ones);
# - **model**: all runs planned in advance by `suggest(x, n)`; **model + adjust**: one at a time.
#
# None of the 240 grids stands in a training table, though of 131 some grid in a table has the same features.

# %%
held_out = results.held_out("varied")
fig, ax = plt.subplots(figsize=(6.5, 4))
pictures.draw_contest(ax, held_out, results.STRATEGIES)
ax.set_title("240 new grids, mean of 5 tables, 95 % intervals over grids")
# alt: Return of the best run after 1, 2 and 4 runs, for seven strategies. The model, with or without
# alt: adjusting, is on top. The default, the search near it and the portfolio follow, and random search
# alt: and TPE are far below.
plt.show()

# %% [markdown]
# The intervals look wide because grids differ so much from each other. But all strategies played the *same*
# grids, so we look at the **paired** differences, grid by grid:

# %%
print("model less another strategy, mean and 95 % interval       over the 240 grids      over the 5 tables")
for budget in (1, 2, 4):
    others = ("default", "default, then near it", "portfolio", "random search", "TPE")
    for other in others:
        if budget == 1 and other not in ("default", "random search"):
            continue  # the first run of the two after the default is the default, TPE's is random
        gain, low, high = results.difference(held_out, f"model @{budget}", f"{other} @{budget}")
        _, worst, best = course.interval(results.seed_gains("varied", budget, "model", other))
        print(
            f"{budget} run{'s' if budget > 1 else ' '}, less {other:24} {gain:14.3f}"
            f"{low:15.3f} to {high:.3f} {worst:12.3f} to {best:.3f}"
        )
        assert min(low, worst) > 0
for budget in (1, 2, 4):
    gain = results.difference(held_out, f"random search @{budget}", "default @1")
    print(
        "random search, {} runs, less one run of the default {:6.3f} ({:.3f} to {:.3f})".format(budget, *gain)
    )

# %% tags=["slide-hide-input"]
gains = {}
for name in ("model @1", "oracle by 1", "oracle by 8", "oracle, optimistic"):
    gains[name] = results.difference(held_out, name, "default @1")
fig, ax = plt.subplots(figsize=(6, 2.4))
pictures.draw_gains(ax, gains, "return above one run of the default")
ax.set_title("240 new grids, 95 % intervals over grids")
# alt: Four gains over one run of the default, with intervals over grids. The model gains 0.12, about as
# alt: much as the oracle by 8 with 0.13. The oracle by 1 gains next to nothing, the optimistic one 0.22.
plt.show()
by_seed = results.seed_gains("varied", 1)
print("the model's gain in each repetition:", by_seed.round(3))
assert gains["oracle by 8"][1] > 0 and (by_seed > 0).all()

# %% [markdown]
# One suggestion earns about 0.12 more than the default, on grids that the model never saw, and does so in
# each of the five repetitions. There are two intervals because two things were drawn: the grids, and the
# tables from which model, default and portfolio were made. Random search, with two runs, is still behind
# *one* run of the default, and with four ahead of it: a good baseline is hard to beat by searching. A
# search that begins at the default is not better here than running the default again.
#
# How much could be gained? The oracles try the 40 settings on every new grid. *By 8* chooses by the mean of
# eight runs of each and is judged by a ninth (averaged over which is the ninth); the *optimistic* one is
# judged by the nine runs that it chose by. What the best of these 40 settings could gain lies between the
# two. *By 1* gains next to nothing: one run is mostly luck, and it chooses badly. The model, which made no
# run at all on the grid, is about as good as the oracle by 8.
#
# The **portfolio** begins with the default, so with one run they are the same. With four runs it comes
# closer, and the model stays 0.06 ahead. And **adjusting**?

# %%
for budget in (2, 4):
    gain, low, high = results.difference(held_out, f"model + adjust @{budget}", f"model @{budget}")
    _, worst, best = course.interval(results.seed_gains("varied", budget, "model + adjust", "model"))
    print(
        f"{budget} runs: (model + adjust) - model {gain:.3f}, over grids {low:.3f} to {high:.3f}, "
        f"over tables {worst:.3f} to {best:.3f}"
    )
    assert gain < 0 and high < 0.01

# %% [markdown]
# A negative result: looking at what the first runs earned gained nothing. Planning all runs in advance
# earned 0.01 to 0.02 more; whether that is a loss by adjusting or luck, the two intervals do not agree.
#
# Does it have to be boosted trees? The first table, the same class, other regressions; each suggestion is
# played five times. *Your 35 columns* is a linear fit on those of the exercise, *with products* on all
# squares and products, 66 columns:

# %%
gains = {name: course.interval(gain) for name, gain in results.estimators().items()}
fig, ax = plt.subplots(figsize=(6, 2.6))
pictures.draw_gains(ax, gains, "return above the default, one suggestion")
ax.set_title("One table: 95 % intervals over 240 grids")
# alt: Gains over the default of six regressions, with intervals over grids. Boosted and random trees gain
# alt: about 0.1. The linear model loses 0.14. The intervals of the linear ones with products and of the
# alt: network hold 0.
plt.show()

assert gains["boosted trees"][1] > 0 and gains["random trees"][1] > 0
assert gains["linear"][2] < 0 < gains["linear, with products"][2]
assert gains["linear, your 35 columns"][1] < 0 < gains["linear, your 35 columns"][2]

# %% [markdown]
# (The intervals are over grids, for this one table.) Trees of either kind gain, by about 0.1. The plain
# linear model does *harm*: one setting for every task, at the ends of the ranges, is worse than a default
# that somebody chose. With products, yours or all of them, and with a small torch network no gain can be
# told from 0.

# %% [markdown]
# ## 5. Where there is nothing to learn (3 minutes)
#
# The family "alike" holds small grids with few slips and no noise.

# %%
predictions.predict_alike()

# %% tags=["slide-hide-input"]
held_alike = results.held_out("alike")
gains = {}
for name in ("model @1", "random search @1", "oracle by 1", "oracle by 8", "oracle, optimistic"):
    gains[name] = results.difference(held_alike, name, "default @1")
fig, ax = plt.subplots(figsize=(6, 2.8))
pictures.draw_gains(ax, gains, "return above one run of the default")
ax.set_title("Family “alike”: 95 % intervals over 240 grids")
# alt: Five gains over one run of the default in the family alike, with intervals over grids. The model
# alt: loses 0.02, random search and the oracle by 1 lose more, the oracle by 8 gains nothing and the
# alt: optimistic one only 0.01.
plt.show()
print("less the default with as many runs, mean and 95 % interval over the five training tables:")
for budget in (1, 2, 4):
    for name in ("model", "portfolio", "random search"):
        gain = course.interval(results.seed_gains("alike", budget, name))
        print(f"runs: {budget}   {name:14} {gain[0]:7.4f} ({gain[1]:.4f} to {gain[2]:.4f})")
last = course.interval(results.seed_gains("alike", 4, "model", "portfolio"))
print("runs: 4   model less portfolio {:.4f} ({:.4f} to {:.4f})".format(*last))
assert gains["oracle, optimistic"][2] < 0.05 and last[2] < 0
assert course.interval(results.seed_gains("alike", 1))[2] < 0 < gains["oracle by 8"][2] < 0.01

# %% [markdown]
# What the best choice among the 40 settings could gain on each grid lies between nothing (the oracle by 8)
# and 0.01 (the optimistic one). And the model *loses* 0.02 with its single suggestion, whether one looks
# over grids or over tables. With four runs neither it nor random search can be told apart from the default;
# the portfolio, which looks at no features, is a little ahead of both the default and the model. (All 240
# grids share their features with some grid of a table: there are few of these small grids.) So ask *first*
# what an oracle gains, one that chooses by several runs and is judged by others; only then build a model.

# %% [markdown]
# Is it only Q-learning on grids? The same class, unchanged, on **policy gradients** and cart-poles (lesson
# 03): settings are learning rate, look-ahead and GAE's $\lambda$; 15 updates a run. In the family "phys" a
# task is a cart's physics, in "dirv" a target velocity; both are told to the model, not to the policy. 60
# training tasks × 24 settings, 100 held-out tasks, five repetitions:

# %%
for family in ("phys", "dirv"):
    columns = results.cartpole(family)
    print(f"{family}: return of the default {columns['default @1'].mean():.1f}, of 100")
    for budget in (1, 2):
        for other in ("default", "portfolio", "random search"):
            gain, low, high = results.difference(columns, f"model @{budget}", f"{other} @{budget}")
            _, worst, best = course.interval(results.seed_gains(family, budget, "model", other))
            print(
                f"   runs: {budget}  model - {other:13} {gain:6.2f}, over tasks {low:6.2f} to {high:6.2f}, "
                f"over tables {worst:6.2f} to {best:6.2f}"
            )
            assert other != "random search" or min(low, worst) > 0
    for name in ("oracle by 4", "oracle, optimistic"):
        gain = results.difference(columns, name, "default @1")
        print("   {:18} less one run of the default {:6.2f} ({:.2f} to {:.2f})".format(name, *gain))

# %% [markdown]
# On carts the model is far ahead of random search. On "phys" the default earns all there is. On "dirv" it
# earns 37 of 100, and there is little to gain by another choice among these 24 settings: by choosing with
# four runs an oracle loses, and even the optimistic one gains no more than 2.4. After one run the model is
# not told apart from the default; after two it is ahead of the portfolio by 1.7, and not shown to be ahead
# of the default.

# %% [markdown]
# ## 6. The slope by a learning rate (3 minutes)
#
# So far a setting was a black box: try it, see what it earns. A learning rate can do better, because the
# result of a step is a *differentiable function* of it. In lesson 04's words, after one inner step
# $\theta_i' = \theta - \alpha \nabla L_i^{\text{support}}(\theta)$ the chain rule gives
#
# $$\frac{d}{d\alpha} \frac1T \sum_i L_i^{\text{query}}(\theta_i') = -\frac1T \sum_i
# \nabla L_i^{\text{support}}(\theta) \cdot \nabla L_i^{\text{query}}(\theta_i').$$
#
# Where the two slopes point the same way, the step was too short; where they oppose each other, too long.
#
# **Exercise `rate_slope`** (core, 6 minutes). Compute it for lesson 04's parabolas: the support loss
# $\frac{a_i}{2}(\theta - s_i)^2$ has the slope $a_i (\theta - s_i)$, and the query loss is the same parabola
# around another center $q_i$.

# %% exercise="rate_slope"

# %%
lesson.check(rate_slope)

# %% [markdown]
# And by autograd: `maml.query_losses` takes a *tensor* for the inner rate, so its gradient is one call. The
# same call with a rate for **each parameter** is **Meta-SGD** (Li et al. 2017): the rates are learned
# together with the start. Here on two parameters with very different curvatures:


# %%
def bowl(params, batch):
    """The loss of ONE task: curvatures [2] and its own center [2] -> a scalar."""
    curvature, center = batch
    return 0.5 * (curvature * (params["theta"] - center) ** 2).sum()


centers = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
curvature = torch.tensor([0.5, 4.0], dtype=torch.float64).expand(200, 2)
theta = {"theta": torch.zeros(2, dtype=torch.float64)}
tasks = TaskBatch(support=(curvature, centers), query=(curvature, centers))
rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
support_slope = curvature * (0 - centers)
query_slope = curvature * (0 - rate.detach() * support_slope - centers)
closed_form = -(support_slope * query_slope).sum(dim=1).mean()
(by_autograd,) = torch.autograd.grad(maml.query_losses(bowl, theta, tasks, inner_lr=rate).mean(), rate)
print(f"slope by alpha: closed form {closed_form:.6f}, autograd {by_autograd:.6f}")
assert torch.isclose(closed_form, by_autograd)

# %%
learned = {}
for name, shape in (("one rate", ()), ("a rate each (Meta-SGD)", (2,))):
    log_rate = torch.full(shape, np.log(0.1), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([log_rate], lr=0.1)
    for _ in range(120):
        inner_lr = {"theta": log_rate.exp()}
        loss = maml.query_losses(bowl, theta, tasks, inner_lr=inner_lr).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learned[name] = log_rate.detach().exp(), loss.item()
    print(f"{name:23} rates {learned[name][0].numpy().round(3)}, query loss {loss.item():.4f}")
assert torch.allclose(learned["a rate each (Meta-SGD)"][0], 1 / curvature[0], rtol=1e-2)

# %% [markdown]
# One rate must not overshoot the steep direction, so the flat one hardly moves. With a rate each the learned
# values are $1 / \text{curvature}$: one step solves every task. (We learn the logarithm of a rate, which
# keeps it positive. In a network the gain is smaller; lesson 05 measures it.)

# %% [markdown]
# ## 7. A discount that adjusts itself (2 minutes)
#
# A discount is a setting of another kind: it does not only scale a step, it defines what is learned. Yet a
# policy gradient's update $\theta'(\gamma)$ is a differentiable function of $\gamma$, through the
# advantages. Xu et al. (2018) judge the update by $J'$, the objective on the *next* batch of episodes with a
# fixed discount (here 1), and let $\gamma$ follow
#
# $$\frac{dJ'}{d\gamma} = \Bigl(\frac{d\theta'}{d\gamma}\Bigr)^{\!\top} \nabla J'(\theta').$$
#
# GAE's $\lambda$ (lesson 03) enters the update in the same way and is adjusted along with it, from 0.9. (Here
# both the policy and the two settings are moved by Adam, the settings through their log-odds, so that they
# stay between 0 and 1. Adam takes steps of about its own size however small a slope is: its first steps of
# $\gamma$ follow little more than the slope's sign.)

# %%
predictions.predict_discount()

# %% tags=["slide-hide-input"]
curves = carts.discount_curves()
update = np.arange(carts.UPDATES)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
for kind, start in (("fixed", 0.5), ("fixed", 0.9), ("adjusted", 0.5)):
    label = f"γ = {start}, fixed" if kind == "fixed" else f"γ adjusted from {start}"
    course.band(left, update, curves[kind, start, "return"], label=label)
for k, start in enumerate(carts.STARTS):
    color = course.PALETTE[2 + k]  # from 0.5: as on the left
    course.band(right, update, curves["adjusted", start, "gamma"], label=f"from {start:g}", color=color)
left.set(
    xlabel="updates", ylabel="return (at most 200)", title="CartPole: mean and 95 % interval of 40 seeds"
)
right.set(xlabel="updates", ylabel="γ", title="The adjusted discount")
for ax in (left, right):
    ax.legend()
# alt: Two line charts over updates. Left, the return: with γ adjusted from 0.5 it grows faster than with γ
# alt: fixed at 0.5, and slower than with 0.9. Right, the adjusted γ: from 0.5 it climbs to about 0.75,
# alt: from 0.9 and 0.99 it hardly moves.
plt.show()

# %%
for start in carts.STARTS:
    moved, stayed = (curves[kind, start, "return"].mean(axis=1) for kind in ("adjusted", "fixed"))
    gain, low, high = course.interval(moved - stayed)
    print(
        f"from {start:4}: adjusted {moved.mean():5.1f}, fixed {stayed.mean():5.1f}, "
        f"difference {gain:5.1f} ({low:.1f} to {high:.1f})"
    )
    assert low > 0 if start == 0.5 else low < 0 < high
fixed = {g: curves["fixed", g, "return"].mean(axis=1) for g in (*carts.STARTS, *carts.OTHERS)}
chosen = max(fixed, key=lambda g: fixed[g][:20].mean())  # on the first 20 seeds; the others judge it
print(f"the fixed discount that is best on 20 seeds, {chosen:g}; on the 20 others, adjusted less fixed:")
for start in carts.STARTS:
    moved = curves["adjusted", start, "return"].mean(axis=1)[20:]
    gain, low, high = course.interval(moved - fixed[chosen][20:])
    print(f"from {start:4}: {gain:5.1f} ({low:.1f} to {high:.1f})")
    assert high < 0 or start != 0.5
ends = [curves["adjusted", 0.5, name][:, -1].mean() for name in ("gamma", "lambda")]
print(f"adjusted from 0.5, at last γ = {ends[0]:.2f}, λ = {ends[1]:.2f}")

# %% [markdown]
# From the bad start $\gamma$ climbs while $\lambda$ falls, and the return grows with them. (The step size
# of the two settings was not tuned: another one may gain more.) From 0.9 and 0.99, which are good already,
# the differences cannot be told from 0. And against the best fixed discount no adjusted one is shown to be
# ahead; from the bad start it is behind. A slope repairs a bad setting while it trains, step by step; it
# does not search. (Xu et al. report gains over a fixed discount on Atari games, where 200 million frames
# leave time to walk. Ours has 40 updates.)

# %% [markdown]
# ## 8. A map of meta-reinforcement learning (2 minutes)
#
# Everything in this course learns something from many tasks and lets something else adapt to one. Where the
# methods differ is *what* (after the survey of Beck et al. 2023):
#
# | what is learned from many tasks | what adapts to the new one | example | where |
# |---|---|---|---|
# | initial parameters | parameters, by gradient steps | MAML (Finn et al. 2017) | lessons 04-06 |
# | a recurrent network's weights | its hidden state, while it acts | RL² (Duan et al. 2016) | lesson 08 |
# | an encoder of experience | a context vector for the policy | PEARL (Rakelly et al. 2019) | not here |
# | rates, discounts, losses | as before, by better updates | Meta-SGD; Xu et al. 2018 | sections 6, 7 |
# | a model of settings | the choice of settings | this lesson's model | sections 1 to 5 |
#
# The first three rows, and Meta-SGD, which learns its start along with the rates, need few episodes of the
# new task, and can fail on tasks unlike the old ones. An adjusted discount and a model of settings train
# from scratch on each task, slowly, and keep the guarantees of the algorithm that they set.

# %% [markdown]
# ## 9. Quiz (4 minutes)

# %%
lesson.quiz()

# %% [markdown]
# ## Summary
#
# - A table of returns over tasks × settings, a regression on it, and the argmax of its prediction: that is
#   learning a learner's hyperparameters.
# - The suggestion depends on the task only if the model lets features and settings interact.
# - Judge on new tasks, at equal budgets, in pairs; let an oracle that chooses by several runs, and is
#   judged by others, say how much there was to gain.
# - Rates and discounts can also follow a gradient through the update. It improves what is there; it does not
#   search.
#
# ## What could go wrong
#
# - *The model is splendid in the test and useless on new tasks*: rows of one task stood on both sides of the
#   split, or a feature names the task.
# - *The search beats the default by far*: how many runs did the default get?
# - *The best setting lies at an end of a range*: widen the range, also for the baselines. (Ours is no example
#   to follow: section 3 counts the suggestions that look ahead as little as the range allows.)
# - *A few returns are enormous*, say where a rate diverges: a fit of squares sees nothing else. Cut them
#   off, or learn ranks.
# - *The suggestions chase luck*: with one run in each cell and little headroom, a flexible model follows
#   single lucky runs. Look at what it explains on tasks left out; ask what the oracle gains.
# - *The adjusted discount runs away*: what judges it must have a discount of its own, and the step must be
#   small.
#
# ## Further reading
#
# - J. Beck, R. Vuorio, E. Z. Liu, Z. Xiong, L. Zintgraf, C. Finn and S. Whiteson, *A Survey of
#   Meta-Reinforcement Learning*, 2023, arXiv:2301.08028.
# - Z. Xu, H. van Hasselt and D. Silver, *Meta-Gradient Reinforcement Learning*, NeurIPS 2018,
#   arXiv:1805.09801.
# - Z. Li, F. Zhou, F. Chen and H. Li, *Meta-SGD: Learning to Learn Quickly for Few-Shot Learning*, 2017,
#   arXiv:1707.09835.
# - D. R. Jones, M. Schonlau and W. J. Welch, *Efficient Global Optimization of Expensive Black-Box
#   Functions*, Journal of Global Optimization 13, 1998.
# - J. Bergstra, R. Bardenet, Y. Bengio and B. Kégl, *Algorithms for Hyper-Parameter Optimization*, NeurIPS
#   2011 (TPE); T. Akiba et al., *Optuna*, KDD 2019, arXiv:1907.10902.
# - Y. Duan et al., *RL²: Fast Reinforcement Learning via Slow Reinforcement Learning*, 2016,
#   arXiv:1611.02779; K. Rakelly et al., *Efficient Off-Policy Meta-Reinforcement Learning via Probabilistic
#   Context Variables* (PEARL), ICML 2019, arXiv:1903.08254.

# %%
lesson.progress()
