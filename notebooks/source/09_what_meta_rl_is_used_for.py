# %% [markdown]
# # 09 · What meta-RL is used for
#
# **You will be able to**
#
# - say of a problem of your own what its tasks are, what is hidden, and whether the state shows it;
# - name what an expert of the field would try first, and measure against that;
# - choose between a model, least squares, fine-tuning, MAML, a context network and a memory, for reasons
#   that you have measured;
# - say when meta-learning does not pay;
# - find the patient who was in training, and tell a difference from luck.
#
# **Time**: two sessions of 50 minutes. First session (sections 1 and 2): 32 of reading and running, 18 of
# exercises. Second session (sections 3 to 5): 34 of reading and running, 11 of exercises, 5 for the quiz.
#
# **You need**: MAML (lesson 04), few-shot regression (lesson 05), agents with a memory (lesson 08).

# %% tags=["nbval-ignore-output"]
from mlearn_utils import course

lesson = course.start("09")

# %%
import matplotlib.pyplot as plt
import numpy as np

from mlearn_utils.course.lesson_09 import (
    doctor,
    ice,
    patients,
    pendulums,
    pictures,
    predictions,
    results,
    simulators,
    treasures,
    tree,
    vehicles,
)
from mlearn_utils.tasks.patients import PatientTasks
from mlearn_utils.tasks.pendulum_runs import balance
from mlearn_utils.tasks.treasures import SMALL_LAKE, TreasureTask, best_blind_steps, frozen_cells
from mlearn_utils.tasks.vehicles import VehicleTasks

# %% [markdown]
# Articles about meta-RL end with a list: games, medicine, driving, robots. Here every entry of that list
# runs, on the simulator or the formulas that people of the field use, and is measured against what they
# would try first. Of each ask the same four questions: **what differs** between tasks? **Does the state
# show it?** What would an **expert** do? And does learning to learn **pay**?
#
# # First session
#
# ## 1. Games: a treasure on a frozen lake (14 minutes)
#
# A treasure lies on a frozen lake. A walk starts in the corner; it ends at the treasure, or after 30 steps.
# Then the same lake is entered again, and again; the treasure stays. That is Gymnasium's *FrozenLake*, not
# slippery, on a map of our own.
#
# - *What differs*: the cell where the treasure lies, one of 15.
# - *Does the state show it?* No. One sees where one stands, and after a step whether it was paid.
# - *The expert* writes a search. Row by row, to and fro, visits a new cell with every step.
#
# **Exercise `search_steps`** (core, 4 minutes).

# %% exercise="search_steps"

# %%
lesson.check(search_steps)

# %% [markdown]
# On this lake the search row by row takes 8.0 steps on average. No search is better: it cannot visit its
# $k$-th new cell before step $k$, so the mean over $n$ cells is at least $(1 + 2 + \dots + n)/n = (n +
# 1)/2$, and row by row attains it. In later walks the expert's program goes straight to the cell it has
# written down: 3.2 steps on average. Nobody can do better than 8.0 and 3.2.

# %%
rows = [range(4 * row, 4 * row + 4)[:: -1 if row % 2 else 1] for row in range(4)]
route = np.concatenate(rows)[1:]
steps = [np.flatnonzero(route == cell)[0] + 1 for cell in frozen_cells(SMALL_LAKE)]
print("row by row, mean steps:", np.mean(steps))

# %% [markdown]
# Now an agent with a memory, as in lesson 08, three walks a trial. Nobody tells it what a search is, nor
# that the treasure stays.

# %%
predictions.predict_search()

# %% tags=["nbval-ignore-output"]
seeker = treasures.train(frozen_cells(SMALL_LAKE), updates=60, seed=0)

# %% tags=["nbval-ignore-output"]
lakes = TreasureTask(frozen_cells(SMALL_LAKE))
walks, wiped = (treasures.walk(seeker, lakes, wipe=wipe) for wipe in (False, True))
shortest = treasures.shortest(lakes).mean()
print(f"{'':18} {'walk 1':>8} {'walk 2':>8} {'walk 3':>8}   steps, mean over the 15 treasures")
for name, each in (("memory", walks), ("memory, wiped", wiped)):
    print(f"{name:18}", *(f"{steps:8.1f}" for steps in each.steps.mean(axis=1)))
print(f"{'best possible':18} {best_blind_steps(lakes.goal):8.1f} {shortest:8.1f} {shortest:8.1f}")
assert walks.found.all() and abs(walks.steps[1:].mean() - shortest) < 0.3

# %%
fig, axes = plt.subplots(1, 3, figsize=(7, 2.6))
for episode, ax in enumerate(axes):  # a way that was walked before is drawn beside itself
    pictures.draw_walk(ax, lakes, walks, 8, episode=episode)
# alt: Three walks over one frozen lake, from the start to the treasure, a star. The first wanders through
# alt: many cells. The second and third go there by a shortest way.
plt.show()

# %% [markdown]
# The first walk is a search, and the others go straight to where the treasure was found. With its memory
# wiped after each walk the same agent searches every time. Five stored trainings (`python
# data/lesson_09/make_treasures.py`): the share of treasures found, the mean steps to those that were; and
# how many each finds in 30 steps altogether, walk after walk:

# %%
print(results.TREASURE_HEADER)
pairs = ("small", "trained"), ("small, held out", "trained"), ("small, held out", "held out")
for setting, cells in pairs:
    for who in ("memory", "wiped"):
        print(results.treasure_row(setting, cells, who))
for who in ("memory", "wiped"):
    found = results.treasures("small", "trained", f"{who}, in 30 steps")
    print(f"treasures in 30 steps, {who}: {found.min():.1f} to {found.max():.1f}")
sampled = [results.treasures("small, held out", "held out", f"sampled, found {k}").mean() for k in (1, 2, 3)]
print("held out, actions sampled as in training: found", *(f"{share:.0%}" for share in sampled))
assert results.treasures("small", "trained", "memory, in 30 steps").min() > 9
assert results.treasures("small", "trained", "wiped, in 30 steps").max() < 7

# %% [markdown]
# Now the honest rows. In the setting *held out* three of the 15 cells, drawn anew for each training, never
# held a treasure while the agent learned. Then they do, and in two of three such lakes the agent **does not
# find it**, though 30 steps are enough to see all cells: it has learned where treasures lie, and hardly
# looks elsewhere. For the tasks that it was trained on that is right, and saves it about one step. (The
# table is for the agent that takes its likeliest action. One that draws its actions, as in training,
# strays, and by the third walk finds a good half: the last line.) On a larger lake, six by six, 60 steps a
# walk, eight cells held out, it has to walk over some of them:

# %%
for cells in ("trained", "held out"):
    print(results.treasure_row("large, held out", cells, "memory"))
print("\nSecond walk to those that the first came across, training by training:")
for lake, who in (("large", "memory"), ("large", "wiped"), ("small", "memory")):
    again, more = (
        results.treasures(f"{lake}, held out", "held out", f"{who}, {what}") for what in ("again", "excess")
    )
    print(f"{lake}, {who:6}: found again", *(f"{share:.0%}" for share in again), end="; ")
    print("steps beyond the shortest way", *(f"{steps:.1f}" for steps in more))

# %% [markdown]
# On the large lake it comes back to most of what it came across, by at most two steps more than the
# shortest way, though no treasure ever lay there in training: *returning* carries over to new cells,
# *searching* does not. (On the small lake there are one or two such cells a training: too few to say.)
#
# **Should you meta-learn here?** No. The expert's program is a few lines, needs no training, is the best
# possible, and looks everywhere. A learned memory pays where nobody can write the search down: where rules
# and tasks are many and differ. (The Adaptive Agent Team 2023 trained one memory on a vast space of tasks
# in a simulated world; it adapts to new ones about as fast as people do.) *The toy leaves out* slippery
# ice, holes, a treasure that moves, and a lake that one does not see whole.

# %% [markdown]
# ## 2. Medicine: the next dose (18 minutes)
#
# **This is no medical advice.** The drug is made up, and so are its numbers.
#
# A patient takes 100 mg of a drug. Too low a level in the blood does nothing, too high a level harms;
# between lies the *window*, 1 to 3 mg/L. Three samples of blood, after 1, 4 and 10 hours, each with an
# error of 10 %. What dose now? **Try** patients 1 and 6: choose the doses from the samples, and look at the
# true level afterwards.

# %%
doctor.doctor()

# %% [markdown]
# - *What differs*: how fast a patient absorbs the drug (rate $k_a$, 1/h), how fast the body clears it
#   (clearance $CL$, L/h), and in how large a volume $V$ (L) it is thinned.
# - *Does the state show it?* A single level does not; three narrow it down.
# - *The expert* has a model. With $k = CL/V$ the level is, $t$ hours after a dose $D$,
#
# $$C(t) = \frac{D\, k_a}{V (k_a - k)} \big(e^{-k t} - e^{-k_a t}\big),$$
#
# and levels of several doses add up. Clinics that dose by levels do what lesson 08 did with a bandit: from
# the distribution over patients and the samples they compute what is now likely (Sheiner & Beal 1982;
# Darwich et al. 2017 on why few clinics do).
#
# **Exercise `hours_in_window`** (core, 5 minutes). Which dose keeps the level in the window?

# %% exercise="hours_in_window"

# %%
lesson.check(hours_in_window)

# %% [markdown]
# Patient 1 clears the drug so slowly that 100 mg a day end far above the window; of patient 3 no dose once
# a day keeps the level inside for half of the time.
#
# Now learn it. Every network sees the same number of updates, each with 25 new patients of whom levels were
# measured at 20 more hours: a **joint** network, hour in, level out, the same for all; the same network
# **fine-tuned** on the three samples; **MAML**; a **context network**, which reads the three samples beside
# the hour. (A short training here; the table below has the long ones.)

# %% tags=["nbval-ignore-output"]
joint = patients.train_plain(context=False, updates=400, seed=0)
reader = patients.train_plain(context=True, updates=400, seed=0, lr=0.03)
learner = patients.train_maml(inner_lr=0.03, steps=3, updates=400, seed=0)

# %% tags=["nbval-ignore-output"]
new = PatientTasks().sample(200, seed=1_000_001)
samples, true = new.sample_blood(seed=1_500_001), new.level(patients.CURVE_HOURS)
predicted = {
    "joint": patients.fine_tuned(joint, rate=0.1, steps=0)(samples),
    "joint, fine-tuned": patients.fine_tuned(joint, rate=0.03, steps=30)(samples),
    "MAML": patients.adapted(learner, steps=8)(samples),
    "context network": patients.by_context(reader)(samples),
    "Bayes, true model": patients.posterior(samples).mean(),
}
for name, curves in predicted.items():
    print(f"{name:20} error {patients.rmse(curves, true):.2f} mg/L")
fig, axes = plt.subplots(1, 2, figsize=(8.2, 2.9), sharey=True)
for ax, which in zip(axes, pictures.far_apart(true), strict=True):
    pictures.draw_patient(ax, predicted, samples, true, which)
axes[0].set_title("one whose level stays low")
axes[1].set_title("one whose level stays high")
axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
# alt: Blood level over the hours of the first day, for a patient whose level stays low and one whose level
# alt: stays high. The joint network draws the same curve for both. The methods that use the three samples
# alt: bend towards each patient's true level.
plt.show()

# %%
predictions.predict_dose()

# %% [markdown]
# Levels are not what is asked for: the *dose* is. Each method chooses, among 0, 5, ..., 300 mg, the second
# dose; then we look at the second day of the true patient (five trainings, four sets of 200 new patients;
# all settings were tuned on other patients, for each column anew; `python
# data/lesson_09/make_patients.py`).
#
# - "rmse": the root mean squared error of the first day, in mg/L.
# - "window, no doubt": the share of the second day in the window, by the dose that is best if the method's
#   own curve is true.
# - "window": the same, but no curve is quite true. Each method gets one more number, its *doubt* $s$: the
#   whole curve may be off by a factor $e^{s z}$, $z$ about standard normal (seven values from -1.5 to 1.5),
#   and the dose is the one with the largest expected share.
#
# In parentheses the 95 % interval over five trainings.

# %%
columns = {"rmse": 2, "window, no doubt": 3, "window": 3}
print(results.table("patients", results.PATIENTS, columns))
for name in ("fine-tuned", "MAML", "context"):
    by_rmse = results.by_seed("patients", name, "window as tuned for rmse").mean()
    print(f"window with the settings that are best for rmse: {name:10} {by_rmse:.3f}")
window, bare = (results.means("patients", name) for name in ("window", "window, no doubt"))
learned = ("fine-tuned", "MAML", "context")
assert window["Bayes, expected share"] == max(window[name] for name in window if "knowing" not in name)
assert all(window[name] > bare[name] + 0.01 for name in (*learned, "Bayes"))
assert min(window[name] for name in learned) > window["one dose for all"] + 0.1

# %% [markdown]
# Even who knows the patient keeps only 78 % of the day: one dose a day is not enough for those who clear
# fast. By its mean curve alone Bayes' rule doses no better than the networks; what helps, it and them, is
# to **doubt**. Its last row doubts by the book: it weighs all patients that are still possible. That is
# best; a network with one tuned number comes within about a hundredth.
#
# What a method is tuned for can matter too: with the settings that are best for its *error* the fine-tuned
# network keeps six hundredths less of the day. For the two others it matters little.
#
# Which of the differences between the learned rows are differences at all? Training by training, on the
# same test patients.
#
# **Exercise `paired_difference`** (core, 4 minutes).

# %% exercise="paired_difference"

# %%
lesson.check(paired_difference)

# %%
for name in ("fine-tuned", "MAML"):
    for measure in ("rmse", "window"):
        one, other = (results.by_seed("patients", each, measure) for each in (name, "context"))
        gap, error = (one - other).mean(), (one - other).std(ddof=1) / len(one) ** 0.5
        print(f"{measure:6}, {name} - context: {gap:6.3f}, {abs(gap) / error:.1f} standard errors")

# %% [markdown]
# From five trainings on both sides a difference counts from 2.8 standard errors on (the two-sided 95 %
# point of Student's $t$ with four degrees of freedom), if trainings are all that varies. So of the three
# MAML has the smallest error, and still the context network chooses the better doses: by less than half of
# a hundredth, and the four sets of patients differ by ten times that. A small error is no good decision.
# The fine-tuned network's doses cannot be told apart from the context network's. Then take the simplest to
# run: the context network needs no gradient step at the bedside.
#
# **Should you meta-learn here?** Where the model is known, no: Bayes' rule needs no training, and knows its
# own doubt. Where it is not known, three samples and any of the learned methods get more than half of the
# way from one dose for all to knowing the patient. *The toy leaves
# out* food, age, other drugs, missed doses, tissue that takes the drug up slowly, a clearance that changes,
# and what a wrong dose does to a person.
#
# One more thing can go wrong, and does so in published work: Kapoor & Narayanan 2023 count 294
# papers, from 17 fields, in which training and test were not kept apart in one way or another.
#
# **Exercise `split_visits`** (core, 5 minutes, *find the bug*). Patients come several times.

# %% exercise="split_visits"

# %%
lesson.check(split_visits)

# %% [markdown]
# What is it worth to have met the test patient? Fifty patients come twice. The "model" looks for the visit
# in training whose samples are nearest, and gives that patient's curve (means of a hundred drawings):

# %%
leak = patients.leak()
for name, value in leak.items():
    print(f"{name:28} error {value:.2f} mg/L")
assert leak["tested on the last visits"] < 0.9 * leak["tested on the last patients"]

# %% [markdown]
# The first number promises what no new patient will get. (It has seen ten patients more, too; but that is
# the leak: they are the ones it is tested on.) Whatever is split into training and test must be
# split by what a *task* is, here by patient.

# %% [markdown]
# # Second session
#
# ## 3. Driving: brake or steer (14 minutes)
#
# A car drives on a road whose grip it does not know. **Try** to come into the grey lane and to
# stay there; then press N and do it again, with another car.

# %%
ice.drive_on_ice(seed=3)

# %% [markdown]
# - *What differs*: the grip of the tyres (0.15, ice, to 1.2), the mass, and where the centre of mass lies.
# - *Does the state show it?* Speed, sideways speed and yaw rate (how fast the car turns) do not; how they
#   *answer* to steering does.
# - *The expert* has equations with these three as parameters, and estimates them.
#
# The car is highway-env's `BicycleVehicle`. For training, thousands of them are driven at once by equations
# in numpy. Are they the same? Lines are ours, dots the simulator's:

# %%
fig, ax = plt.subplots(figsize=(7, 2.4))
apart = simulators.run_or_skip(lambda: pictures.compare_with_simulator(ax))
# alt: Paths of three vehicles from above: metres ahead across, metres aside upwards, for three values of
# alt: grip. The less grip, the later the car gets aside. The simulator's dots, if it is installed, lie on
# alt: the lines of our equations.
plt.show()
print("largest difference below 1e-9:", apart is None or apart < 1e-9)
assert apart is None or apart < 1e-9

# %% [markdown]
# The car, at 10 to 14 m/s, has made ten steps of 0.1 s, measured with errors. An obstacle: in two seconds
# it must be 2 m aside. Swerving by a fixed plan is worth 1 if it gets there and 0 if not; braking is worth
# 0.3 in any case.
#
# **Exercise `brake_or_steer`** (core, 4 minutes).

# %% exercise="brake_or_steer"

# %%
lesson.check(brake_or_steer)

# %% [markdown]
# Each model predicts what one step changes, and is fed its own predictions twenty times. The linear ones
# know the sideways speed, the yaw rate and the steering: six numbers. *Least squares* fits them to the ten
# steps alone. *Ridge* is least squares that is pulled towards the average of 5000 training cars, and the
# *learned prior* knows from these cars also how the six numbers vary together (section 4 has its formula).
# A short training, two hundred new cars; errors as a share of how far the paths spread:

# %% tags=["nbval-ignore-output"]
network = vehicles.train_plain(context=True, meta_lr=0.03, updates=400, seed=0)
quick = vehicles.train_maml(inner_lr=0.03, steps=3, meta_lr=0.01, updates=200, seed=0)
mean, covariance = vehicles.fleet_lines()  # of the training cars

# %% tags=["nbval-ignore-output"]
cars = VehicleTasks().sample(200, seed=1_000_001)
drive = vehicles.drives(cars, seed=1_500_001)
models = {
    "least squares": vehicles.linear(drive),
    "ridge around the average": vehicles.linear(drive, average=mean, strength=1.0),
    "learned prior": vehicles.by_prior(drive, mean, covariance),
    "MAML": vehicles.adapted(quick, drive),
    "context network": vehicles.by_context(network, drive),
}
for name, model in models.items():
    found = vehicles.errors(vehicles.roll_out(model, drive), drive.path)
    print(f"{name:26} error {found['nrmse']:.2f} of the spread, after 2 s {found['metres']:.2f} m (median)")

# %% [markdown]
# And the stored ones, five trainings each on four sets of 400 new cars (`python
# data/lesson_09/make_vehicles.py`). "nrmse" is the root mean squared error of the path as a share of the
# paths' own spread (0: exact; 1: as if all went straight on). For the decision Bayes' rule has many
# guesses, as in the exercise; who has a single path gets a margin instead, in metres beyond the 2 that are
# needed, tuned on other cars; "worth" is what the decisions are worth, "crashes" the share that swerved and
# did not get there:

# %%
print(results.table("vehicles", results.VEHICLES, {"nrmse": 2, "worth": 3, "crashes": 3}))
path, worth, crashes, metres = (results.means("vehicles", measure) for measure in results.DRIVING)
for name in ("least squares", "ridge", "learned prior", "MAML", "context", "context, equal time"):
    print(f"median error after 2 s: {name:20} {metres[name]:.3f} m")
for name in ("MAML", "context, equal time"):
    spreads = [by("vehicles", name, "worth").std(ddof=1) for by in (results.by_set, results.by_seed)]
    print("{}: worth, standard deviation of 4 test sets {:.3f}, of 5 trainings {:.3f}".format(name, *spreads))
    for line in ("ridge", "learned prior"):
        gaps = results.by_set("vehicles", line, "worth") - results.by_set("vehicles", name, "worth")
        error = np.hypot(gaps.std(ddof=1) / 4**0.5, spreads[1] / 5**0.5)
        print(f"  {line} - {name}: {gaps.mean():.3f}, {gaps.mean() / error:.1f} standard errors")
learned = [path[name] for name in path if name not in ("Bayes", "learned prior")]
assert path["Bayes"] < path["learned prior"] < min(learned)
assert min(worth[name] for name in ("ridge", "learned prior")) > worth["MAML"] > worth["fine-tuned"] + 0.01
assert worth["Bayes"] == max(worth[name] for name in worth if name != "knowing the vehicle")

# %% [markdown]
# - **What is learned best is the simplest**: lines, and what is known of other cars. Of all that was tried
#   without the equations the learned prior predicts paths best; ridge and the learned prior decide best,
#   clearly ahead of MAML and of a context network with as many updates.
# - That is learning to learn: the average and the covariance *are* what was learned from 5000 cars. Without
#   them least squares, whose *median* error is smaller than MAML's, gets some cars so wrong that its root
#   mean squared error is the largest of the table: ten noisy steps do not always hold enough. The average
#   car, mixed in, repairs these most.
# - A context network that was trained for as many seconds as MAML, ten times as many updates, comes within
#   a hundredth of their decisions. Is that a difference? Both the cars and the trainings vary, so both go
#   into the standard error (last lines: all methods meet the same cars, so the differences are taken set by
#   set). With four sets a difference counts from 3.2 standard errors on: this one cannot be told.
# - Fine-tuning helps path and decision, and stays behind MAML. It needs another joint network than the one
#   that is best by itself: one trained with a tenth of the step size or less (`vehicles_tuning.csv`).
# - A small error of the path is no good decision: the context network predicts better than MAML, and with
#   as many updates decides no better.
#
# **Should you meta-learn here?** Where the equations are known, no: Bayes' rule on them is more than twice
# as exact. (It also filters where the car is; the others start from one noisy measurement.) Where they are
# not, yes, and in its simplest form: a line, an average, a covariance. *The toy leaves out* that a fleet is
# measured with errors too (here its last twenty steps are exact), the road, other cars, tyres that let go
# (these hold the better the more they slip), a grip that changes with the next puddle, and a driver.
# (Spielberg et al. 2019 drove a real car by a network that reads a short history, trained on dry road and
# on snow; it needs no estimate of the friction.)

# %% [markdown]
# ## 4. Robots: two steps to know a motor (15 minutes)
#
# A robot is to balance a pole (MuJoCo's *InvertedPendulum*). Somebody has put in another motor: weaker or
# stronger, and for half of the robots **wired the wrong way round**. The pole has another mass as well.
#
# - *What differs*: the motor's gear, its sign among it, and the pole's mass.
# - *Does the state show it?* No; how it changes after a push does.
# - *The expert* with a simulator tries which gear and which mass explain one push. Without one: pushes
#   once, looks, and corrects what is known of robots on average.
#
# A model of how the state changes is adapted to K steps that the robot drives itself; then **LQR** (the
# linear quadratic regulator: the best linear controller for a linear model and quadratic costs) balances by
# the slope of that model at upright. All methods have the same controller: only the model differs.

# %%
predictions.predict_robots()

# %% [markdown]
# **Exercise `ridge_around`** (core, 7 minutes).

# %% exercise="ridge_around"

# %%
lesson.check(ridge_around)

# %% [markdown]
# A **learned prior** goes one step further than ridge: it learns from the training robots not only the mean
# $m$ of their linear models, but also how the twenty numbers vary *together*, their covariance $C$. (If one
# number shows that the motor is reversed, all of them follow.) With a Gaussian of this mean and covariance
# as prior, and changes $y = X w$ up to noise of variance $\sigma^2$, Bayes' rule has the closed form
#
# $$\hat w = m + C X^\top (X C X^\top + \sigma^2 I)^{-1} (y - X m),$$
#
# with the twenty numbers of a linear model in one vector $w$. Ridge is the same with $C = I$. Train
# everything, and let forty new robots drive two steps each:

# %% tags=["nbval-ignore-output"]
gains = simulators.run_or_skip(pendulums.live)
if gains is not None:
    robots = pendulums.new_robots(40)
    for name, gain in gains.items():
        up = balance(robots, gain, seed=6_001) == 500
        print(f"{results.ROBOTS[name]:26} {up.sum():2} of 40 stay up for 20 seconds")

# %% [markdown]
# One robot with a reversed motor, its pole every 0.04 s, leaning four times as far as in truth:

# %% tags=["nbval-ignore-output"]
fig, axes = plt.subplots(2, 1, figsize=(7, 2.8), sharex=True, constrained_layout=True)
if gains is not None:
    reversed_one = int(np.flatnonzero(robots.gear < 0)[0])
    for ax, name in zip(axes, ("joint", "learned prior"), strict=True):
        pictures.draw_poles(ax, robots[reversed_one], gains[name][reversed_one])
        ax.set_title(results.ROBOTS[name])
    axes[-1].set_xlabel("seconds")
# alt: Two rows of one robot's pole over time. Under the joint network the pole soon tips over and has
# alt: fallen. Under the learned prior it stays upright to the end of the picture.
plt.show()

# %% [markdown]
# Stored: ten trainings, three sets of 40 new robots, K steps of each (`python
# data/lesson_09/make_pendulums.py`); in parentheses the worst and the best training. The *test bench* is
# the factory's: it sets a robot up in a new place near upright every few steps. "Simulator, one step" has
# no training: of 378 robots (42 gears, 9 masses) in MuJoCo it takes the one that explains the step best.

# %%
shots = {f"balanced K={k}": 1 for k in results.SHOTS}
print(results.table("pendulums", results.ROBOTS, shots, is_range=True))
print("one network for all, ten trainings:", results.by_seed("pendulums", "joint", "balanced").round(0))
print("\nleast squares, robots of 40:")
alone = {"least squares": "steps of its own drive", "least squares, bench": "steps on the test bench"}
many = (5, 10, 20, 100)
for who, where in alone.items():
    found = [results.by_seed("pendulums", who, f"balanced K={k}").mean() for k in many]
    print(f"{where:24}", ", ".join(f"K={k}: {up:.0f}" for k, up in zip(many, found, strict=True)))
assert results.by_seed("pendulums", "learned prior", "balanced K=1").min() == 40
assert all(results.by_seed("pendulums", name, "balanced K=1").max() < 40 for name in ("ridge", "MAML"))
assert results.by_seed("pendulums", "MAML", "balanced K=2").min() > 35
assert results.by_seed("pendulums", "least squares", "balanced K=2").max() < 1

# %% [markdown]
# - **One step is enough**, for who knows how robots differ: by a simulator, without any training; or by the
#   learned prior, in each of ten trainings, without a simulator and without a gradient step.
# - It is ahead of ridge, which shares its mean but not its spread, and of MAML: from one step neither of
#   the two balances all robots in any training. (MAML is a relative of ridge: a few
#   gradient steps from a learned start are, for a linear model, about what Bayes' rule makes of a Gaussian
#   prior around that start; Grant et al. 2018.)
# - The joint network is good for few: look at its ten numbers. A mean would hide how they differ.
# - Plain least squares has twenty unknowns, and K steps are 4 K numbers: with five it *could* solve for
#   them. On the test bench ten steps balance all forty; a robot on its own needs more than a hundred. Why?

# %% tags=["nbval-ignore-output", "slide-hide-input"]
print(simulators.run_or_skip(lambda: pendulums.why_least_squares_fails(n_steps=10)) or "")

# %% [markdown]
# The steps of a drive follow each other, so that their inputs nearly lie in a plane (a large *condition
# number*: by so much can the fit magnify what does not agree with it). Were the pole exactly linear, that
# would do no harm, last column. It is not, a little; and that little is magnified.
#
# **Should you meta-learn here?** Where there is a simulator, no: look for the robot that explains what was
# seen. Where there is none, yes, and in its simplest form: a learned prior over linear models. MAML may be
# worth its trouble where no model of a few numbers fits; this lesson does not show it. *The toy leaves out*
# noise on what is measured, delays, friction that differs, and that a real motor's sign is looked up once.
# (O'Connell et al. 2022 fly a drone in strong wind in this way: features that all winds share, learned from
# twelve minutes of flight, and linear coefficients fitted as it flies.)

# %% [markdown]
# ## 5. Which method, then? (5 minutes)
#
# Five questions, in this order; each end names what in this course was measured for it. **Try** your own
# problem.

# %%
tree.decision_tree()

# %% [markdown]
# The tree is ours, made of four toys and of lesson 08. Take it as a list of what to *try first*, and
# measure.
#
# ## 6. Quiz (5 minutes)

# %%
lesson.quiz()

# %% [markdown]
# ## Summary
#
# - In all four worlds the state does not show the task, and a few samples do. What differs is what an
#   expert can write down.
# - *Games*: a memory learns to search and to return. A program of ten lines does it as well, without
#   training, and looks where nothing ever lay.
# - *Medicine*: what helps is to doubt: Bayes' rule does so by itself, and doses best; networks with one
#   tuned number come within about a hundredth of it.
# - *Driving*: lines, pulled to the average of other cars, decide better than MAML and than a context
#   network with as many updates; one with ten times as many cannot be told apart from them.
# - *Robots*: a learned prior, mean and covariance of other robots' models, balances every robot from one
#   step, and so does a search with the simulator; MAML and ridge balance nearly all.
# - Split by tasks, compare by pairs, ask for the expert's first idea, and look at the median *and* the
#   mean.
#
# ## What could go wrong
#
# - *The test is too good*: was the patient, the car or the robot in training? Is a seed shared?
# - *The error is small and the decisions are bad*: was it tuned for the error alone?
# - *Fine-tuning looks hopeless*: did it get its own rate and number of steps?
# - *The winner is not in the table*: what would somebody from the field have tried first?
# - *A few samples do not help*: are they different from each other?
#
# ## Further reading
#
# - Adaptive Agent Team, "Human-Timescale Adaptation in an Open-Ended Task Space", ICML 2023,
#   arXiv:2301.07608.
# - S. Kapoor, A. Narayanan, "Leakage and the reproducibility crisis in machine-learning-based science",
#   Patterns 4(9), 2023, doi:10.1016/j.patter.2023.100804.
# - L. B. Sheiner, S. L. Beal, "Bayesian Individualization of Pharmacokinetics: Simple Implementation and
#   Comparison with Non-Bayesian Methods", Journal of Pharmaceutical Sciences 71, 1982.
# - A. S. Darwich et al., "Why Has Model-Informed Precision Dosing Not Yet Become Common Clinical Reality?
#   Lessons From the Past and a Roadmap for the Future", Clinical Pharmacology & Therapeutics 101, 2017.
# - N. A. Spielberg, M. Brown, N. R. Kapania, J. C. Kegelman, J. C. Gerdes, "Neural network vehicle models
#   for high-performance automated driving", Science Robotics 4(28), 2019.
# - M. O'Connell, G. Shi, X. Shi, K. Azizzadenesheli, A. Anandkumar, Y. Yue, S.-J. Chung, "Neural-Fly
#   enables rapid learning for agile flight in strong winds", Science Robotics 7(66), 2022,
#   arXiv:2205.06908.
# - Grant, Finn, Levine, Darrell, Griffiths, "Recasting Gradient-Based Meta-Learning as
#   Hierarchical Bayes", ICLR 2018, arXiv:1801.08930.
# - E. Leurent, "An Environment for Autonomous Driving Decision-Making" (highway-env), 2018.
# - E. Todorov, T. Erez, Y. Tassa, "MuJoCo: A physics engine for model-based control", IROS 2012.

# %%
lesson.progress()
