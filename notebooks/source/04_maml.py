# %% [markdown]
# # 04 · MAML: the objective and its update rule
#
# **You will be able to**
#
# - write down what MAML minimizes, and say what depends on what;
# - derive its update rule, check it in three independent ways, and write it in ten lines of PyTorch, for any
#   module;
# - say what *first-order* MAML leaves out, and show a setting where that turns the step around;
# - recognize three misreadings of MAML, and settle each with one cell (two more at home).
#
# **Time**: 50 minutes: 28 of reading and running, 18 of exercises, 4 for the quiz. Section 9 is for at home:
# about half an hour, with an exercise of the level *research*.
#
# **You need**: Python, PyTorch (tensors, `nn.Linear`, an optimizer), gradient descent, and the chain rule; at
# home also matrices and expectations. No reinforcement learning yet.

# %% tags=["nbval-ignore-output"]
from mlearn_utils import course

lesson = course.start("04")

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import mse_loss

from mlearn_utils import LinearTasks, MetaLearner, TaskBatch
from mlearn_utils.course.lesson_04 import pictures, quadratics
from mlearn_utils.meta import maml
from mlearn_utils.runtime import make_generator

# %% [markdown]
# ## 1. What is a task? (3 minutes)
#
# Ordinary learning has one function to find. Meta-learning has a **distribution over tasks**
# $p(\mathcal{T})$, and each task $i$ drawn from it brings its own function to find. Of each task we see few
# points, in two sets drawn independently of each other:
#
# - the **support set**, on which we adapt to the task;
# - the **query set**, on which the adapted model is judged.
#
# The family below draws straight lines: each task has its own slope and intercept.

# %%
lines = LinearTasks(slope=(0.5, 2.5), intercept=(-1.0, 1.0))
tasks = lines.sample(n_tasks=3, n_support=5, n_query=5, generator=make_generator(3))
(x_support, y_support), (x_query, y_query) = tasks
slope, intercept = lines.sample_functions(3, generator=make_generator(3))  # the same three, as functions

fig, ax = plt.subplots()
for i, marker in enumerate("osD"):
    color = course.PALETTE[i]
    ax.plot([-2, 2], [intercept[i] - 2 * slope[i], intercept[i] + 2 * slope[i]], color=color, linewidth=0.8)
    ax.plot(x_support[i], y_support[i], marker, color=color, linestyle="", label=f"task {i}: support")
    ax.plot(x_query[i], y_query[i], marker, mfc="white", color=color, linestyle="", label=f"task {i}: query")
ax.set(xlabel="x", ylabel="y", ylim=(-5, 7), title="Three tasks of one family")
# alt: Three straight lines, each with a slope and intercept of its own: three tasks of one family. On each
# alt: lie five filled support points and five hollow query points.
ax.legend(fontsize=8, ncols=3, loc="upper left")
print("x of the support sets has shape [task, example, feature] =", list(x_support.shape))

# %% [markdown]
# Filled points are for adapting, hollow ones for judging. Every tensor of the course has the **task axis
# first**.
#
# **MAML** (model-agnostic meta-learning, Finn, Abbeel and Levine 2017) asks: *from which parameters
# $\theta$ do a few gradient steps on a task's support set lead to a small loss on its query set, on average
# over tasks?* With one step of size $\alpha$ (the **inner learning rate**) it minimizes
#
# $$J(\theta) = \frac1T \sum_{i=1}^{T} L_i^{\text{query}}\bigl(\theta_i'\bigr), \qquad
# \theta_i' = \theta - \alpha\, \nabla L_i^{\text{support}}(\theta) .$$
#
# $J$ is the **meta-objective**. The step to $\theta_i'$ is the **inner step**; it happens within task $i$. A
# step on $\theta$ itself is an **outer step** (or meta-update); it looks at all tasks, and has a step size of
# its own, `meta_lr` in the code. Note that $\theta_i'$ is a *function of* $\theta$.

# %% [markdown]
# ## 2. A world small enough to solve (5 minutes)
#
# To see everything, shrink the model to one number $\theta$ and every loss to a parabola. Task $i$ has a
# curvature $a_i$; its support loss is lowest at $s_i$, its query loss at $q_i$, close by but not equal, as
# with real samples:
#
# $$L_i^{\text{support}}(\theta) = \tfrac{a_i}{2}(\theta - s_i)^2, \qquad
# L_i^{\text{query}}(\theta) = \tfrac{a_i}{2}(\theta - q_i)^2 .$$

# %%
toy = quadratics.TASKS
for name, bend, here, there in zip(pictures.NAMES, *toy, strict=True):
    print(f"{name:7} task: curvature a = {bend}, support center s = {here:4}, query center q = {there:4}")
print(f"without adaptation the mean query loss is lowest at theta = {quadratics.joint_start(toy):.4g}")

# %% [markdown]
# The gentle task wants $\theta$ far left, the steep one far right. Without adaptation the compromise sits
# at 1.1: the steep task pulls hardest, because a steep loss punishes distance most.

# %%
pictures.predict_best_start()

# %% [markdown]
# One inner step in closed form: the slope of the support loss is $a_i(\theta - s_i)$, so
#
# $$\theta_i' = \theta - \alpha a_i (\theta - s_i) = s_i + (1 - \alpha a_i)(\theta - s_i).$$
#
# The step multiplies the distance to $s_i$ by $\rho_i = 1 - \alpha a_i$, the part that is left.

# %%
theta, alpha = 1.1, 0.3
a, s, q = toy
adapted = theta - alpha * a * (theta - s)
rho = 1 - alpha * a
assert np.allclose(adapted, s + rho * (theta - s))
print("adapted points:", adapted.round(3), " part of the distance that is left:", rho.round(3))

# %% [markdown]
# ### Play with it
#
# Drag $\theta$ in either picture, or use the sliders. Left: each task walks from $\theta$. The curves are
# the query losses; the steps follow the *support* losses, whose lowest points are the ticks below. Right:
# the meta-objective $J$, the mean height of the three end points, with its exact gradient and the
# *first-order* one, which section 5 explains (of both, "best start" and "first order stops" mark where they
# are zero). $K$ is the number of inner steps. **Try**: 0 steps; then 1 step with $\alpha$ from 0 to 0.38;
# then $\alpha = 0.8$, where the steep task jumps over its center.

# %%
landscape = pictures.landscape_explorer()
landscape

# %% [markdown]
# With one step and $\alpha$ growing to 0.38, the curve gets lower, and its lowest point moves left. There
# three things happen, close to each other but not at once:

# %%
rates = np.linspace(0, 0.6, 601)
starts = np.array([quadratics.best_start(toy, rate, 1) for rate in rates])
heights = [quadratics.meta_objective(start, toy, rate, 1) for start, rate in zip(starts, rates, strict=True)]
lowest, turn, overshoot = rates[np.argmin(heights)], rates[starts.argmin()], 1 / a.max()
print(f"J at the best start is smallest at alpha = {lowest:.3f}")
print(f"the best start is furthest left at alpha = {turn:.3f}")
print(f"the steep task overshoots beyond   alpha = {overshoot:.3f}")
assert lowest < turn < overshoot
assert (np.diff(starts[starts.argmin() :]) > 0).all()  # from there on it moves right again

# %% [markdown]
# At $\alpha = 0.4$ one step takes the steep task to its support center from *any* start, so where $\theta$ is
# makes no difference to it. At a small $\alpha$ it still matters almost as much as without a step, and the
# best start is only a little further left than 1.1. (That the other two come a little before 0.4, and in this
# order, lies in the numbers of these three tasks.)

# %% [markdown]
# ## 3. The inner step in PyTorch (2 minutes)
#
# `torch.autograd.grad(value, theta)` returns the gradient of a scalar with respect to a tensor. By default
# it then throws away how that gradient was computed, and the result is a mere number. But $\theta_i'$ must
# stay a *function of* $\theta$, gradient included, or we cannot differentiate $J$. The option
# `create_graph=True` keeps the way, so that the gradient can be differentiated once more:

# %%
x = torch.tensor(2.0, requires_grad=True)
(plain,) = torch.autograd.grad(x**3, x)
(slope,) = torch.autograd.grad(x**3, x, create_graph=True)
(curvature,) = torch.autograd.grad(slope, x)
print(f"slope of x^3 at 2: {slope:.0f}, its own derivative: {curvature:.0f}")
print(f"still a function of x? by default {plain.requires_grad}, with create_graph {slope.requires_grad}")
assert slope == plain == 12 and curvature == 12

# %% [markdown]
# **Exercise `inner_step`** (core, 4 minutes). `loss(theta, support)` is a scalar tensor. Return $\theta'$
# so that it can be differentiated with respect to $\theta$.

# %% exercise="inner_step"

# %%
lesson.check(inner_step)

# %% [markdown]
# `lesson.hint("inner_step")` gives one hint at a time, `lesson.solution("inner_step")` one way to write it.
# The following cells never use your function, so you can go on whether or not it is done.

# %% [markdown]
# ## 4. The meta-gradient, checked three ways (8 minutes)
#
# By the chain rule, $\frac{dJ}{d\theta}$ multiplies each task's query gradient, taken at $\theta_i'$, by
# $\frac{d\theta_i'}{d\theta}$. On our parabolas that derivative is $\rho_i = 1 - \alpha a_i$. In many
# dimensions the curvature becomes the **Hessian** $H_i$, the matrix of second derivatives of the support
# loss, and 1 becomes $I$, the identity matrix:
#
# $$\nabla J(\theta) = \frac1T \sum_i \bigl(I - \alpha H_i\bigr)\, \nabla L_i^{\text{query}}(\theta_i') .$$
#
# That is why MAML is called a **second-order** method: a second derivative is in its gradient. Three
# independent computations must agree. *First, the closed form*, at $\theta = 0.1$:

# %%
theta, alpha = 0.1, 0.3
adapted = s + (1 - alpha * a) * (theta - s)
closed_form = ((1 - alpha * a) * a * (adapted - q)).mean()
print(f"closed form          {closed_form:.8f}")

# %% [markdown]
# *Second, finite differences*: move $\theta$ a little to both sides and look at $J$ alone. No outer
# derivative is programmed, so none can be wrong. (To both sides: the **central difference**
# $(J(\theta + h) - J(\theta - h)) / 2h$. In float64 its error at $h = 10^{-5}$ is tiny.)

# %%


def objective(theta):
    """J(theta) for one inner step, from the definition."""
    adapted = theta - alpha * a * (theta - s)
    return (0.5 * a * (adapted - q) ** 2).mean()


h = 1e-5
finite_difference = (objective(theta + h) - objective(theta - h)) / (2 * h)
print(f"finite differences   {finite_difference:.8f}")

# %% [markdown]
# *Third, automatic differentiation through the inner step*, with `create_graph=True`.

# %%
a_, s_, q_ = (torch.as_tensor(values) for values in toy)
theta_ = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
support_losses = 0.5 * a_ * (theta_ - s_) ** 2
slopes = [torch.autograd.grad(loss, theta_, create_graph=True)[0] for loss in support_losses]
adapted_ = theta_ - alpha * torch.stack(slopes)
J = (0.5 * a_ * (adapted_ - q_) ** 2).mean()
(by_autograd,) = torch.autograd.grad(J, theta_)
print(f"autograd             {by_autograd:.8f}")
assert abs(by_autograd.item() - closed_form) < 1e-12
assert abs(finite_difference - closed_form) < 1e-8

# %% [markdown]
# All three agree. **Exercise `meta_gradient`** (core, 8 minutes). Now for any loss, and for a list of
# tasks, each a pair `(support, query)`: return the gradient of the mean query loss after one inner step.

# %% exercise="meta_gradient"

# %%
lesson.check(meta_gradient)

# %% [markdown]
# The package's version does the same for any network, in one vectorized pass over all tasks. Its tasks are
# a `TaskBatch(support, query)` of tensors with the task axis first, its parameters a dict, and its loss
# speaks of *one* task only:


# %%
def parabola(params, batch):
    """The loss of ONE task: its parameters and its data -> a scalar."""
    curvature, center = batch
    return 0.5 * curvature * (params["theta"] - center) ** 2


toy_batch = TaskBatch(support=(a_, s_), query=(a_, q_))
value, gradient = maml.meta_gradient(parabola, {"theta": theta_}, toy_batch, inner_lr=alpha)
print(f"package              {gradient['theta']:.8f}")
assert abs(gradient["theta"].item() - closed_form) < 1e-12

# %% [markdown]
# Walk through one meta-update on the parabolas, moment by moment:

# %%
course.Stepper(
    pictures.walk(theta=1.1, inner_lr=0.3, meta_lr=1.0),
    count=8,
    alt="Query losses of three tasks; each task steps from a common theta, then theta itself steps.",
    name="one-meta-update",
)

# %% [markdown]
# ### Any module, in plain PyTorch
#
# A module holds its parameters inside, and copying $\theta_i'$ into it would cut the record of how
# $\theta_i'$ was computed from $\theta$.
# `torch.func.functional_call(module, params, inputs)` calls a module *with parameters that are given as an
# argument*, a dict by name, and leaves the module's own alone. So the module becomes a function of its
# parameters:

# %%
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
params = dict(net.named_parameters())
doubled = {name: 2 * value for name, value in params.items()}
x = x_support[0]
assert torch.equal(functional_call(net, params, (x,)), net(x))
assert not torch.allclose(functional_call(net, doubled, (x,)), net(x))
print("the parameters:", ", ".join(f"{name} {list(value.shape)}" for name, value in params.items()))

# %% [markdown]
# With it MAML on a network is what you wrote above, with a dict in place of $\theta$:

# %%


def net_loss(params, batch):
    """The loss of ONE task, as a function of the parameters."""
    x, y = batch
    return mse_loss(functional_call(net, params, (x,)), y)


def net_step(params, batch, inner_lr):
    """One inner step on every parameter, as a function of `params`."""
    slopes = torch.autograd.grad(net_loss(params, batch), list(params.values()), create_graph=True)
    return {name: params[name] - inner_lr * slope for name, slope in zip(params, slopes, strict=True)}


losses = []
for i in range(3):  # the lines of section 1
    adapted = net_step(params, (x_support[i], y_support[i]), inner_lr=0.1)
    losses.append(net_loss(adapted, (x_query[i], y_query[i])))
J = torch.stack(losses).mean()
by_hand = torch.autograd.grad(J, list(params.values()))

package_loss = maml.module_loss(net, mse_loss)  # the package's version of net_loss
value, by_package = maml.meta_gradient(package_loss, params, tasks, inner_lr=0.1)
print(f"J by hand {J:.4f}, by the package {value:.4f}")
for mine, its in zip(by_hand, by_package.values(), strict=True):
    assert torch.allclose(mine, its, rtol=1e-4, atol=1e-5)

# %% [markdown]
# The gradients agree as well. An outer step needs no trick: write each gradient into its parameter's `.grad`
# and call an optimizer. The package's `MetaLearner(module)` does just that; lesson 05 trains with it.

# %% [markdown]
# ## 5. Several steps, and the first-order shortcut (3 minutes)
#
# With $K$ inner steps, write $\theta_i^0 = \theta$ and
# $\theta_i^{k+1} = \theta_i^k - \alpha \nabla L_i^{\text{support}} (\theta_i^k)$. Mind the two indices: $i$
# counts tasks, $k$ counts steps. The chain rule now multiplies over steps:
#
# $$\nabla J(\theta) = \frac1T \sum_i \; \prod_{k=0}^{K-1}\bigl(I - \alpha H_i^k\bigr) \;
# \nabla L_i^{\text{query}}(\theta_i^K), \qquad H_i^k = \nabla^2 L_i^{\text{support}}(\theta_i^k).$$
#
# (Matrices do not commute: the first step's factor stands on the left.) On parabolas the product is
# $\rho_i = (1 - \alpha a_i)^K$. **First-order MAML** (FOMAML) saves the second derivatives by setting every
# $H_i^k$ to zero, so $\rho_i$ to 1.

# %%
print("steps   exact: autograd  closed form    first order: autograd  closed form")
for steps in range(1, 6):
    found = []
    for first_order in (False, True):
        settings = {"inner_lr": alpha, "steps": steps, "first_order": first_order}
        found.append(
            maml.meta_gradient(parabola, {"theta": theta_}, toy_batch, **settings)[1]["theta"].item()
        )
    exact = quadratics.meta_slope(theta, toy, alpha, steps)
    first = quadratics.first_order_slope(theta, toy, alpha, steps)
    print(f"{steps:5} {found[0]:16.4f} {exact:12.4f} {found[1]:24.4f} {first:12.4f}")
    assert np.allclose(found, [exact, first], atol=1e-12)

# %% [markdown]
# Look at the first row: the exact gradient is positive, the first-order one negative. Outer descent would
# move $\theta$ left with one and right with the other.
#
# **Exercise `adapted_query_loss`** (core, 3 minutes, *find the bug*). The function below returns the right
# loss. Yet MAML trained with it is silently first order. Run the check, find the line, mend it.

# %% exercise="adapted_query_loss"

# %%
lesson.check(adapted_query_loss)

# %% [markdown]
# Nothing crashes, the loss falls, and the method is another one than the text says. No look at the loss
# finds this bug; only a test of the *derivative* does. Whether it matters depends on the tasks, as the next
# section shows.

# %% [markdown]
# ## 6. Where first order walks the wrong way (2 minutes)
#
# Descent with the exact gradient ends at the best start. First-order descent ends where *its* gradient is
# zero:

# %%
alphas = np.linspace(0.0, 0.38, 39)
fig, ax = plt.subplots()
ax.plot(alphas, [quadratics.best_start(toy, rate, 1) for rate in alphas], label="exact: best start")
ax.plot(
    alphas, [quadratics.first_order_start(toy, rate, 1) for rate in alphas], label="first order stops here"
)
ax.axhline(
    quadratics.joint_start(toy), color=course.COLORS["muted"], linestyle=":", label="without adaptation"
)
ax.set(xlabel="inner learning rate α", ylabel="θ", title="Where outer descent ends (one inner step)")
ax.legend()
# alt: Where outer descent ends, over the inner learning rate. The exact best start and the point where
# alt: first order stops begin together at the start without adaptation. Both fall, first order stays
# alt: above, and they meet where the picture ends.
plt.show()

# %% [markdown]
# Between the two lines the two gradients have different signs. There no step overshoots ($\alpha a_i < 1$
# for every task), and still first order walks away from the best start. Its fault: moving $\theta$ by 1
# moves the steep task's $\theta_i'$ by $\rho_i$ only, but first order counts the task in full. (Near
# where the picture ends the lines cross: there the two happen to agree, and beyond they differ again.)
#
# **Exercise `disagreement`** (explore, 3 minutes). We saw one such point, at $\theta = 0.1$ and
# $\alpha = 0.3$. Find one with a *small* step, $\alpha \le 0.2$. The explorer of section 2 helps.

# %% exercise="disagreement"

# %%
lesson.check(disagreement)

# %% [markdown]
# ## 7. Three misreadings, each settled by a cell (5 minutes)
#
# **"MAML minimizes $\sum_i L_i(\theta_i)$."** As written, this says nothing of how $\theta_i$ depends on
# $\theta$. Then $T$ separate models, one a task, minimize it, and the common start does not matter at all:

# %%
# theta_1, theta_2, theta_3, free of each other:
separate = torch.zeros(3, dtype=torch.float64, requires_grad=True)
optimizer = torch.optim.SGD([separate], lr=0.3)
for _ in range(200):
    optimizer.zero_grad()
    (0.5 * a_ * (separate - q_) ** 2).sum().backward()
    optimizer.step()
total = (0.5 * a_ * (separate - q_) ** 2).sum()
(by_theta,) = torch.autograd.grad(total, theta_, allow_unused=True)
print(f"sum of losses {total:.4f}, and its derivative by the common theta is {by_theta}")
assert total < 1e-8 and by_theta is None

# %% [markdown]
# The loss is zero and nothing was learned about a next task. The whole of MAML is in
# $\theta_i' = \theta - \alpha \nabla L_i(\theta)$.
#
# **"$\theta_{i+1} = \theta_i - \alpha \nabla L_i(\theta_i)$, for tasks $i = 1, 2, \dots$"** Here one index
# does the work of two. This is **fine-tuning** (training on, from parameters that were learned on something
# else) on one task after the other: the third task starts where the second ended, and the result depends on
# their order.

# %%


def one_after_the_other(order, theta=1.1, alpha=0.3):
    """Step on each task from where the task before it ended."""
    for i in order:
        theta = theta - alpha * a[i] * (theta - s[i])
    return theta


print(f"gentle, medium, steep: {one_after_the_other([0, 1, 2]):.3f}")
print(f"steep, medium, gentle: {one_after_the_other([2, 1, 0]):.3f}")
print("MAML, each from 1.1:  ", quadratics.adapted_points(1.1, toy, 0.3, 1).round(3))
assert abs(one_after_the_other([0, 1, 2]) - one_after_the_other([2, 1, 0])) > 0.5

# %% [markdown]
# **"Average the inner losses over the batch of tasks."** One backward pass can serve all tasks, because
# task $j$'s loss does not depend on task $i$'s parameters. But then the losses must be *summed*: a mean
# divides every inner step by the number of tasks.

# %%
thetas = torch.full((3,), 1.1, dtype=torch.float64, requires_grad=True)  # one copy of theta for each task
support_losses = 0.5 * a_ * (thetas - s_) ** 2
from_sum = 1.1 - 0.3 * torch.autograd.grad(support_losses.sum(), thetas, retain_graph=True)[0]
from_mean = 1.1 - 0.3 * torch.autograd.grad(support_losses.mean(), thetas)[0]
package = maml.adapt(parabola, {"theta": torch.tensor(1.1).double()}, (a_, s_), inner_lr=0.3)["theta"]
print("summed:  ", from_sum.numpy().round(3))
print("averaged:", from_mean.numpy().round(3), "(every step is a third)")
assert torch.allclose(package, from_sum)
assert torch.allclose(from_mean - 1.1, (from_sum - 1.1) / 3)

# %% [markdown]
# ## 8. Quiz (4 minutes)

# %%
lesson.quiz()

# %% [markdown]
# ## 9. At home: the best start, lines on paper, two more misreadings
#
# Three things for about half an hour. Nothing that follows in the course needs them.
#
# **Exercise `best_start`** (research, 12 minutes, at home). Set $\nabla J$ to zero and solve for $\theta$,
# for any number of steps.

# %% exercise="best_start"

# %%
lesson.check(best_start)

# %% [markdown]
# ### Lines: the package against pencil and paper (about 13 minutes)
#
# Back to the lines of section 1, with `nn.Linear(1, 1)` and the package's `MetaLearner`. Its inner loop is
# `inner_step` and nothing else; its outer steps are those of Adam, an optimizer whose step on a parameter is
# about as long as its step size, `meta_lr`, while the gradient keeps its sign. In `train`, `epochs` counts
# meta-updates, `inner_batch_size` the support examples of a task, and `outer_batch_size` the tasks of one
# meta-update.

# %%
torch.manual_seed(0)
learner = MetaLearner(nn.Linear(1, 1), inner_lr=0.01, meta_lr=0.001, device=lesson.device)
before = learner.model.weight.item()
history = learner.train(lines, epochs=200, inner_batch_size=5, outer_batch_size=10, progress=False)
losses = np.array([entry["query_loss"] for entry in history])
print(f"mean query loss: first 50 updates {losses[:50].mean():.2f}, last 50 {losses[-50:].mean():.2f}")
after = learner.model.weight.item()
print(f"slope of the line: before {before:.2f}, after {after:.2f}")
assert abs(after - before) < 0.3

# %% [markdown]
# The loss falls slowly, and no wonder: 200 steps of about 0.001 come to 0.2, and the best slope is 1.5, as we
# shall see. Below we come back with larger rates. First, how low can the loss get?
#
# Here too everything can be computed. (You may take the result on trust and go on at the next cell.) Let
# $\varphi$ be a task's (slope, intercept), $z = (x, 1)$ with $x$ uniform in $(-2, 2)$, and
# $S = \mathbb{E}[zz^\top]$, where $^\top$ transposes. On $n$ support points $z_1, \dots, z_n$ the support
# loss has the Hessian $H = \frac2n \sum_j z_j z_j^\top$, which depends on the points but not on the task. One
# inner step gives $\theta' - \varphi = (I - \alpha H)(\theta - \varphi)$, and the query loss is
# $(\theta' - \varphi)^\top S\,(\theta' - \varphi)$ on average.
#
# Multiply out, with $\mathbb{E}[H] = 2S$:
#
# $$J(\theta) = \mathbb{E}\bigl[(\theta - \varphi)^\top M (\theta - \varphi)\bigr], \qquad
# M = S - 4\alpha S^2 + \alpha^2\, \mathbb{E}[H S H],$$
#
# $$\mathbb{E}[HSH] = \tfrac{4}{n^2}\Bigl(n\, \mathbb{E}\bigl[(z^\top S z)\, zz^\top\bigr]
# + n(n-1)\, S^3\Bigr).$$
#
# (The product $HSH$ is a double sum over points: $n$ terms hold the same point twice, the other $n(n-1)$
# hold two independent ones.) Since $M$ does not depend on the task, the best start is the mean task
# $\mathbb{E}[\varphi] = (1.5, 0)$, and there $J$ is $M$ weighted by the variances of slope and intercept.

# %%
second, fourth = 2.0**2 / 3, 2.0**4 / 5  # E[x^2] and E[x^4] of x uniform in (-2, 2)
S = np.diag([second, 1.0])
# E[(z^T S z) z z^T], where z^T S z = E[x^2] x^2 + 1:
zSz = np.diag([second * fourth + second, second * second + 1.0])
variance = np.array([2.0**2 / 12, 2.0**2 / 12])  # of slope and of intercept


def best_possible(alpha, n):
    """The smallest J there is, at the mean task, for one inner step on n support points."""
    HSH = 4 / n**2 * (n * zSz + n * (n - 1) * S @ S @ S)
    M = S - 4 * alpha * S @ S + alpha**2 * HSH
    return np.diag(M) @ variance


print(f"alpha = 0.01, n = 5: no start has a smaller mean query loss than {best_possible(0.01, 5):.2f}")

# %% tags=["slide-hide-input"]
start = {"weight": torch.tensor([[1.5]]), "bias": torch.tensor([0.0])}
line_loss = maml.module_loss(nn.Linear(1, 1), mse_loss)
rates = np.linspace(0, 0.5, 51)
fig, ax = plt.subplots()
for n, color, marker, size in zip((2, 5, 20), course.PALETTE, "osD", (10, 7, 4), strict=False):
    fresh = lines.sample(4000, n, 20, generator=make_generator(n))
    ax.plot(rates, [best_possible(rate, n) for rate in rates], color=color, label=f"n = {n}")
    for rate in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
        measured = maml.query_losses(line_loss, start, fresh, inner_lr=rate).mean()
        ax.plot(rate, measured, marker, color=color, markersize=size)
        assert abs(measured / best_possible(rate, n) - 1) < 0.1
ax.set(
    xlabel="inner learning rate α", ylabel="query loss", ylim=(0, 1.2), title="What one inner step is worth"
)
ax.legend()
# alt: Query loss after one inner step over the inner learning rate, for 2, 5 and 20 support points. Each
# alt: curve falls, then rises again; with 2 points and a rate of 0.5 the step is worse than none. The
# alt: measured marks lie on the computed lines.
plt.show()

# %% [markdown]
# Lines: pencil and paper. Marks: the package on 4000 fresh tasks. One step helps up to a point. On two
# support points a large step follows their accidents: at $\alpha = 0.5$ it is worse than none. Does
# training find the best start? Five seeds, each from the parameters $(0, 0)$, which are 1.5 away from it.
# (Calls of `train` with the same seed go on in its stream of tasks, where the last one stopped.)

# %%
n_seeds, n_updates, stride = 5, 400, 20
updates = np.arange(0, n_updates + 1, stride)
distance = np.empty((n_seeds, len(updates)))
for seed in range(n_seeds):
    learner = MetaLearner(nn.Linear(1, 1), inner_lr=0.1, meta_lr=0.01, device=lesson.device)
    for param in learner.model.parameters():
        nn.init.zeros_(param)
    for k in range(len(updates)):
        weight, bias = (param.item() for param in learner.model.parameters())
        distance[seed, k] = np.hypot(weight - 1.5, bias)
        learner.train(
            lines, epochs=stride, inner_batch_size=5, outer_batch_size=10, seed=seed, progress=False
        )

# %%
fig, ax = plt.subplots()
course.band(ax, updates, distance, label=f"mean of {n_seeds} seeds, 95 % interval")
ax.set(xlabel="meta-updates", ylabel="distance to (1.5, 0)", ylim=(0, None), title="Towards the closed form")
ax.legend()
# alt: Distance to the closed-form best start over 400 meta-updates, mean of five seeds. It falls smoothly
# alt: from 1.5 to nearly 0, and the interval is so narrow that it can hardly be seen.
plt.show()
assert distance[:, 0].min() == 1.5 and distance[:, -1].max() < 0.15
print(f"all {n_seeds} seeds end within 0.15 of the closed-form start")

# %% [markdown]
# It does, up to the noise of drawing only 10 tasks an update, and the five seeds hardly differ. And a sober
# remark: for lines the best start is the *average* task, which needs no MAML. Meta-learning earns its keep
# where tasks differ in curvature, as in section 2, or where a network can share features between tasks, which
# is the subject of lesson 05.

# %% [markdown]
# ### Two more misreadings (about 5 minutes)
#
# **"Use the same data for support and query."** Then adapting harder always looks better: it fits those
# very points. With noise (a deviation of 0.7 is added to each $y$) and two support points, 50 steps look
# best on the support set. On fresh points they are worse than none:

# %%
noisy = LinearTasks(slope=(0.5, 2.5), intercept=(-1, 1), noise=0.7)
fresh = noisy.sample(2000, n_support=2, n_query=20, generator=make_generator(0))
judged_on_support = TaskBatch(support=fresh.support, query=fresh.support)
losses = {}
for steps in (0, 1, 5, 50):
    same, new = (
        maml.query_losses(line_loss, start, batch, inner_lr=0.1, steps=steps).mean().item()
        for batch in (judged_on_support, fresh)
    )
    losses[steps] = same, new
    print(f"{steps:2} steps: loss on the support set {same:.3f}, on fresh query points {new:.3f}")
assert losses[50][0] < losses[5][0] < losses[1][0] and losses[50][1] > losses[0][1]

# %% [markdown]
# So the same data spoil the choice of $\alpha$ and of the number of steps. Do they spoil the *start* as well?
# Not on these lines. There the mean task is best for either objective, as the derivatives by the slope show:

# %%
zero = {name: torch.zeros_like(value) for name, value in start.items()}
for name, batch in {"same data ": judged_on_support, "fresh data": fresh}.items():
    at_mean, at_zero = (
        maml.meta_gradient(line_loss, theta, batch, inner_lr=0.1)[1]["weight"].item()
        for theta in (start, zero)
    )
    print(f"{name}: dJ/dslope at the mean task {at_mean:5.2f}, at slope 0 {at_zero:5.2f}")
    assert abs(at_mean) < 0.05 * abs(at_zero)  # not exactly 0 on 2000 tasks

# %% [markdown]
# **"Use `torch.optim.Adam` (or SGD) for the inner step."** *By default* an optimizer takes only *leaf*
# tensors, those that were not computed from others, and its `step()` writes new numbers into them without
# recording how. Then $\theta'$ is no function of $\theta$:

# %%
theta_0 = torch.tensor(1.1, requires_grad=True)
try:
    torch.optim.Adam([1.0 * theta_0], lr=0.1)  # computed from theta_0
except ValueError as error:
    print("refused:", error)
theta_1 = theta_0.detach().clone().requires_grad_()  # so it must be a copy
inner_optimizer = torch.optim.Adam([theta_1], lr=0.1)
(theta_1 - 2.0).square().backward()
inner_optimizer.step()
(theta_1 - 1.9).square().backward()  # the query loss
print(f"moved from {theta_0:.2f} to {theta_1:.2f}; history of the result: {theta_1.grad_fn}")
print(f"gradient at the start: {theta_0.grad}")
assert theta_1.grad_fn is None and theta_0.grad is None

# %% [markdown]
# There is an option for this, too, `differentiable=True`, with which a step *is* recorded, and it takes
# what was computed from $\theta$. With SGD it is the inner step that you wrote:

# %%
inner = (1.0 * theta_0).requires_grad_()  # computed from theta_0
optimizer = torch.optim.SGD([inner], lr=0.1, differentiable=True)
(inner.grad,) = torch.autograd.grad((inner - 2.0).square(), inner, create_graph=True)
optimizer.step()
(through_sgd,) = torch.autograd.grad((inner - 1.9).square(), theta_0)
print(f"gradient at the start: {through_sgd:.4f}, by hand {0.8 * 2 * (1.1 - 0.2 * (1.1 - 2.0) - 1.9):.4f}")
assert abs(through_sgd.item() - 0.8 * 2 * (1.1 - 0.2 * (1.1 - 2.0) - 1.9)) < 1e-5

# %% [markdown]
# With Adam, mind where its small $\varepsilon$ stands. Its first step is $g / \sqrt{g^2}$. At a coordinate
# with $g = 0$ the square root has an infinite slope, and the outer gradient becomes NaN unless $\varepsilon$
# stands under the root:

# %%
for name, step in {
    "g / (sqrt(g^2) + 1e-8)": lambda g: g / (g.square().sqrt() + 1e-8),
    "g / sqrt(g^2 + 1e-8)  ": lambda g: g / (g.square() + 1e-8).sqrt(),
    "g / sqrt(g^2 + 1e-2)  ": lambda g: g / (g.square() + 1e-2).sqrt(),
}.items():
    g = torch.zeros((), requires_grad=True)
    (derivative,) = torch.autograd.grad(step(g), g)
    print(f"{name} has derivative {derivative:.0f} at g = 0")
assert derivative.isfinite()

# %% [markdown]
# Finite is not yet useful: the derivative is $1/\sqrt\varepsilon$, and a coordinate with the factor 10,000
# drowns the others in the outer gradient. With a larger $\varepsilon$ the factor is smaller.

# %% [markdown]
# ## Summary
#
# - A task brings a **support set** to adapt on and a **query set** to be judged on.
# - MAML minimizes the mean query loss *after* adaptation,
#   $J(\theta) = \frac1T\sum_i L_i^{\text{query}}(\theta_i^K)$, where every task starts from the same
#   $\theta$.
# - Its gradient multiplies each task's query gradient by $\prod_k (I - \alpha H_i^k)$. First-order MAML
#   replaces the product by $I$; it can point the other way even when no step overshoots.
# - Compared with the best parameters without adaptation, the best start moved toward the tasks that adapt
#   slowly. It is not the best model, nor in general the average one.
#
# ## What could go wrong
#
# - *The outer gradient is `None`*: an optimizer step, `.data` or `.detach()` cut the graph.
# - *Everything runs, but it is first order*: `create_graph=True` is missing. Compare one gradient with
#   finite differences in float64; it takes three lines.
# - *Nothing adapts*: the inner losses were averaged, so $\alpha$ was divided by the number of tasks.
# - *The loss explodes*: $\alpha$ times the largest curvature exceeds 2 for some task.
#
# ## Further reading
#
# - C. Finn, P. Abbeel, S. Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", ICML
#   2017, arXiv:1703.03400. The objective of section 2.2, a sum over tasks, is our $J$ but for the factor
#   $1/T$; section 5.2 is first-order MAML.
# - A. Nichol, J. Achiam, J. Schulman, "On First-Order Meta-Learning Algorithms", 2018, arXiv:1803.02999.
#   Expands exact and first-order gradients in $\alpha$.
# - A. Antoniou, H. Edwards, A. Storkey, "How to train your MAML", ICLR 2019, arXiv:1810.09502. What makes
#   several inner steps unstable, and remedies.

# %%
lesson.progress()
