# %% [markdown]
# # 00 · Start here
#
# **You will be able to**
#
# - say what *learning to learn* means, after a game that asks for it;
# - use the four words of this course: *task*, *task distribution*, *inner*, *outer*;
# - tell whether your computer is ready, and check, get a hint for, and solve an exercise.
#
# **You need**: a little Python with numpy. No machine learning yet.
#
# <!-- notebook only -->
# **First**: choose *Run → Run All Cells* in the menu, wait a few seconds, and scroll back up. Until then
# the widgets below are only photographs.
# <!-- end -->
#
# | part | minutes |
# |---|---|
# | 1. Play: find out what pays | 3 |
# | 2. What you learned, and on which level | 3 |
# | 3. Does everything answer? | 1 |
# | 4. Three small exercises | 5 |
# | 5. Quiz | 2 |
# | 6. The way ahead | 1 |
# | **together** | **15** |

# %%
import matplotlib.pyplot as plt
import numpy as np

from mlearn_utils import course
from mlearn_utils.course.lesson_00 import cart_players
from mlearn_utils.course.lesson_00.cart_game import CartGame
from mlearn_utils.course.lesson_00.pictures import predict_experienced, reward_explorer

lesson = course.start("00")

# %% [markdown]
# ## 1. Play: find out what pays (3 minutes)
#
# You push a cart, left or right. Every push pays a **reward**, a number from 0 to 1. What it is paid *for*
# is hidden: to find that out is the game. Collect as much as you can.
#
# - **Push** with the buttons, or click the picture and use the keys ← and →. Take your time: nothing moves
#   until you push.
# - A **round** has 16 pushes from a standing start (fewer if the cart leaves the track). The sum of its
#   rewards is its **return**, at most 16.
# - Rounds 1 and 2 hide the same thing: task A. Then it is revealed, and rounds 3 and 4 hide another: task
#   B.
# - Do not mind the pole. It is very long and gravity is weak, so it stays up.

# %%
game = CartGame(seed=9)  # the seed, a number, fixes what is hidden: the same seed, the same game
game

# %% [markdown]
# Play all four rounds before you read on. At the end the game compares your rounds with each other, and with
# 1000 players who flip a coin for each push.
#
# <!-- notebook only -->
# (Nothing happens when you push? Part 3 says what to do.)
# <!-- end -->

# %% [markdown]
# ## 2. What you learned, and on which level (3 minutes)
#
# Was it you, or luck? One game cannot tell, so two programs now play 60 tasks each, two rounds a task. A
# new task finds them as they were before: they remember nothing of the others.
#
# - The **newcomer** does not know what may be asked of it. In round 1 it follows the reward: it pushes on
#   while the reward rises and turns when it falls. In round 2 it repeats what paid best: it stays as near
#   that velocity as it can. (A push changes the velocity by about 0.28 m/s, so it swings around it.)
# - The **experienced** player knows what kind of thing is hidden, as you did in round 3, how it pays, and
#   even its range: a velocity of 0.5 to 1 m/s, to one side. From the second push on it aims at the one that
#   fits the rewards so far.
#
# A mean is printed with its *95 % interval*, which says how far the mean of only 60 tasks may be off.

# %%
newcomer = cart_players.play_tasks(cart_players.newcomer, n_tasks=60, seed=0)  # rewards [task, round, push]
experienced = cart_players.play_tasks(cart_players.experienced, n_tasks=60, seed=0)

for k in range(2):
    mean, low, high = course.interval(newcomer[:, k].sum(axis=-1))
    print(f"newcomer, round {k + 1}: mean return {mean:.1f} (95 % interval {low:.1f} to {high:.1f})")
mean, low, high = course.interval((newcomer[:, 1] - newcomer[:, 0]).sum(axis=-1))  # task by task
print(f"gain from round 1 to round 2: {mean:.1f} ({low:.1f} to {high:.1f})")
assert low > 0

# %% [markdown]
# The newcomer learns: its second round is better than its first. Now guess.

# %%
predict_experienced(newcomer, experienced)

# %% [markdown]
# ### Four words
#
# | word | meaning | in the game |
# |---|---|---|
# | **task** | one problem to learn | one hidden velocity: A, B |
# | **task distribution** | the rule that draws tasks | a velocity to either side, 0.5 to 1 m/s |
# | **inner** | what happens within one task | from round 1 to 2: finding the velocity of A |
# | **outer** | what happens across tasks | from round 1 to 3: finding out what to look for |
#
# Inner progress is *learning*. Outer progress is *learning to learn*, or **meta-learning**. Learning to act
# from rewards is **reinforcement learning**; learning to learn that, from many tasks, is
# **meta-reinforcement learning**, the subject of this course. Here is what the two look like, the outer one
# as the difference between our two programs (the zigzag is their swinging around the velocity):

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.2))
pushes = np.arange(1, 17)
course.band(ax, pushes, experienced[:, 1], label="experienced, round 2")
course.band(ax, pushes, experienced[:, 0], label="experienced, round 1")
course.band(ax, pushes, newcomer[:, 1], label="newcomer, round 2")
course.band(ax, pushes, newcomer[:, 0], label="newcomer, round 1")
ax.set(xlabel="push", ylabel="mean reward", ylim=(0, 1), title="60 tasks: mean and 95 % interval")
# alt: Four curves of the mean reward over 16 pushes. Each player's second round starts higher than its
# alt: first. In round 1 both players begin alike, but the experienced one climbs faster and ends higher
# alt: than the newcomer.
ax.legend(loc="lower right")

lead, low, high = course.interval((experienced[:, 0] - newcomer[:, 0]).sum(axis=-1))  # task by task
assert low > 0
assert experienced[:, 0].sum(axis=-1).mean() > newcomer[:, 1].sum(axis=-1).mean() - 1
assert abs(experienced[:, 0, 0].mean() - newcomer[:, 0, 0].mean()) < 0.1  # the first push of round 1
for player in (newcomer, experienced):
    assert player[:, 1, :3].mean() > player[:, 0, :3].mean() + 0.1  # a better start of round 2
print(f"head start of experience in round 1: {lead:.1f} (95 % interval {low:.1f} to {high:.1f})")
early = (experienced[:, 0, :5] - newcomer[:, 0, :5]).sum(axis=-1).mean()
lost = [(player[:, 0].sum(axis=-1) < 2).sum() for player in (newcomer, experienced)]
print(
    f"of this, pushes 1 to 5: {early:.1f}; the newcomer is lost (earns less than 2) in {lost[0]} of 60 tasks"
)
assert lost[0] > lost[1] == 0

# %% [markdown]
# Inner progress: in round 1 the rewards climb, and each player's round 2 starts higher than its round 1.
# Outer progress: in round 1 both begin alike, and then the experienced player needs fewer pushes to find
# out, keeps nearer to what it found, and is never lost.
#
# Two things were easier here than they will be. We told you what task A was, and we wrote into the programs
# by hand what they know: the experienced player's knowledge, and in the newcomer's round 2 that it is a
# *velocity* which pays. A meta-learning algorithm has neither: it must draw such knowledge from many tasks.
# Lesson 04 shows how, and lesson 06 does it from rewards.

# %% [markdown]
# ## 3. Does everything answer? (1 minute)
#
# The first cell printed the versions and the device; `device cpu` is right, as no lesson needs a graphics
# card. Now move the sliders: point and text must follow. The picture is the reward that the game hid from
# you.

# %%
reward_explorer()

# %% [markdown]
# <!-- notebook only -->
# **Nothing moves?** In this order:
#
# 1. Choose *Run → Run All Cells*. A notebook that was only opened shows photographs.
# 2. Is there `[*]` beside a cell? It is still running. Wait, or choose *Kernel → Interrupt Kernel*.
# 3. "Error displaying widget" or "model not found"? Choose *Kernel → Restart Kernel and Run All Cells*.
# 4. Keys move the page instead of the cart? Click the picture, so that it has a colored frame.
# 5. Still nothing? Open the command palette (Ctrl+Shift+C, on a Mac Cmd+Shift+C), run *Trust Notebook*,
#    reload the page and run all cells again. If that does not help, start JupyterLab by the command in the
#    README: widgets stay silent when JupyterLab runs in another environment than the one the course is
#    installed in.
# <!-- end -->

# %% [markdown]
# ## 4. Three small exercises (5 minutes)
#
# In an exercise you replace the line `raise NotImplementedError("your turn")` by your code, run the cell
# (Shift+Enter), then run the cell below it.
#
# - `lesson.check(f)` answers *passed*, *not yet* (with the likely mistake), *not attempted*, or *your code
#   raised* (with your line). You may try as often as you like, and nothing later depends on it.
# - `lesson.hint("f")` makes a button; each press shows one hint, from a nudge to almost the answer.
# - `lesson.solution("f")` shows one solution. Type it in a new cell when you want it.
#
# ### The hidden reward (2 minutes, core)
#
# This is what the game paid for a velocity $v$ (`velocity`) with the hidden target $v^*$ (`target`):
#
# $$r(v) = \max\bigl(0,\; 1 - |v - v^*|\bigr).$$

# %% exercise="hidden_reward"

# %%
lesson.check(hidden_reward)

# %%
lesson.hint("hidden_reward")

# %% [markdown]
# ### The guess from a round (1 minute, core)
#
# After round 1 the newcomer has two arrays: the velocity that each push reached, and the reward that it
# paid. Which velocity should it hold in round 2? This rule *is* its inner learning.

# %% exercise="best_guess"

# %%
lesson.check(best_guess)

# %% [markdown]
# ### Find the round that got lost (2 minutes, core)
#
# Here nothing is missing: the function runs, but its answer is wrong. Every lesson has one such planted
# bug. This one should average the returns of all rounds. Find the bug and mend it.

# %% exercise="mean_return"

# %%
lesson.check(mean_return)

# %% [markdown]
# ## 5. Quiz (2 minutes)
#
# Choose, press *Check*, and read why: every choice has its own explanation.

# %%
lesson.quiz()

# %% [markdown]
# ## 6. The way ahead (1 minute)
#
# The lessons build on each other. The map says how long each of them takes, reading and exercises together.

# %% tags=["nbval-ignore-output"]
lesson.course_map()

# %% [markdown] tags=["slide-skip"]
# Your progress is kept in a small file on this computer, and nowhere else. *Export* writes it beside this
# notebook, to hand in.

# %%
lesson.progress()

# %% [markdown]
# ## Summary
#
# - A *task* is one problem; a *task distribution* is the rule that tasks come from.
# - *Inner* is within a task: learning. *Outer* is across tasks: learning to learn.
# - Knowing the task distribution made a first round about as good as an unprepared second one.
#
# **What could go wrong**
#
# - *Your round 3 was worse than your round 1*, or better by luck. One game is a sample of one, and not all
#   targets are equally easy. Press *New game* and look again.
# - *Remembering is not learning to learn.* The game always puts target B on the other side than target A,
#   so that repeating what worked on A does not help on B.
# - *If all tasks were the same*, there would be nothing to learn across them: learning one would be
#   learning all.
#
# **Further reading**
#
# - H. F. Harlow (1949). The formation of learning sets. *Psychological Review* 56, 51–65. Monkeys that
#   solved hundreds of small tasks came to solve a new one after a single try.
# - C. Finn, P. Abbeel, S. Levine (2017). Model-agnostic meta-learning for fast adaptation of deep networks.
#   ICML. [arXiv:1703.03400](https://arxiv.org/abs/1703.03400). The algorithm of lessons 04 to 06.
# - J. Beck and others (2023). A survey of meta-reinforcement learning.
#   [arXiv:2301.08028](https://arxiv.org/abs/2301.08028). The whole field; begin with its introduction.
