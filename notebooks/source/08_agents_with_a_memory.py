# %% [markdown]
# # 08 · Agents with a memory
#
# **You will be able to**
#
# - say how an agent adapts without a gradient step: what it must see, what it must keep, when it must
# forget;
# - compute the best that anybody can earn on a bandit, and judge a player by it without sampling;
# - explain why exploring is hard to learn even where nothing is noisy, and what helps;
# - tell what is *in* a memory from what training put there, by a control;
# - say when memory is needed, when seeing the last reward is enough, and what each costs.
#
# **Time**: two sessions of 50 minutes. First session (sections 1 to 5): 26 of reading and running, 24 of
# exercises. Second session (sections 6 to 11): 29 of reading and running, 16 of exercises, 5 for the quiz.
#
# **You need**: policy gradients and PPO's clipped objective (lessons 03 and 06), the families of cart-poles
# (lesson 06).

# %% tags=["nbval-ignore-output"]
from mlearn_utils import course

lesson = course.start("08")

# %%
import inspect

import matplotlib.pyplot as plt
import numpy as np
import torch

from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.lesson_08 import bandit_game, inside, pictures, predictions, results, safe_arm
from mlearn_utils.meta.policies import in_context
from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.meta.policies.memory_config import bandit_config
from mlearn_utils.rl import bayes_bandit as bandit
from mlearn_utils.rl.bandit_histories import history_policy, policy_value
from mlearn_utils.tasks.bandit import BernoulliBandits
from mlearn_utils.tasks.target_belief import TargetFilter

# %% [markdown]
# # First session
#
# ## 1. Adapting without a gradient (4 minutes)
#
# MAML adapts by changing its weights: it plays ten episodes, takes a gradient step, and is another policy.
# You do not do that. When you meet a new game you keep your head and *remember* what happened. In this
# lesson an agent does the same. Its policy is a recurrent network: besides the observation it is fed **what
# it did and what that brought**, and a **hidden state** goes from each step to the next. The weights are
# trained over many tasks and then never change again. Whatever it learns of a task is in the hidden state.
#
# As a formula: with $x_t$ = (observation, previous action, previous reward, whether an episode has just
# ended), the hidden state is $h_t = f_\theta(h_{t-1}, x_t)$, and the action is drawn from $\pi_\theta(a
# \mid h_t)$. Our $f_\theta$ is a **GRU** (gated recurrent unit; Cho et al. 2014): for each of its numbers
# an *update gate* in $[0, 1]$ says how much of the old value stays. Its control in this lesson is a
# **feed-forward twin**: a network of about the same size that is fed the same $x_t$ and has no $h$.
#
# A **trial** is several episodes in one and the same task. The hidden state is kept over the ends of the
# episodes, and set to zero when a new trial, and with it a new task, begins:

# %%
fig, ax = plt.subplots(figsize=(7.4, 2.2))
pictures.draw_trial(ax)
# alt: Time line of two trials with two episodes each. Within a trial the task stays the same and the
# alt: hidden state is kept from one episode to the next. With the second trial a new task begins, and the
# alt: hidden state is set to zero.
plt.show()

# %% [markdown]
# The agent is trained for the sum of rewards of the *whole trial*. Exploring in the first episode earns
# nothing there; but if it makes the second one better, it pays. So how to explore, and how to use what was
# found, is learned by ordinary reinforcement learning, with trials in the place of episodes. This is
# **RL²** (Duan et al. 2016; Wang et al. 2016 found the same idea at the same time).
#
# Before any network is trained: what is the best that *anybody* could do? There is a world in which that is
# known exactly.

# %% [markdown]
# ## 2. A world where the best is known (7 minutes)
#
# A **Bernoulli bandit** has $A$ arms. Arm $a$ pays 1 with a hidden chance $p_a$ and else 0. A *task* is one
# bandit; its chances are drawn independently and uniformly from $[0, 1]$, so that is our **prior**. You
# have ten pulls. Play a few:

# %%
bandit_game.bandit_game(seed=0)

# %% [markdown]
# The band is what is known of an arm: the mean of its chance, and one standard deviation to each side; a
# frame marks the last pull. After the tenth pull diamonds show the true chances. Bayes' rule makes the
# band: after $w$ wins and $l$ losses the chance has the density of $\text{Beta}(w + 1, l + 1)$,
# proportional to $p^w (1 - p)^l$, and its mean is
#
# $$m_a = \frac{w + 1}{w + l + 2}.$$
#
# That is also the probability that the *next* pull wins, given all that was seen.
#
# **Exercise `posterior_means`** (core, 5 minutes).

# %% exercise="posterior_means"

# %%
lesson.check(posterior_means)

# %% [markdown]
# What did the game mean by a pull that "gives away" something? Wins and losses of all arms are all that
# matters of the past. With $k$ pulls left the best player therefore earns
#
# $$V_k(\text{counts}) = \max_a \big[\, m_a \,(1 + V_{k-1}(\text{counts after a win of } a))
# + (1 - m_a)\, V_{k-1}(\text{counts after a loss of } a) \,\big], \qquad V_0 = 0.$$
#
# The bracket is what arm $a$ is worth. The player who always takes the largest is called **Bayes-optimal**;
# any other pull gives away the difference, on average. Nobody can do better, whatever they compute.
#
# **Exercise `best_value`** (core, 9 minutes). The function may call itself.

# %% exercise="best_value"

# %%
lesson.check(best_value)

# %% [markdown]
# Yours visits the same counts again and again. The package's `bayes_value` keeps each once, arms in sorted
# order, and so does ten pulls of five arms in an instant:

# %%
for arms, known in ((2, 6.0218), (3, 6.4096), (5, 6.6600)):
    value, visited = bandit.bayes_value(arms, 10), bandit.count_states(arms, 10)
    print(f"{arms} arms, 10 pulls: best {value:.4f}, {visited} states (10 pulls at random: 5)")
    assert abs(value - known) < 5e-5

# %% [markdown]
# (It does not go on for ever: five arms and a hundred pulls would be 362 657 193 216 states.) Now some
# players with a name. Each is a rule from counts to probabilities, so their values are exact as well:
#
# - **greedy** takes the largest posterior mean, and breaks ties at random;
# - **Thompson sampling** pulls each arm with the probability that it is the best one;
# - **UCB1** (Auer et al. 2002) tries each arm once, then takes the largest $w/n + \sqrt{2 \ln t / n}$,
# with $n$   pulls of the arm among $t$;
# - **UCB, mild**: the largest $m + c \sqrt{\ln(t + 1) / (n + 1)}$, for several $c$.

# %%
predictions.predict_thompson()

# %%
tree = bandit.CountTree(5, 10)
mild = {c: tree.value(bandit.ucb_rule(c)) for c in (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)}
exact = {
    "best possible": tree.value(),
    "UCB, mild (c = 0.02)": mild[0.02],
    "greedy": tree.value(bandit.greedy_rule),
    "Thompson sampling": tree.value(bandit.thompson_rule),
    "UCB1": tree.value(bandit.ucb1_rule),
    "random": tree.value(bandit.random_rule),
}
for name, value in exact.items():
    print(f"{name:22} {value:.4f}")
print("UCB, mild:", ", ".join(f"c = {c:g}: {value:.4f}" for c, value in mild.items()))
assert sorted(mild.values(), reverse=True) == list(mild.values()) and mild[0.02] > exact["greedy"]

# %% [markdown]
# Ten pulls are a short game: exploring must pay back soon. The two famous rules, made for long games,
# explore far too much here. A mild bonus is the better the smaller it is: all it then does is to break ties
# for the arm that was pulled least, which is worth 0.03 beside greedy with its random ties. Does the
# enumeration hold? Two arms and five pulls have $4^5$ histories of
# arms and rewards, so a player can also be judged by summing over *every history*, whatever it remembers;
# and 200 000 sampled trials should agree within their error:

# %%
small, rng = bandit.CountTree(2, 5), np.random.default_rng(0)
by_counts = small.value(bandit.greedy_rule)
by_histories = policy_value(history_policy(bandit.greedy_rule, 2), n_arms=2, pulls=5).item()
played = in_context.learning_histories(
    bandit.greedy_rule, BernoulliBandits(2), pulls=5, histories=200_000, seed=3
)[1].sum(dim=1)
sampled, error = played.mean().item(), (played.std() / len(played) ** 0.5).item()
print(f"greedy, 2 arms, 5 pulls: by counts {by_counts:.6f}, by histories {by_histories:.6f}")
print(f"sampled: within {3 * error:.3f} of that: {abs(sampled - by_counts) < 3 * error}")
assert abs(by_counts - by_histories) < 1e-12 and abs(sampled - by_counts) < 3 * error

# %% [markdown]
# ## 3. Above the ceiling (3 minutes)
#
# A colleague has programmed the greedy player. Ties are broken by adding a tiny random number to each mean:


# %%
def somebodys_game(n_bandits, seed):
    rng = np.random.default_rng(seed)
    chances = rng.uniform(size=(n_bandits, 5))
    ties = np.random.default_rng(seed).uniform(size=(10, n_bandits, 5))
    return chances, ties


def play_greedy(make, n_bandits=20_000, seed=0):
    """Mean return of the greedy player over ten pulls of each bandit."""
    (chances, ties), row = make(n_bandits, seed), np.arange(n_bandits)
    luck = np.random.default_rng(1_000_000 + seed)
    wins, losses = np.zeros((2, n_bandits, 5))
    for tie in ties:
        arm = (bandit.posterior_mean(wins, losses) + 1e-6 * tie).argmax(axis=1)
        won = luck.uniform(size=n_bandits) < chances[row, arm]
        wins[row, arm] += won
        losses[row, arm] += ~won
    return wins.sum(axis=1).mean()


theirs = play_greedy(somebodys_game)
print(f"their greedy player {theirs:.2f}, the exact value {exact['greedy']:.2f}")
print(f"the most that anybody can earn {exact['best possible']:.2f}")
assert theirs > exact["best possible"] + 1

# %% [markdown]
# One more win in ten than *anybody can earn*. Without the ceiling this would have been a paper.
#
# **Exercise `make_game`** (core, 5 minutes, *find the bug*).

# %% exercise="make_game"

# %%
lesson.check(make_game)

# %% [markdown]
# This happened to us, while this lesson was written. Where the best is known, look at it before you
# believe a good number; where it is not, ask what would show you such a leak.

# %% [markdown]
# ## 4. Why exploring is hard to learn (6 minutes)
#
# The smallest case has one unknown arm, a **safe** one that always pays what is written on it, and three
# pulls. Circles try the unknown arm, squares take the safe one to the end. **Try**: from which pay on is it
# best never to try? And look what a first win is worth at 0.55.

# %%
explorer = pictures.history_tree()
explorer

# %% [markdown]
# At 0.55 trying is right, though the unknown arm pays only 0.5 on average: 1.725 against 1.65. But see what
# it takes: the first pull is a *loss* of 0.05, which comes back only if a later pull uses what
# was seen. A learner that does not yet use it has no reason to look.
#
# Here is a small recurrent network that learns this game. There are 27 paths of arms and rewards; the
# expected return is a sum over them, so **the gradient is exact**: no sampling, no noise, nothing to
# average.

# %%
predictions.predict_ascent()

# %% tags=["slide-hide-input"]
print(inspect.getsource(safe_arm.value_and_entropy))

# %% tags=["nbval-ignore-output"]
runs = {
    "network": safe_arm.ascend(safe_arm.GRUPolicy),
    "network, entropy bonus": safe_arm.ascend(safe_arm.GRUPolicy, bonus=0.1),
    "table": safe_arm.ascend(safe_arm.TablePolicy),
}
fig, axes = plt.subplots(1, 3, figsize=(8.4, 2.8), sharey=True)
for ax, (name, ascent) in zip(axes, runs.items(), strict=True):
    ax.plot(ascent.values.T, linestyle="-", linewidth=1)
    ax.axhline(1.725, color=course.COLORS["truth"], linestyle="--", linewidth=1, label="the best")
    ax.axhline(1.65, color=course.COLORS["muted"], linestyle=":", linewidth=1, label="always safe")
    ax.set(title=name, xlabel="step of Adam", ylim=(1.5, 1.75))
axes[0].set_ylabel("exact expected return")
axes[2].legend(loc="lower right", fontsize=8)
# alt: Exact expected return over training steps, a line for each start, in three panels. All networks stop
# alt: at always safe. With an entropy bonus they pass it and reach the best, and so does the table without
# alt: any bonus.
plt.show()

# %%
for name, ascent in runs.items():
    at_best, safe = (ascent.values[:, -1] > 1.715).sum(), (abs(ascent.values[:, -1] - 1.65) < 1e-3).sum()
    print(f"{name:24} at the best {at_best} of 6, always safe {safe} of 6")
assert (abs(runs["network"].values[:, -1] - 1.65) < 1e-3).all()
assert all((runs[name].values[:, -1] > 1.715).all() for name in ("network, entropy bonus", "table"))

# %% [markdown]
# Every line is one start. **Six of six networks learn never to try**, with an exact gradient. At the start
# all histories are played alike, and then the first pull of the safe arm *is* better; by the time the
# network could learn to use a win, it sees none. Noise has no part in it: it is the landscape.
#
# A reward for being undecided helps: add the policy's **entropy** to the objective, with a weight that
# falls to 0 in the first three quarters of the steps. (The entropy $-\sum_a \pi(a) \ln \pi(a)$ is largest
# where both arms are equally likely, and 0 where one is certain.) It keeps the network trying until it has
# learned what a win is good for: six of six.
#
# The third picture is a control. A *table*, with a number of its own for every count of wins and losses,
# gets there without any bonus: what to do after a win is learned apart from what to do at first. In the
# network all of them share weights, and "safe is better" reaches the histories where it is not. So an exact
# gradient is not always stuck here; that of a network which shares its weights was, from every start that
# we tried. We use an entropy bonus from here on.

# %% [markdown]
# ## 5. RL² on bandits (6 minutes)
#
# Now a network that samples its trials, five arms and ten pulls. What does it see at each step?
#
# **Exercise `memory_input`** (core, 5 minutes). This exercise and those that follow are in numpy.

# %% exercise="memory_input"

# %%
lesson.check(memory_input)

# %% [markdown]
# (A bandit shows nothing, so its observation is always 1. For bandits the package also feeds the product of
# action and reward, `crossed=True`, so that the network need not make it of the two.)
#
# The learner is PPO with a GRU of 32 units: an update plays 512 trials in 512 new bandits, computes
# advantages over the *whole trial*, and takes eight Adam steps on the clipped objective of lesson 06.

# %% tags=["nbval-ignore-output"]
bandits = BernoulliBandits(5)
player = MemoryAgent(bandits, bandit_config(pulls=10), seed=0, device="cpu")
print("parameters:", sum(p.numel() for p in player.network.parameters()))
history = player.train(seed=0, progress=False)
new_bandits = bandits.sample(50_000, seed=1)
earned = player.evaluate(new_bandits, greedy=True)  # [pull, bandit]
print(f"most probable arm: {earned.sum(axis=0).mean():.2f} wins in ten pulls")

# %%
wins = earned.sum(axis=0).mean()
stored = results.bandits("argmax")
print("within 0.05 of the best possible, here:", wins > exact["best possible"] - 0.05)
print("five stored trainings:", ", ".join(f"{value:.3f}" for value in np.sort(stored)))
print(
    "their twins without a hidden state:",
    ", ".join(f"{v:.2f}" for v in results.bandits("feed-forward argmax")),
)
assert wins > exact["best possible"] - 0.05 and stored.min() > exact["best possible"] - 0.05

# %%
fig, ax = plt.subplots(figsize=(6.4, 2.8))
names = [*exact, "RL², this training"]
values = [*exact.values(), wins]
ax.plot(values[:-1], names[:-1], "o", color=course.COLORS["muted"])
ax.plot(values[-1:], names[-1:], "D", color=course.COLORS["adapted"])
for name, value in zip(names, values, strict=True):
    ax.text(value + 0.05, name, f"{value:.2f}", va="center")
ax.axvline(exact["best possible"], color=course.COLORS["truth"], linestyle="--", linewidth=1)
ax.set(xlabel="expected wins in ten pulls, five arms", xlim=(4.8, 7))
ax.invert_yaxis()
# alt: Expected wins in ten pulls for six reference rules and this training of RL², one mark each. RL² is
# alt: nearly at the line of the best possible, close to greedy, and far ahead of Thompson sampling, UCB1
# alt: and random.
plt.show()

# %% [markdown]
# Nobody told it Bayes' rule. In 15 seconds a network of less than five thousand parameters has learned a
# rule that gives away less than 0.05 of 6.66: far better than two rules that people invented for longer
# games, and about as good as greedy. The ceiling keeps us honest: we may *not* say that it "learned to
# explore optimally", only that what is missing is less than 0.05 (with the most probable arm; drawing from
# its probabilities costs another 0.02). And the memory? The twin has none: it sees the last pull and its
# reward. But a rule that sees no more, *stay after a win, go on to the next arm after a loss*, earns more
# than the twin:

# %%
print(f"win-stay, by 200 000 simulated trials: {inside.win_stay():.2f}")

# %% [markdown]
# So of the 0.3 between memory and twin only 0.2 can be the memory; the rest is the twin's training.
#
# Duan et al. (2016, Table 1; rounded there to one decimal, 1000 bandits each) have for five arms and ten
# pulls: random 5.0, Thompson 5.7, greedy 6.6, UCB1 with a tuned constant 6.7, RL² 6.7. The standard error
# of such a mean is 0.07, so that these last three cannot be told from each other, nor from the ceiling.

# %% [markdown]
# # Second session
#
# ## 6. What is in the memory? (6 minutes)
#
# The hidden state has 32 numbers. Has it become the posterior? A common test is to **read it out**: fit a
# linear map from the hidden state to the posterior means of all arms, and see how good that is on new
# trials. Its measure is $R^2$, one less the ratio of the fit's mean squared error to the variance of what
# it should give: 1 if all is read out, 0 if it is no better than always saying the mean.

# %%
predictions.predict_probe()

# %% tags=["nbval-ignore-output"]
untrained = MemoryAgent(bandits, bandit_config(pulls=10), seed=0, device="cpu")
seen = inside.play(player, histories=4000, pulls=9, seed=2)  # the trained agent's pulls, for all
for name, agent in (("trained", player), ("untrained", untrained)):
    print(f"{name:10} R² = {inside.read_out(agent, seen):.2f}")
for name in ("", ", untrained"):
    print(f"stored, five networks{name}:", results.bandits(f"read out{name}").round(2))
assert inside.read_out(untrained, seen) > 0.8

# %% [markdown]
# **A probe without its control proves nothing.** Random weights keep the past, too: what comes in is not
# destroyed at once. Is there something else that training changed? A posterior does not care about the
# *order* in which wins and losses came. So shuffle the nine pulls of each trial, which leaves all counts as
# they were, and look how far the memory moves, compared with how far apart two different trials are (1: as
# far as that). Look at the two upper rows first:

# %%
rows = {"trained": "order", "untrained": "order, untrained", "untrained,\nforgets slowly": "order, slow"}
fig, ax = plt.subplots(figsize=(5.8, 2.6))
for k, what in enumerate(rows.values()):
    ax.plot(results.bandits(what), np.full(5, k), "o", color=course.COLORS["muted" if k else "adapted"])
for k, agent in enumerate((player, untrained, inside.slow_twin(player))):
    ax.plot(inside.order_shift(agent, seen), k, "D", color=course.COLORS["truth"], markersize=5)
ax.set(yticks=range(3), yticklabels=rows, ylim=(2.6, -0.6), xlim=(0, None))
ax.set_xlabel("how far a shuffled order moves the memory")
# alt: How far a shuffled order of pulls moves the memory, for three kinds of networks, several marks each.
# alt: Trained ones move about half as far as untrained ones. Untrained ones that forget slowly move least
# alt: of all.
plt.show()
trained, random, slow = (results.bandits(what) for what in rows.values())
print("every trained network below every untrained one:", trained.max() < random.min())
print("and every slow untrained one below every trained one:", slow.max() < trained.min())
assert slow.max() < trained.min() and trained.max() < random.min()

# %% [markdown]
# (Dots are five stored networks each, diamonds are those of this page.) The trained memory cares less about
# the order than the untrained one. Has it learned to count? A hostile reader of this lesson gave us the
# third row: a network that was *never trained*, with a constant added to its update gate (before the gate's
# sigmoid), so that it forgets slowly. It cares even less about the order, and more can be read out of it:

# %%
print("read out, untrained and slow:", results.bandits("read out, slow").round(2))
assert results.bandits("read out, slow").min() > results.bandits("read out").max()

# %% [markdown]
# So neither measure shows that training made a posterior. But the trained network earns 6.6 of its ten
# pulls, and an untrained one, whose actions mean nothing, about 5. Is at least *that* the memory's merit?
# One more control: leave the recurrent network as it is, random and **frozen**, and fit nothing but linear
# layers on it, one for each pull. `inside.frozen_head` fits them by least squares to the posterior means,
# on four thousand trials, and then always pulls the arm that looks best:

# %%
predictions.predict_frozen()

# %% tags=["nbval-ignore-output"]
frozen = [inside.frozen_head(agent) for agent in (untrained, inside.slow_twin(untrained))]
random_policy = untrained.evaluate(new_bandits, greedy=True).sum(axis=0).mean()
print(f"never trained at all                        {random_policy:.2f} wins in ten pulls")
print("random and frozen memory, fitted layers     {:.2f}; forgets slowly {:.2f}".format(*frozen))
print(f"trained as a whole                          {wins:.2f}")
assert wins > random_policy + 1 and min(frozen) > exact["best possible"] - 0.15

# %% [markdown]
# Within a tenth of a win of the best possible, with a memory that *nothing was ever trained to keep*. (The
# layers were told the posterior means, and RL² only what it won: that is the difficult part, and it did
# learn it.) So neither what can be read out, nor the order, nor the score says that training shaped the
# memory; these two random networks remember ten pulls well enough. "Its hidden state is the posterior" is a
# sentence that this lesson cannot support. What was learned is, at the least, *what to do* with what is
# remembered.

# %% [markdown]
# ## 7. Carts: when to forget, and what comes next (4 minutes)
#
# On to the cart-poles of lesson 06, with trials of two episodes in the same task. Two details are easily
# wrong. First:
#
# **Exercise `next_state`** (core, 4 minutes).

# %% exercise="next_state"

# %%
lesson.check(next_state)

# %% [markdown]
# Second: what is a step of the first episode worth? The trial goes on after it. The value of the first
# step of the second episode belongs to the last step of the first, because what was *seen* in the first
# will pay in the second. After the trial, nothing does. The building block of the advantages is the **TD
# error** of lessons 02 and 03, $\delta_t = r_t + \gamma V_{t+1} - V_t$: which step is $t + 1$ here?
#
# **Exercise `trial_errors`** (core, 6 minutes).

# %% exercise="trial_errors"

# %%
lesson.check(trial_errors)

# %% [markdown]
# How much does this matter? As a control five agents were trained for the family `once` of the next section
# with advantages that end with the episode. They earn about as much as the others: 76.9 against 77.4 in the
# second episode (section 10, "credit ends with an episode"). With $\gamma = 0.98$ little credit reaches the
# first steps over a hundred others in either case. Where looking costs, as in section 4, which has no
# discount, it should matter; we did not test that.
#
# One more trap. If one discounts by the steps *taken*, as this exercise does, a policy that lets the pole
# fall at once comes to the second episode sooner, and its rewards count more: falling is rewarded.
# `MemoryAgent` discounts by the clock, as if every episode lasted for its whole horizon: at the last step
# of an episode that ended $k$ steps too soon, $\delta_t = r_t + \gamma^{k+1} V_{t+1} - V_t$. Then an early
# end does not bring the next episode nearer.

# %% [markdown]
# ## 8. Is it the memory? (6 minutes)
#
# Five trainings of each method, judged on four sets of 200 test tasks that nothing was tuned on (`python
# data/lesson_08/make_results.py`). The **feed-forward** twin sees the same inputs, the last action and the
# last reward among them, and has no hidden state. Each method has the weight of the entropy bonus that
# earned most on validation tasks, of four or more, in two trainings of its own (on `once` belief and told
# have that of `dirv`, and on `phys` all have the default). First `dirv`:

# %%
predictions.predict_wiped()

# %%
print(results.HEADER)
for method in ("memory", "memory, wiped", "feed-forward", "told"):
    print(results.row("dirv", method))
plain, wiped, blind = (
    results.returns("dirv", name)[:, 1] for name in ("memory", "memory, wiped", "feed-forward")
)
assert (plain - wiped).mean() < 3 and blind.min() > 65 and (plain - blind).mean() < 8

# %% [markdown]
# On `dirv` the memory is hardly needed. (Its hidden target $v^*$ is 0.5 to 1 m/s to either side, and the
# reward $r = \max(0, 1 - \lvert \dot x - v^* \rvert)$.) Where a step pays anything, $v^* = \dot x \pm (1 -
# r)$, and often only one of the two is in the range: whoever *sees the last reward* can follow the target,
# step by step. Wiped at the border the agent loses a point or two, and the twins that never had a memory
# end five to seven below it. Most of what RL² gains here it gains by having the reward among its inputs.
#
# **A control must be tuned as well.** At first the twins had the weight that the memory had, 0.02. On `dir`
# none of them ever left 50, which is what standing still pays there, and this lesson said so, until a
# reader tried other weights:

# %%
for family in ("dirv", "dir"):
    for weight, found in results.entropies(family, "feed-forward").items():
        earned = ", ".join(f"{value:.0f}" for value in found)
        print(f"{family:4}  the twin with the weight {weight:4}, two trainings: {earned}")
still = results.entropies("dir", "feed-forward")
assert still[0.02].max() < 51 and still[0.1].min() > 70

# %% [markdown]
# To see what memory is for, take away what replaces it. In the family `once` both episodes are **paid** as
# on `dirv`, but only the first one **shows** its rewards: in the second the input reads 0.

# %%
print(results.HEADER)
for method in ("memory", "memory, wiped", "feed-forward", "told"):
    print(results.row("once", method))
kept, wiped = results.returns("once", "memory"), results.returns("once", "memory, wiped")[:, 1]
blind = results.returns("once", "feed-forward")
as_good = (kept[:, 0] - kept[:, 1] < 3) & (kept[:, 1] - wiped > 35)
print(f"second episode within 3 of the first, and 35 above the wiped one: {as_good.sum()} of 5 trainings")
assert as_good.sum() >= 4 and (kept[:, 1] - blind[:, 1]).min() > 35

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.2, 2.9), sharey=True)
for ax, method in zip(axes, ("memory", "feed-forward"), strict=True):
    updates, runs = results.curves("once", method)
    ax.plot(updates, runs.T, linestyle="-", linewidth=1)
    ax.set(title=results.METHODS[method], xlabel="update")
axes[0].set_ylabel("second episode, in training")
# alt: Return in the second episode over training updates, a line for each training. With memory all climb
# alt: to nearly 80. Without it they stay near 40.
plt.show()

# %% [markdown]
# Every line is a training. Now the hidden state carries the target from one episode to the next: 76 in the
# first, 77 in the second. Wiped at the border the same agents earn half of that (39), about as much as the
# twins, which never had a memory (38). (Without its memory an agent finds itself where no trial begins,
# with rewards that read 0; it was not trained for that, the twins were. In their first episode the twins
# scatter from 40 to 70: their weight was chosen by the second alone; whether another one steadies the first
# was not tried.) Here, and not on `dirv`, "the agent remembers" is what the numbers show.

# %% [markdown]
# ## 9. Belief and policy (4 minutes)
#
# What *should* the hidden state hold? All that matters of the past is the **belief** over the target. Where
# the reward function is known it can be computed, by Bayes' rule on a grid of targets, one step at a time:
#
# $$b'(v) \;\propto\; b(v)\, \exp\!\Big(\!-\tfrac12 d(v)^2\Big), \qquad
# d(v) = \frac{r - \max(0,\, 1 - \lvert \dot x - v \rvert)}{\text{width}}.$$
#
# The reward has no noise; the width, half the distance of two targets of the grid, only lets the targets
# nearest to the true one survive. (The package's `TargetFilter` keeps $\ln b$, and leaves the max away
# where $r > 0$, since then the target is certainly nearer than 1.)
#
# **Exercise `filter_step`** (core, 6 minutes).

# %% exercise="filter_step"

# %%
lesson.check(filter_step)

# %% [markdown]
# The stored memory agent drives; the filter watches. **Try** steps 1, 2, 3: a first reward above 0 leaves
# at most two targets, $\dot x \pm (1 - r)$, as far as they are in the range, and one at another velocity
# decides. Then take the target 0.8: a reward of 0 at the velocity −0.24 says only "further than 1 away".
# That settles the side, since no target on the left is so far off, but not the speed. Why does the agent
# drive on to the left, for five more steps? Before the cart can go faster to the right, its pole must lean
# to the right, and for that the cart must first go to the left below it. (For −1 and −0.6 it is the mirror
# image.)

# %%
pictures.belief_explorer()

# %%
grid = TargetFilter("dirv")
belief, target = grid.prior(), torch.tensor(0.77)
for speed in (0.1, 0.3):
    state = torch.tensor([0.0, speed, 0.0, 0.0])
    belief = grid.update(belief, state, (1 - (state[1] - target).abs()).clamp(0, 1))
mean, deviation = grid.moments(belief)
print(f"two steps at 0.1 and 0.3 m/s, target 0.77: belief {mean:.2f} with deviation {deviation:.2f}")
assert abs(mean - 0.77) < 0.01 and deviation < 0.05

# %% [markdown]
# A *feed-forward* policy that sees the state and the belief's mean and deviation needs no memory of its
# own: the row "exact belief + policy" of the next section.

# %% [markdown]
# ## 10. Side by side (5 minutes)
#
# Four families, every method with five trainings. The first column is the return of the first episode in a
# new task, the second that of the last: for the trials the second episode, for MAML those after a gradient
# step on ten episodes. What each training cost, in seconds of one core, is at the end:

# %% tags=["slide-hide-input"]
for family, names in results.BY_FAMILY.items():
    print(f"{family}\n{results.HEADER}")
    for method in names:
        print(results.row(family, method))
    print()

# %% tags=["nbval-ignore-output"]
for family, names in results.BY_FAMILY.items():
    spent = {name: results.costs(family, name) for name in names if name != "memory, wiped"}
    parts = (f"{name} {s:.0f} s, {n / 1e6:.1f} M steps" for name, (s, n) in spent.items())
    print(f"{family:5}", "; ".join(parts))
memory_cost, maml_cost = (results.costs("dirv", name)[0] for name in ("memory", "MAML"))
assert memory_cost > 10 * maml_cost

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.2, 3), sharey=True)
for ax, family in zip(axes, ("dirv", "dir"), strict=True):
    pictures.draw_experience(ax, family)
axes[0].set_ylabel("mean return")
axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
# alt: Mean return over episodes in a new task, on dirv and dir. In its first two episodes the memory earns
# alt: as much as an agent told the target, and the twin without memory a little less. MAML, even after its
# alt: step on ten episodes, stays below both the memory and that line.
plt.show()

# %% [markdown]
# Read it with care. (Of MAML two numbers are measured, before its step and after it, and drawn over the
# episodes for which they hold.)
#
# - **`dirv`, `dir`**: an agent with a memory earns within its *first* hundred steps more than MAML does
#   after ten episodes and a gradient step. Its training costs more than ten times as many seconds. On as
#   many steps as the others MAML earns no more (55 on `dirv`; on `dir` the difference may be luck; its
#   rates were not tuned again), so that its usual training is the row to look at. "RL² beats MAML" without
#   the seconds would be unfair.
# - The twin, which sees only the last step, is 5 to 7 behind the memory on `dirv` and 8 to 17 on `dir`, in
#   the second episode. There it would be enough to see one: $r = \tfrac12 + \tfrac12 d\,\dot x$ with the
#   direction $d = \pm 1$, so one reward at any velocity but 0 gives $d$. So what is missing there is the
#   training, not what can be known. It looks like the safe arm of section 4, down to what helps (more
#   entropy); that the same cause is at work we did not test.
# - **Belief and policy** earns as much as knowing the target, for fewer seconds of training than the
#   memory, where somebody can write down the reward function and a filter. And "told" is a training like
#   the others, *no ceiling*: in the second episode the memory earns as much, or a point more.
# - On `once` a *single* episode is all that MAML's step may use. The best step at test is a tenth of that
#   in training and changes nothing; steps of 1 and more mostly harm. (Its baseline is fitted over the
#   episodes of all tasks, at test too, which favors it.) Here a gradient needed more than one episode;
#   memory did not.
# - **`phys`**: gravity, masses and force are hidden, but one policy serves them all; everything earns 100,
#   and nothing can be told apart.
#
# Adapting by memory and adapting by gradient are both adaptation. Which one you need depends on what is
# scarce: episodes in the new task, or training.

# %% [markdown]
# ## 11. Learning to act from labels (4 minutes)
#
# There is a third way to a network that adapts in its context: no reward, no gradient step in the task,
# just **labels**. Draw a bandit, let anybody play a few pulls, and train a network to name the bandit's
# *best arm* from the counts. With cross-entropy the best answer to "which arm is the best, given this
# history?" is the posterior probability $P(\text{arm is best} \mid \text{history})$. So a network that is
# trained well *and then draws its arm from its own answer* does Thompson sampling (Lee et al. 2023). How
# far two distributions are apart is measured by their **total variation**, half the sum of the absolute
# differences: 0 if they are equal, 1 if they share nothing.

# %% tags=["nbval-ignore-output"]
scorer = in_context.train_arm_scorer(bandits, pulls=10, updates=400, seed=0)

# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(5)
chances = rng.uniform(size=(2000, 5))
losses, wins = np.moveaxis(in_context.random_counts(chances, rng.integers(0, 10, 2000), rng), -1, 0)
answers, posterior = in_context.network_rule(scorer)(wins, losses), bandit.chance_best(wins, losses)
off = 0.5 * abs(answers - posterior).sum(axis=1).mean()
drawn, first_choice = (tree.value(in_context.network_rule(scorer, greedy=g)) for g in (False, True))
print("total variation to the exact posterior below 0.03:", off < 0.03)
print(f"drawing from its answer {drawn:.2f}, exact Thompson sampling {exact['Thompson sampling']:.2f}")
print(f"taking its first choice {first_choice:.2f}, the best possible {exact['best possible']:.2f}")
assert off < 0.03 and abs(drawn - exact["Thompson sampling"]) < 0.05 and first_choice > exact["greedy"]

# %% [markdown]
# It *is* Thompson sampling, nearly, and so it has Thompson's fault: in ten pulls its first choice earns far
# more. What one copies is not always what one wants. Note also what the label needs: somebody who knows the
# best arm of every training bandit. For fifty pulls a network trained
# in the same way ends about twice as far from the posterior (below).
#
# **Algorithm distillation** (Laskin et al. 2022) needs no such oracle, only the *histories of a learner*. A
# GRU learns to predict the next pull of a mild UCB (c = 0.6, games of fifty pulls) from all pulls and
# rewards so far (`python data/lesson_08/make_bandits.py`, five trainings):

# %%
for pulls in (10, 50):
    found = results.bandits(f"pretrained, {pulls} pulls, TV")
    print(f"named best arm, {pulls} pulls: total variation {found.min():.3f} to {found.max():.3f}")
fig, ax = plt.subplots(figsize=(5.6, 3))
smooth = {name: results.distilled(name).reshape(5, 10, 5).mean(axis=2) for name in results.LEARNERS}
for name, label in results.LEARNERS.items():
    course.band(ax, np.arange(3, 50, 5), smooth[name], label=label)
ax.set(xlabel="pull", ylabel="mean reward", ylim=(0.45, 0.8))
ax.legend()
# alt: Mean reward over 50 pulls. The GRU trained on a teacher's histories climbs like the teacher, UCB,
# alt: and levels off where it does. The network that sees the last pull alone soon goes flat, far below.
plt.show()
late = {name: interval(runs[:, -3:].mean(axis=1)) for name, runs in smooth.items()}
for name, (mean, low, high) in late.items():
    print(f"pulls 36 to 50: {results.LEARNERS[name]:28} {mean:.2f} ({low:.2f} to {high:.2f})")
bold = in_context.learning_histories(bandit.ucb_rule(0.2), bandits, pulls=50, histories=10_000, seed=7)
better = bold[1][:, 35:].mean()
print(f"pulls 36 to 50: {'UCB with c = 0.2':28} {better:.2f}")
assert late["distilled"][0] > late["last pull alone"][0] + 0.08 and better > late["teacher"][0] + 0.04

# %% [markdown]
# It improves within one history, with fixed weights, from about the eleventh pull on as its teacher does,
# and **no further**: it has learned *that learner*, though a better one is possible (the last line). The
# network that sees the last pull alone gains a little (stay after a win) and is flat from about the sixth
# pull on.

# %% [markdown]
# ## 12. Quiz (5 minutes)

# %%
lesson.quiz()

# %% [markdown]
# ## Summary
#
# - An agent with a memory adapts by what it remembers. It must *see* its last action, reward and end,
#   *keep* its hidden state over the episodes of a trial, and *forget* at a new task. It is trained
#   for the return of the trial: what a step is worth reaches over the ends of episodes, and not over that
#   of the trial.
# - On bandits the best is known exactly. RL² comes within 0.05 of 6.66, five trainings of five; famous
#   rules made for long games do not.
# - A network that follows an exact gradient may still never learn to explore: exploring pays only once what
#   is found is used. An entropy bonus that falls to 0 helped in six starts of six.
# - A probe needs a control, and the control may need one: untrained networks hold nearly as much of the
#   posterior, one that forgets slowly holds more and cares less about the order, and linear layers fitted
#   on a random memory earn nearly as much. What training made for sure is what the network *does*.
# - If one step's reward gives the task away, a policy that sees it needs hardly any memory (`dirv`). If
#   what was seen must last, memory is the point (`once`). If one policy serves all tasks, neither is
#   needed (`phys`).
#
# ## What could go wrong
#
# - *It never adapts*: are action, reward and end among its inputs? Is the state kept over the episodes?
# - *It adapts to the task before*: the state was not set to zero.
# - *The first episode is played badly on purpose*: does an early end bring the next episode nearer?
# - *It earns more than is possible*: a seed is shared by the task and the player.
# - *One training of five fails*: show all five; a mean hides it.
# - *The control is far behind*: was it tuned as well?
# - *"It has learned the posterior"*: what does an untrained network of the same size have?
#
# ## Further reading
#
# - Y. Duan, J. Schulman, X. Chen, P. Bartlett, I. Sutskever, P. Abbeel, "RL²: Fast Reinforcement Learning
#   via Slow Reinforcement Learning", 2016, arXiv:1611.02779.
# - J. X. Wang, Z. Kurth-Nelson, D. Tirumala, H. Soyer, J. Z. Leibo, R. Munos, C. Blundell, D. Kumaran,
#   M. Botvinick, "Learning to Reinforcement Learn", 2016, arXiv:1611.05763.
# - K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
#   Translation", EMNLP 2014, arXiv:1406.1078. The GRU.
# - P. Ortega et al., "Meta-Learning of Sequential Strategies", 2019, arXiv:1905.03030. Why memory-based
#   meta-learning approximates Bayesian inference.
# - L. Zintgraf, K. Shiarlis, M. Igl, S. Schulze, Y. Gal, K. Hofmann, S. Whiteson, "VariBAD: A Very Good
#   Method for Bayes-Adaptive Deep RL via Meta-Learning", ICLR 2020, arXiv:1910.08348. A *learned* belief.
# - J. Lee, A. Xie, A. Pacchiano, Y. Chandak, C. Finn, O. Nachum, E. Brunskill, "Supervised Pretraining Can
#   Learn In-Context Reinforcement Learning", NeurIPS 2023, arXiv:2306.14892.
# - M. Laskin, L. Wang, et al., "In-context Reinforcement Learning with Algorithm Distillation", ICLR 2023,
#   arXiv:2210.14215.
# - P. Auer, N. Cesa-Bianchi, P. Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine
#   Learning 47, 2002.
# - W. R. Thompson, "On the likelihood that one unknown probability exceeds another in view of the evidence
#   of two samples", Biometrika 25, 1933.

# %%
lesson.progress()
