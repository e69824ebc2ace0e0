# %% [markdown]
# # 10 · Scaling up
#
# **You will be able to**
#
# - say what batching over tasks buys, and why, from times that you measured yourself;
# - derive backpropagation through learning, and write the meta-gradient of a network in fifty lines without
#   autograd;
# - say what an inner step costs in memory, and trade memory for work;
# - split tasks over processes so that the result is that of one process, and start them;
# - predict from two measurements what more machines will bring, and when more tasks are no help.
#
# **Time**: two sessions of 50 minutes. First session (sections 1 to 5): 35 of reading and running, 15 of
# exercises. Second session (sections 6 to 11): 31 of reading and running, 14 of exercises, 5 for the quiz.
#
# **You need**: lessons 04 and 05 (MAML, its meta-gradient, the waves), matrices, the chain rule.

# %% tags=["nbval-ignore-output"]
from mlearn_utils import course

lesson = course.start("10")

# %%
import inspect
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from mlearn_utils import MetaLearner, SineTasks
from mlearn_utils.course.lesson_10 import paper, pictures, predictions, results, two_ranks, ways
from mlearn_utils.meta import maml
from mlearn_utils.runtime import make_generator

two_ranks.use_threads(1)  # torch and numpy: section 6 says why

# %% [markdown]
# # First session
#
# ## 1. Where does the time go? (8 minutes)
#
# One meta-update of lesson 05: 25 waves, 10 support and 10 query points each, a network with two hidden
# layers of 40 ReLU units, one inner step. The plain way goes through the waves **one after the other**:
# this is lesson 04's code with a loop around it.

# %%
model, tasks = two_ranks.network(width=40), two_ranks.sine_tasks(25)
print(inspect.getsource(ways.by_loop))

# %% [markdown]
# The other way is **batching over tasks**: all 25 waves go through each layer together, as one array with
# the task axis first. `torch.vmap` turns a loss that was written for one task into one for such a batch;
# that is what the package does with a loss of which it knows nothing else. The sums and products are the
# same, number by number. Is it faster, then?

# %%
predictions.predict_batching()

# %% [markdown]
# Measure it. The clock below counts the **processor time** of this process, which other programs hardly
# touch, and the two ways take turns, so that a slow moment hits both. (A ratio from two runs at different
# times compares two moments of the machine.)

# %% tags=["nbval-ignore-output"]
every_way = ways.package_ways(model, tasks)
times = ways.milliseconds({name: every_way[name] for name in ("loop", "vmap")})
for name, ms in times.items():
    print(f"{name:5} {np.median(ms):6.2f} ms an update (rounds from {min(ms):.2f} to {max(ms):.2f})")
gain = np.median(np.divide(times["loop"], times["vmap"]))
print(f"batching is {gain:.1f} times as fast")

# %%
assert gain > 2
print("batched, the same sums and products take less than half of the time")

# %% [markdown]
# The arithmetic is the same, so it cannot be the arithmetic. What else is there? Every operation on a
# tensor has a **fixed cost**: Python looks up what to call, PyTorch picks the code for this type and
# shape, reserves memory, and notes the operation for the gradient. Compare tensors of different size:

# %% tags=["nbval-ignore-output"]
per_number = {}
for size in (40, 400, 4_000, 40_000, 400_000):
    numbers = torch.ones(size)
    ms = ways.medians(ways.milliseconds({"add": lambda numbers=numbers: numbers + 1.0}, least=0.01))["add"]
    per_number[size] = 1e6 * ms / size
    print(f"{size:7,} numbers: {1000 * ms:8.2f} microseconds, that is {per_number[size]:6.2f} ns a number")

# %%
assert per_number[40] > 5 * per_number[40_000]
print("a number in a small tensor costs several times as much as in a large one")

# %% [markdown]
# A sum of 40 numbers costs nearly what a sum of 4,000 does: at this size one pays for the *call*. And how
# many calls are there?

# %%
operations = {name: ways.torch_operations(every_way[name]) for name in ("loop", "vmap")}
print(", ".join(f"{name}: {count:,} operations on tensors" for name, count in operations.items()))
assert operations["loop"] > 15 * operations["vmap"]

# %% [markdown]
# (Both ways, the inner gradients and the outer one included.) So batching pays where tensors are small, and
# it stops paying where the arithmetic itself fills the processor. See both:

# %%
pictures.times_explorer()

# %% [markdown]
# **Try** 1 task, then 400; then the width 256. (Stored: medians of nine rounds, three times over, on one
# core of a virtual machine with two, an Intel Xeon that was busy with other things as well;
# `data/lesson_10/make_times.py` makes them on yours. Your times differ. The lines *by hand* and *batched*
# are for sections 3 and 4.)
#
# With one task batching is a loss: it has a cost of its own. At width 40 the gain grows with the tasks. At
# width 256 each matrix product is so large that the calls hardly matter; 400 tasks at once even take longer
# than the loop:

# %%
for width, count in ((40, 1), (40, 25), (40, 400), (256, 25), (256, 400)):
    loop, vmap = (results.times(width, 1, count, way) for way in ("loop", "vmap"))
    print(f"width {width:3}, {count:3} tasks: vmap {loop / vmap:4.1f} times as fast as the loop")
for width in (40, 256):
    at_once, chunks = (results.times(width, 1, 400, way) for way in ("batched", "chunks"))
    print(f"400 tasks, width {width}: {at_once:.3g} ms at once, {chunks:.3g} ms by 25 tasks at a time")
assert results.times(40, 1, 1, "loop") < results.times(40, 1, 1, "vmap")
assert results.times(40, 1, 400, "loop") > 10 * results.times(40, 1, 400, "vmap")
assert results.times(256, 1, 400, "loop") < 1.5 * results.times(256, 1, 400, "vmap") and chunks < at_once

# %% [markdown]
# The last two lines (of the way *batched*, section 4): at width 256 400 sets of 66,561 weights, several
# of them in each step, are hundreds of megabytes that have to come from the main memory each time.
# Twenty-five at a time (`chunk_size=25`) are kinder to the memory. At width 40 they only make more calls,
# and cost more than twice the time.

# %% [markdown]
# ## 2. A Hessian times a vector (3 minutes)
#
# The meta-gradient after $K$ inner steps is (lesson 04; $K$ counts steps here, as there)
#
# $$\nabla J(\theta) = \frac1T \sum_{i=1}^{T} \; (I - \alpha H_i^0) (I - \alpha H_i^1) \cdots
# (I - \alpha H_i^{K-1}) \; \nabla L_i^{\text{query}}(\theta_i^K).$$
#
# The wave network has $P = 1761$ parameters, so each $H_i^k$ has three million entries, and there is one
# for each task and step. Nobody ever writes it down. Read from the right: the slope is a *vector*, and
# $(I - \alpha H)v = v - \alpha\,(Hv)$. So all that is needed is a **Hessian-vector product**, and this is
# the change of the gradient as $\theta$ moves along $v$ (Pearlmutter 1994):
#
# $$H v = \frac{d}{d\varepsilon}\, \nabla L(\theta + \varepsilon v) \Big|_{\varepsilon = 0}.$$
#
# A derivative in *one* direction: it costs a few gradients, whatever $P$ is.
#
# **Exercise `hessian_vector`** (core, 5 minutes). First for a model whose gradient you can write down:
# linear regression, with a *decay* that pulls every parameter towards 0.

# %% exercise="hessian_vector"

# %%
lesson.check(hessian_vector)

# %% [markdown]
# `lesson.hint("hessian_vector")` gives one hint at a time, `lesson.solution("hessian_vector")` one way to
# write it. The following cells never use your function.

# %% [markdown]
# ## 3. Backpropagation through learning, in fifty lines (15 minutes)
#
# Now the ReLU network, by hand: numpy, and no autograd. Four functions: forward, backward, the product
# $Hv$, and the walk.
#
# **Notation.** Layers count $l = 0, \dots, L$. What enters layer $l$ is $a_l$, an array [points, units],
# and $a_0$ is the data. To have no separate bias, every $a_l$ gets one more unit that is always 1, and
# $W_l$ one more row, the bias (and, but for the last layer, one more column that hands the 1 on). All
# tasks go together: $a_l$ is really [tasks, points, units], and `@` multiplies a stack of matrices.

# %%


def with_unit(x):
    """Append the unit that is always 1: [tasks, points, in] -> [tasks, points, in + 1]."""
    return np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)


def matrices(model):
    """Return W_0, ..., W_L [in + 1, out + 1] of a network, bias as the last row; W_L is [in + 1, out]."""
    params = [value.detach().numpy() for value in model.parameters()]
    found = [np.vstack([w.T, b]) for w, b in zip(params[::2], params[1::2], strict=True)]
    hand_on = [np.eye(len(w), dtype=w.dtype)[:, -1:] for w in found]
    return [*(np.hstack([w, one]) for w, one in zip(found[:-1], hand_on[:-1], strict=True)), found[-1]]


in_double = two_ranks.network(40).double()
weights = matrices(in_double)
double_tasks = two_ranks.sine_tasks(25, torch.double)
(x, y), (x_query, y_query) = [[each.numpy() for each in part] for part in double_tasks]
x, x_query = with_unit(x), with_unit(x_query)
print("x", x.shape, " weights", *(w.shape for w in weights))

# %% [markdown]
# **Forward.** $z_l = a_l W_l$, and $a_{l+1} = \max(z_l, 0)$ but for the last layer, whose $z_L$ are the
# predictions. (The constant unit passes: $\max(1, 0) = 1$.)

# %%


def forward(weights, x):
    """Return what enters each layer, a_0, ..., a_L, and the predictions z_L."""
    entering = [x]
    for w in weights[:-1]:
        entering.append(np.maximum(entering[-1] @ w, 0))
    return entering, entering[-1] @ weights[-1]


def is_on(a):
    """Return the mask m_l: 1 where a unit is on, 0 where it is off; 0 at the constant unit."""
    mask = (a > 0).astype(a.dtype)
    mask[..., -1] = 0
    return mask


# %% [markdown]
# **Backward.** Let $d_l$ be the derivative of the loss by $z_l$. For the mean squared error
# $d_L = c\,(z_L - y)$, with $c = 2 / \text{(number of predictions of a task)}$. The chain rule goes back
# through $W_l$ and through the ReLU, whose slope is $m_l$, 1 where it is on and 0 where it is off (and
# 0 at the constant unit: its 1 depends on no weight, so nothing goes back through it):
#
# $$d_{l-1} = (d_l\, W_l^\top) \odot m_l, \qquad G_l = a_l^\top d_l .$$
#
# $\odot$ multiplies entry by entry, $G_l$ is the gradient by $W_l$, and the sum over the points is in the
# matrix product.

# %%


def backward(weights, entering, error):
    """Return the derivatives d_0, ..., d_L and the gradients G_0, ..., G_L, given z_L - y."""
    ds = [error * 2 / error[0].size]
    for w, a in zip(weights[:0:-1], entering[:0:-1], strict=True):
        ds.insert(0, ds[0] @ w.mT * is_on(a))
    return ds, [a.mT @ d for a, d in zip(entering, ds, strict=True)]


entering, predicted = forward(weights, x)
ds, slopes = backward(weights, entering, predicted - y)
print("one gradient for each of 25 tasks:", *(g.shape for g in slopes))

# %% [markdown]
# **Hessian times vector.** Move all $W_l$ along $V_l$, matrices of the same sizes (with 0 in the column
# that hands the 1 on: it never moves), and write $\mathrm{R}\,q$ for how a quantity $q$ changes: its
# derivative by $\varepsilon$ at $W + \varepsilon V$. Then go through *every line above* and differentiate
# it, by the product rule:
#
# $$\mathrm{R}z_l = a_l V_l + \mathrm{R}a_l\, W_l, \quad
# \mathrm{R}a_{l+1} = \mathrm{R}z_l \odot m_{l+1}, \quad
# \mathrm{R}d_L = c\, \mathrm{R}z_L,$$
#
# $$\mathrm{R}d_{l-1} = \bigl(\mathrm{R}d_l\, W_l^\top + d_l V_l^\top\bigr) \odot m_l, \qquad
# (HV)_l = \mathrm{R}G_l = a_l^\top\, \mathrm{R}d_l + \mathrm{R}a_l^\top\, d_l .$$
#
# The data do not move, so $\mathrm{R}a_0 = 0$. And the mask does not change as long as no unit crosses 0:
# ReLU has no second derivative, except on the edge itself.

# %%


def hessian_times(v, weights, entering, ds):
    """Return H V, the change of the gradients as the weights move along V."""
    changes = [np.zeros_like(entering[0])]  # R a_0, ..., R a_L
    for layer, w in enumerate(weights):
        rz = entering[layer] @ v[layer] + changes[layer] @ w
        if layer < len(weights) - 1:
            changes.append(rz * is_on(entering[layer + 1]))
    rd, products = rz * 2 / rz[0].size, []
    for layer in reversed(range(len(weights))):
        products.insert(0, entering[layer].mT @ rd + changes[layer].mT @ ds[layer])
        rd = (rd @ weights[layer].mT + ds[layer] @ v[layer].mT) * is_on(entering[layer])
    return products


# %% [markdown]
# Nothing in it is believed before it is tested. Finite differences need no derivation: move the weights a
# little along $V$, and look how the gradients change.

# %%
rng, h = np.random.default_rng(0), 1e-6
v = [g + 0.1 * rng.normal(size=g.shape) * (abs(g).max(axis=(0, 1)) > 0) for g in slopes]  # unit columns stay
products = hessian_times(v, weights, entering, ds)
moved = []
for sign in (1, -1):
    there = [w + sign * h * each for w, each in zip(weights, v, strict=True)]
    entering_there, predicted_there = forward(there, x)
    moved.append(backward(there, entering_there, predicted_there - y)[1])
for layer, (up, down, product) in enumerate(zip(*moved, products, strict=True)):
    error = abs((up - down) / (2 * h) - product).max() / abs(product).max()
    assert error < 1e-6
    print(f"layer {layer}: equal, to a millionth of the largest entry")

# %% [markdown]
# **The walk.** Forward in time the inner steps are taken, and what they met is kept. Then
# $v^K = \nabla L^{\text{query}}(\theta^K)$, and back in time, one step after the other:
#
# $$v^k = v^{k+1} - \alpha\, H^k\, v^{k+1}, \qquad k = K-1, \dots, 0, \qquad
# \nabla J = \text{mean over tasks of } v^0 .$$
#
# The picture has two parameters and four steps. **Step through it**: out along the steps, then back. The
# arrow is $v^k$, how the query loss changes with $\theta^k$.

# %%
course.Stepper(
    pictures.walk(),
    count=10,
    alt="Contours of a support loss, four inner steps down its valley, and an arrow that is carried back "
    "from the last point to the first, changed by each step.",
    name="walk-back",
)

# %% [markdown]
# **Exercise `walk_back`** (core, 5 minutes). The walk itself, for any Hessians.

# %% exercise="walk_back"

# %%
lesson.check(walk_back)

# %% [markdown]
# All together, for the network:

# %%


def meta_gradients(weights, support, query, inner_lr, steps):
    """Return each task's query loss after the steps [T], and its derivative by the common weights [T, *]."""
    path = []
    for _ in range(steps):
        entering, predicted = forward(weights, support[0])
        ds, slopes = backward(weights, entering, predicted - support[1])
        path.append((weights, entering, ds))
        weights = [w - inner_lr * g for w, g in zip(weights, slopes, strict=True)]
    entering, predicted = forward(weights, query[0])
    _, v = backward(weights, entering, predicted - query[1])
    while path:
        products = hessian_times(v, *path.pop())
        v = [each - inner_lr * product for each, product in zip(v, products, strict=True)]
    return ((predicted - query[1]) ** 2).mean(axis=(1, 2)), v


def as_matrices(gradient):
    """Return a gradient by parameter name in the layout of `matrices`, without the column that hands on."""
    values = [value.numpy() for value in gradient.values()]
    return [np.vstack([w.T, b]) for w, b in zip(values[::2], values[1::2], strict=True)]


loss, params = two_ranks.network_loss(in_double), maml.parameters_of(in_double)
for steps in (1, 2, 5):
    losses, v = meta_gradients(weights, (x, y), (x_query, y_query), 0.01, steps)
    value, gradient = maml.meta_gradient(  # a plain function as loss: the package must use autograd
        lambda p, batch: loss(p, batch), params, double_tasks, inner_lr=0.01, steps=steps
    )
    assert abs(losses.mean() - value.item()) < 1e-12
    for mine, its in zip(v, as_matrices(gradient), strict=True):
        mine = mine.mean(axis=0)[:, : its.shape[1]]
        assert abs(mine - its).max() < 1e-12 * abs(its).max()
    print(f"{steps} steps: equal to autograd, each entry to 1e-12 of the largest")
functions = (forward, is_on, backward, hessian_times, meta_gradients)
n_lines = sum(len(inspect.getsource(function).strip().splitlines()) for function in functions)
print(f"{n_lines} lines")
assert n_lines <= 50

# %% [markdown]
# *Equal to twelve digits*, with one step and with five, in fewer lines than most explanations of it. And
# what is it worth? In float32, as one trains:

# %% tags=["nbval-ignore-output"]
start = matrices(model)
support, query = ((with_unit(part[0].numpy()), part[1].numpy()) for part in tasks)
times = ways.milliseconds(
    {
        "vmap and autograd": every_way["vmap"],
        "fifty lines": lambda: meta_gradients(start, support, query, 0.01, 1),
    }
)
for name, ms in times.items():
    print(f"{name:18} {np.median(ms):5.2f} ms an update")
gain = np.median(np.divide(*times.values()))
print(f"by hand it is {gain:.1f} times as fast")
assert all(each.dtype == np.float32 for each in start)

# %%
assert gain > 1.3
print("the fifty lines are faster than the library that differentiates by itself")

# %% [markdown]
# Where is the difference? Some of it is work that is left out: ReLU does not bend, the data do not move,
# nobody asks for the derivatives by the data. Autograd also writes down every operation, goes back
# through the record to get the inner gradient, *records that too*, and goes back through all of it again;
# and `vmap` rewrites each operation on its way. The rest is numpy, whose calls cost less than torch's.
# (The same lines written in torch, recording nothing, took two to three times as long as in numpy where
# we tried, at this size: about as much as all the rest is worth.)

# %% [markdown]
# ## 4. What the package adds (3 minutes)
#
# `maml.meta_gradient` goes this way by itself when it sees such a network with such a loss, and
# `MetaLearner` with it. Two ideas make its version faster where tasks are many or layers wide (at width
# 40 and 25 tasks its checks of all arguments cost about what the ideas save):
#
# - **The first step is the same for all tasks.** All start from $\theta$, so the first forward pass is
#   *one* matrix product over all points of all tasks, and so is the last one of the walk, whose result is
#   summed.
# - **A gradient is thin.** $G_l = a_l^\top d_l$ has the rank of the number of points, ten here. For a large
#   layer $aW' = aW - \alpha\,(a\, a_l^\top)\, d_l$ costs less than making $W' = W - \alpha G_l$ for every
#   task.
#
# For other plain networks, with Tanh for example, it goes half of the way: autograd, but each layer
# *batched*, a product of stacks of matrices, without `torch.vmap`.

# %% tags=["nbval-ignore-output"]
times = ways.milliseconds({name: every_way[name] for name in ("vmap", "batched", "by hand")})
for name, ms in times.items():
    print(f"{name:8} {np.median(ms):5.2f} ms an update")
gain = np.median(np.divide(times["vmap"], times["by hand"]))

# %%
assert gain > 1.5 and results.times(256, 1, 25, "batched") > 3 * results.times(256, 1, 25, "by hand")
print("stored: ms for 25 tasks on one core (smallest to largest of three measurements)")
settings = ((40, 1), (40, 5), (256, 1))
print(" " * 10 + "".join(f"{f'width {width}, steps {steps}':23}" for width, steps in settings))
for way in results.WAYS:
    row = (results.time_text(width, steps, 25, way) for width, steps in settings)
    print(f"{way:10}" + "".join(f"{text:23}" for text in row).rstrip())

# %% [markdown]
# *compiled* is the way of `vmap` through a compiler: the first call traces the whole meta-gradient and
# makes machine code of it, and every later call is quick. With `MetaLearner(compile=True)` any network
# can have this, where the fifty lines know one kind only. (For that kind the package does not compile: by
# hand is there at once, though at width 40 what is compiled is quicker.) When has it paid, for a network
# that goes the way *batched* without it?

# %%
for width, steps, seconds in results.first_calls():
    saved = results.times(width, steps, 25, "batched") - results.times(width, steps, 25, "compiled")
    print(f"width {width:3}, {steps} steps: first call {seconds:.0f} s;", end=" ")
    if saved > 0:
        print(
            f"it saves {saved:.2g} ms an update, so it has paid after {1000 * seconds / saved:,.0f} updates"
        )
    else:
        print("it saves nothing")

# %% [markdown]
# **JAX** is a library that compiles everything, and the measure for speed in this field. The same update,
# gradient and Adam's step, side by side in one process (`python tests/benchmarks`, stored in
# `data/benchmarks`):

# %% tags=["nbval-ignore-output"]
for row, width in (("maml_1", 40), ("maml_wide_1", 256)):
    found = results.benchmark(row)
    print(
        f"width {width:3}, one step: by hand {found['by hand']:.2g} ms, JAX {found['JAX']:.2g} ms an update"
    )

# %% [markdown]
# With small layers JAX wins: it fuses what are single calls here. With wide ones by hand wins, and not as
# the better engine: it computes less (the thin gradients), and JAX was given the plain algorithm, as its
# users write it.

# %% [markdown]
# ## 5. Memory (6 minutes)
#
# Time is not all. To walk back one needs what the way out has met, so it has to be kept. Autograd keeps it
# without being asked. This counts what it keeps for *one* task:

# %%


def kept_by_autograd(model, steps, points=10):
    """Return how many bytes autograd keeps for the way back through one task's inner steps."""
    sizes, alive = {}, []

    def keep(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    one_task = SineTasks().sample(1, points, points, generator=make_generator(0))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        ways.by_loop(model, one_task, steps)
    return sum(sizes.values())


wide = two_ranks.network(256)
size = sum(4 * value.numel() for value in wide.parameters())  # a number in float32 has 4 bytes
print(f"width 256: the parameters of the network have {size / 1e6:.2f} MB")
kept = {steps: kept_by_autograd(wide, steps) / 1e6 for steps in (1, 2, 5, 10, 20)}
for steps, megabytes in kept.items():
    print(f"{steps:2} steps: {megabytes:.1f} MB kept for one task")
many = kept_by_autograd(wide, 10, points=1000) / 1e6
print(f"10 steps and 1000 points in the place of 10: {many:.0f} MB")
assert 1.5 < kept[20] / kept[10] < 2.5 and many > 10 * kept[10]

# %% [markdown]
# It grows in a straight line: each step keeps its own $\theta^k$, all 66,561 parameters of it, and what
# entered its layers, a row for each point. Batching multiplies this by the number of tasks, as all are in
# memory at once. A loop that differentiated each task for itself, and added up, would not. (`by_loop` above
# holds all of them, too: it differentiates the mean.) So speed and memory pull apart, and there are three
# ways between:
#
# - **Chunks**: `chunk_size=10` takes ten tasks at a time and adds up their gradients. Little to hold, for
#   more calls. The result is the same.
# - **Thin gradients** (section 4): where $\theta^k$ is $\theta$ and a few outer products, it need not be
#   stored as a matrix (as long as steps times points stay below about half the width).
# - **Recomputing**: keep less, and compute it anew on the way back. `recompute=True` keeps each $\theta^k$,
#   and nothing of what happened within a step.

# %%
pictures.memory_explorer()

# %% [markdown]
# (Stored: how much the process grew at its peak in one meta-gradient, width 256, in a process of its
# own.) **Try** 10 tasks and 100. With 10 tasks a chunk of ten is all of them and saves nothing. With 100
# it holds a small part of what its own way holds at once, and by hand with chunks holds least of all. And
# `recompute=True` saves next to nothing here, or holds more:

# %%
for steps in (10, 20):
    plain, again = (results.memory(steps, 100, way) for way in ("batched", "recompute"))
    print(f"{steps} steps, 100 tasks: {plain:.0f} MB, recomputing {again:.0f} MB")
    assert 0.7 < again / plain < 1.3

# %% [markdown]
# With ten points a task nearly all that is kept is $\theta^k$ itself, and that it keeps. It should pay
# where a task has many points, as the count with 1000 of them suggests: there the rows are most of it.
# With few points one has to keep *fewer* $\theta^k$.
#
# **Exercise `held`** (explore, 5 minutes). Recomputing, counted: what does that save, and what does it
# cost?

# %% exercise="held"

# %%
lesson.check(held)

# %% [markdown]
# With a spacing near $\sqrt K$ one holds about $2\sqrt K$ sets instead of $K$, for less than one more way
# out (Chen et al. 2016). With several levels of such marks it can be brought down to about $\log K$
# (Griewank and Walther 2000). And *implicit* MAML needs no way back at all: where the inner steps have
# arrived at a minimum (of a loss with a pull towards $\theta$), the gradient depends on that point alone,
# so memory does not grow with $K$ (Rajeswaran et al. 2019).

# %% [markdown]
# # Second session
#
# ## 6. Threads and devices (5 minutes)
#
# A machine with two cores should be twice as fast with two **threads**, two strands of one program that
# run at the same time. PyTorch and numpy can split *one* matrix product over threads. Guess for the wave
# network:

# %%
predictions.predict_threads()

# %%
for width in (40, 256):
    for way in ("batched", "by hand"):
        one, two = (results.threads(width, way, number) for number in (1, 2))
        print(
            f"width {width:3}, {way:8}: one thread {one[0]:6.1f} ms on the clock, two {two[0]:6.1f} ms;",
            end=" ",
        )
        print(f"of the processor {one[1]:5.1f} and {two[1]:6.1f} ms")

# %% [markdown]
# (Medians of five measurements on a two-core machine *that had other work to do*, as yours may have.) A
# small product is over before a second thread has woken up, and a thread that waits for the other burns
# time in a loop. If the other has to wait for its core, everybody waits, at width 256 too. (With a second
# core to itself it may differ there; we have not measured that.) So the course sets one thread, and the
# place to use more cores is one level up: **whole tasks, not halves of a product**. That is section 7.
#
# And a **GPU**? It has thousands of slow cores instead of a few fast ones: it wants much work in few calls.
# Measured on an NVIDIA H200 (`data/benchmarks/gpu.md`), one meta-update of the wave network by the
# loop and by `vmap`, in an earlier version of the package:
#
# | tasks | device | plain loop, ms | vmap, ms |
# |--|--|--|--|
# | 25 | CPU, one thread | 20.8 | 3.75 |
# | 25 | H200 | 70.9 | 6.80 |
# | 1000 | H200 | 2551 | 8.07 |
#
# At 25 tasks the GPU is the *slower* one: each call to it costs more, and there is nothing to fill it with.
# Forty times as many tasks take it 1.2 times as long. It makes large updates cheap, not small ones fast.
# Whether one wants large updates is section 9.

# %%
on_gpu = {25: 6.80, 1000: 8.07}
print(
    f"a task: {1000 * on_gpu[25] / 25:.0f} microseconds at 25 tasks, {1000 * on_gpu[1000] / 1000:.1f} at 1000"
)
assert on_gpu[25] > 3.75 and on_gpu[1000] / on_gpu[25] < 1.3

# %% [markdown]
# ## 7. Two processes (9 minutes)
#
# Tasks do not talk to each other. So start the program twice, and let each copy take a share of the
# tasks. A copy is a **rank**, and has a number from 0. Each rank runs the whole program, draws *all*
# tasks (from the same seed, so the same ones), and takes its share:
#
# **Exercise `shares`** (core, 5 minutes). 25 tasks, 4 ranks?

# %% exercise="shares"

# %%
lesson.check(shares)

# %% [markdown]
# Then each differentiates its own tasks, and in the end every rank must have the gradient of *all*. The
# operation for that is an **all-reduce**: each rank gives an array, and each gets the sum of them. But what
# should be summed?
#
# **Exercise `mean_over_ranks`** (core, 4 minutes, *find the bug*). Each rank has the mean over its own
# tasks. The function below has been used for years, and every test with two equal shares was green.

# %% exercise="mean_over_ranks"

# %%
lesson.check(mean_over_ranks)

# %% [markdown]
# How bad is it? With tasks at random the lone task is not always the same one, so over many updates the
# mean of means is right, with more noise. If every rank keeps tasks of its own, it is wrong for good. The
# variances of the two means, for 24 and 1 of random tasks whose gradients have the variance 1:

# %%
of_all, of_means = 1 / 25, (1 / 24 + 1 / 1) / 2**2
print(f"mean of all {of_all:.3f}, mean of means {of_means:.3f}: {of_means / of_all:.1f} times the variance")
assert of_means > 6 * of_all

# %% [markdown]
# Now for real. This is all that a rank does (`tensor_split` makes the shares, and `all_reduce` writes the
# sum into `total`):

# %%
print(inspect.getsource(two_ranks.gradient_over_ranks))

# %% [markdown]
# `torchrun` starts the ranks, tells each its number and where to find the others, and stops all if one
# fails. In a terminal one writes
#
# ```bash
# torchrun --standalone --nproc-per-node 2 script.py
# ```
#
# From here, the same:

# %% tags=["nbval-ignore-output"]
begin = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "found.json"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command = [*torchrun, "--nproc-per-node", "2", two_ranks.__file__, str(file)]
    subprocess.run(command, check=True, capture_output=True)
    found = {2: json.loads(file.read_text())}
print(f"two ranks have started, computed and ended in {time.perf_counter() - begin:.0f} seconds")
found[1] = two_ranks.alone()  # the same by a group of one rank, in this process

# %%
print("tasks of each rank:", found[2]["counts"])
value, gradient = maml.meta_gradient(loss, params, double_tasks, inner_lr=0.01)
alone = torch.cat([each.flatten() for each in gradient.values()])
together = torch.tensor(found[2]["gradient"], dtype=torch.double)
assert found[2]["counts"] == [13, 12]
assert (alone - together).abs().max() < 1e-12
print("25 tasks by two ranks, and by this process alone: the same gradient, to 1e-12")
learner = MetaLearner(two_ranks.network(40).double(), inner_lr=0.01, device="cpu")
learner.train(SineTasks(), epochs=5, inner_batch_size=10, outer_batch_size=25, progress=False)
trained = torch.cat([value.detach().flatten() for value in learner.model.parameters()])
assert (trained - torch.tensor(found[2]["parameters"], dtype=torch.double)).abs().max() < 1e-10
print("five updates of MetaLearner by two ranks, and alone: the same parameters, to 1e-10")

# %% [markdown]
# The second sentence needs no code of yours: under `torchrun` the package's classes (`MetaLearner`, and the
# agents of lessons 06 and 08) find the other ranks and split the tasks by themselves. They also compare at
# the start whether all ranks hold the same model, settings and seed, and stop all if one fails. How fast?

# %% tags=["nbval-ignore-output"]
for n_ranks, each in sorted(found.items()):
    print(
        f"{n_ranks} rank(s): {1000 * each['seconds']:.0f} ms on the clock for 400 tasks at width 256;",
        end=" ",
    )
    print(f"the busiest rank used {1000 * each['cpu_seconds']:.0f} ms of a processor")
for size, seconds in found[2]["all_reduce"].items():
    print(f"an all-reduce of {int(size):9,} numbers takes {1e6 * seconds:6.0f} microseconds")

# %% [markdown]
# (If your machine has only one core, or is busy with something else, the clock shows no gain. The second
# number is what a rank would need with a core to itself.)

# %% [markdown]
# ## 8. Amdahl's law (5 minutes)
#
# Some of an update is not shared: the fixed cost of the calls, which is the same for few tasks, the
# optimizer's step, the sum over ranks. Call that time $t_s$, the **serial** part, and $t_p$ the part that
# can be shared. With $n$ workers
#
# $$t(n) = t_s + \frac{t_p}{n}, \qquad \text{speed-up } \frac{t(1)}{t(n)} \;<\; \frac{t_s + t_p}{t_s} .$$
#
# This is **Amdahl's law** (1967): a part of 5 % that stays serial limits the speed-up to 20, with any
# number of machines.
#
# **Exercise `predict_time`** (core, 5 minutes). Fit both parts to measurements, and look ahead.

# %% exercise="predict_time"

# %%
lesson.check(predict_time)

# %% [markdown]
# On your own numbers, those of section 7 (two measurements, so the fit goes through both), and on stored
# ones of a two-core machine:

# %% tags=["nbval-ignore-output"]
yours = [found[n]["cpu_seconds"] for n in (1, 2)]
serial = max(2 * yours[1] - yours[0], 0.0)  # twice t_s + t_p / 2, less t_s + t_p
print(f"yours: {yours[0]:.3f} s and {yours[1]:.3f} s, so serial {serial:.3f} s,", end=" ")
print(f"which is {serial / yours[0]:.0%} of the time of one rank")

# %%
for clock, label in (("cpu_seconds", "processor"), ("seconds", "clock")):
    one, two, four = (results.ranks(n, clock) for n in (1, 2, 4))
    serial = max(2 * two - one, 0.0)
    print(f"stored, {label:9}: 1, 2, 4 ranks take {one:.3f}, {two:.3f}, {four:.3f} s;", end=" ")
    print(f"by the first two, {serial / one:.0%} serial and four ranks {serial + (one - serial) / 4:.3f} s")
assert results.ranks(1, "cpu_seconds") > 1.6 * results.ranks(2, "cpu_seconds")

# %% [markdown]
# The fit goes through two points by construction; only the third one tests it, and both predictions are
# too low. By the processor's time hardly anything is serial: that is what a rank would need with a core
# to itself. What the clock calls serial has the other programs in it, and four ranks on two cores: a
# second rank does not always bring a second core. Ask which of the two your question is about.

# %%
pictures.amdahl_explorer()

# %% [markdown]
# **Try** 5 %, then 1 %: even with 1 % serial, a thousand workers are 91 times as fast and not a thousand.
# Gustafson (1988) answered: with a thousand workers nobody solves the *same* problem. One takes a
# thousand times as many tasks in the same time, and then the serial part stays small (the dashed line).
# That is true, if more tasks in an update are worth anything. Are they?

# %% [markdown]
# ## 9. What more tasks buy (6 minutes)
#
# The meta-gradient is a mean over the tasks that were drawn. It is right on average, and it scatters.
# With independent tasks its variance falls like $1/T$, so its error like $1/\sqrt T$. The fifty lines
# return each task's own gradient, so this can be seen. First a training of 300 updates, to be in the
# middle of learning:

# %% tags=["nbval-ignore-output"]
learner = MetaLearner(two_ranks.network(40), inner_lr=0.01, meta_lr=0.005, device="cpu")
learner.train(SineTasks(), epochs=300, inner_batch_size=10, outer_batch_size=25, progress=False)


def task_gradients(model, n_tasks, seed):
    """Return the meta-gradients of n_tasks new waves, each as one row [T, P]."""
    drawn = SineTasks().sample(n_tasks, 10, 10, generator=make_generator(seed))
    parts = [[each.double().numpy() for each in part] for part in drawn]
    support, query = ((with_unit(part[0]), part[1]) for part in parts)
    weights = [w.astype(np.float64) for w in matrices(model)]
    _, v = meta_gradients(weights, support, query, 0.01, 1)
    return np.concatenate([each.reshape(n_tasks, -1) for each in v], axis=1)


rows = task_gradients(learner.model, 3200, seed=1)
g = rows.mean(axis=0)
counts, errors = (1, 4, 16, 64, 256), []
for count in counts:
    means = rows[: len(rows) // count * count].reshape(-1, count, rows.shape[1]).mean(axis=1)
    errors.append(np.sqrt(((means - g) ** 2).sum(axis=1).mean()) / np.sqrt((g**2).sum()))
slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
print("tasks:", *(f"{count:6}" for count in counts))
print("error:", *(f"{error:6.2f}" for error in errors), " (length of the error / length of the gradient)")

# %%
assert -0.6 < slope < -0.4 and errors[0] > 2
print("four times the tasks halve the error; with one task it is longer than the gradient")

# %% [markdown]
# With one task the error is several times as long as the gradient itself: mostly noise. Each factor of four
# halves it. To be twice as precise costs four times the tasks, again and again.
#
# How precise should it be? Write $\Sigma$ for the covariance of the tasks' gradients, and $g$ for their
# mean. The **noise scale** is
#
# $$B = \frac{\operatorname{tr} \Sigma}{\lVert g \rVert^2},$$
#
# the number of tasks at which the noise is as long as the gradient. If the loss bends alike in all
# directions, the best step with $T$ tasks gains the share $\frac{1}{1 + B / T}$ of what it would gain with
# infinitely many (McCandlish et al. 2018). So far below $B$ twice the tasks gain nearly twice as much; at
# $B$ itself a third more; far beyond, next to nothing.

# %% tags=["nbval-ignore-output"]
scales = []
for name, each in (("at the start", two_ranks.network(40)), ("after 300 updates", learner.model)):
    rows = task_gradients(each, 3200, seed=2)
    trace = rows.var(axis=0, ddof=1).sum()
    squared = (rows.mean(axis=0) ** 2).sum() - trace / len(rows)  # the mean of 3200 has noise, too
    scale = trace / squared
    share = ", ".join(f"{n:,} tasks {1 / (1 + scale / n):.0%}" for n in (1, 25, 400, 25_000))
    scales.append(scale)
    print(f"{name:17} noise scale {scale:3.0f} tasks; shares with {share}")

# %%
assert scales[1] > 3 * scales[0]
print("several times what it was at the start")

# %% [markdown]
# That is one training, at one moment. In four others it was 30 to 200 between 300 and 600 updates, and ten
# updates changed it up to threefold: take it for an order of magnitude.
#
# Does this theory, made for plain gradient descent, say anything about Adam? Ask the training itself. How
# many updates until the error after one step is 1, each number of tasks with its own best `meta_lr`?

# %%
predictions.predict_tasks()

# %%
fig, ax = plt.subplots(figsize=(6, 3.2))
pictures.draw_batches(ax)
# alt: Updates until an error of 1, over the tasks in an update, both axes logarithmic. The curve falls from
# alt: one task on and flattens; a dashed line shows what it would be if twice the tasks halved the updates.
plt.show()
for count, (rate, updates) in results.batches().items():
    print(f"{count:3} tasks: best meta_lr {rate:g}, {np.median(updates):5.0f} updates", end=" ")
    print(f"({min(updates)} to {max(updates)}), {count * np.median(updates):9,.0f} tasks in all")
middle = {count: np.median(updates) for count, (_, updates) in results.batches().items()}
assert middle[1] > 4 * middle[5] and middle[100] < 2 * middle[400]

# %% [markdown]
# Five trainings each, with the best of eight rates `meta_lr`, which two other trainings chose. (All that
# was tried is in `data/lesson_10/rates.csv`. For 25 tasks the two that chose 0.04 needed 160 updates, and
# the five that were judged with it 280 to 470: a choice by two trainings flatters itself. Take these
# medians for rough ones.) From 1 to 5 tasks the updates fall as the tasks rise, and the whole costs no
# more. From 100 to 400 little is saved, for three times the work. The noise scale said as much.
#
# And what larger updates gain is a larger *step* that they allow. With the rate of lesson 05:

# %%
for count in (25, 100, 400):
    slow = [updates for rate, updates in results.tried(count) if rate == 0.005]
    print(f"{count:3} tasks, meta_lr 0.005: {' and '.join(map(str, slow))} updates")

# %% [markdown]
# Whoever takes 400 tasks and leaves the rate as it was for 25 pays for sixteen times the tasks, and gets
# less than three times fewer updates.

# %% [markdown]
# ## 10. A thousand GPUs, on paper (6 minutes)
#
# What would change with a thousand of them? Three things decide it: the sum, the tasks (section 9), and the
# failures.
#
# **The sum.** In a *ring* each rank passes pieces to its neighbor until all have all: $2(N-1)$ messages,
# each of $1/N$ of the gradient, so every rank sends $2\frac{N-1}{N} \cdot 4P$ bytes, nearly the same for
# 10 ranks and for 1000 (Patarasu and Yuan 2009). With a bandwidth $\beta$ and a delay $\tau$ a message
#
# $$t_{\text{ring}} = 2 (N-1) \Bigl(\tau + \frac{4P}{N \beta}\Bigr), \qquad
# t_{\text{tree}} = 2 \lceil \log_2 N \rceil \Bigl(\tau + \frac{4P}{\beta}\Bigr).$$
#
# A *tree* sends the whole gradient, but only up and down the tree (Thakur et al. 2005). We put in
# $\beta$ = 50 GB/s (a network card of 400 Gbit/s) and $\tau$ = 5 microseconds. **Both are assumptions**;
# put in your own.

# %%
for name, parameters in (("waves, width 40", 1_761), ("waves, width 256", 66_561), ("a billion", 10**9)):
    ring, tree = (f(1000, parameters, 50e9, 5e-6) for f in (paper.ring_seconds, paper.tree_seconds))
    sent = paper.bytes_sent(1000, parameters)
    print(f"{name:17} each rank sends {sent / 1e6:10,.3f} MB;", end=" ")
    print(f"ring {1e3 * ring:8.3g} ms, tree {1e3 * tree:8.3g} ms")
small = paper.ring_seconds(1000, 1_761, 50e9, 5e-6)
assert small > 0.0068  # more than the GPU's whole update of 25 tasks, section 6
assert paper.tree_seconds(1000, 1_761, 50e9, 5e-6) < small / 50
assert paper.tree_seconds(1000, 10**9, 50e9, 5e-6) > 5 * paper.ring_seconds(1000, 10**9, 50e9, 5e-6)

# %%
pictures.sum_explorer()

# %% [markdown]
# For the wave network it is all delay. A ring of a thousand would take 10 ms to add up 7 kB, longer than
# the GPU's whole update (6.8 ms); the tree takes 0.1 ms. For a billion parameters it is all bandwidth: of
# these two the ring wins.
#
# **The tasks.** A thousand GPUs with 25 tasks each are 25,000 tasks an update. By section 9 that is far
# beyond the noise scale: the updates get better by little, and not a thousand times fewer. Better uses of
# a thousand machines for *this* model: a thousand seeds and settings at once, which need not talk to each
# other (`--processes` of the scripts in `data/` is the small version). Where gradients are noisier, as in
# reinforcement learning, or tasks more varied, the noise scale is larger, and so is the number of tasks
# that pays. On images batches of 8192 trained as well as 256 did, with a learning rate in proportion and
# a slow start; beyond, the error rose (Goyal et al. 2017).
#
# **The failures.** In 54 days on 16,384 GPUs a training was interrupted 419 times without being planned
# (Llama 3, 2024). If failures are independent and alike:

# %%
hours = 54 * 24 * 16_384 / 419 / 1000
print(f"one failure in {hours:.0f} hours on 1000 GPUs; in {hours * 1000 / (365 * 24):.1f} years on one")
print(f"a training without checkpoints that needs {2 * hours:.0f} hours ends with chance {np.exp(-2):.0%}")

# %% [markdown]
# So a checkpoint is not a convenience there. `train(checkpoint=...)` writes one, on rank 0 only, in one
# piece or not at all; it holds nothing of the number of ranks, so the training may go on with fewer.

# %% [markdown]
# ## 11. Quiz (5 minutes)

# %%
lesson.quiz()

# %% [markdown]
# ## Summary
#
# - Small tensors cost a call each, not arithmetic: batching over tasks makes few calls of many.
# - A Hessian is never written down. Its product with a vector is the derivative of the gradient in one
#   direction, and backpropagation through learning is one such product a step, from the last step to the
#   first.
# - By hand, in fifty lines: equal to autograd to twelve digits, and faster: it leaves out what is known
#   to be 0, records nothing, and numpy's calls are cheap.
# - Memory grows with tasks times steps. Chunks, thin gradients and recomputing trade it for work.
# - Over ranks, sums are added and divided once, by all tasks. A mean of means counts tasks unequally.
# - Amdahl's law limits the speed-up of a fixed problem; larger updates escape it only while the noise scale
#   is larger than the number of tasks.
#
# ## What could go wrong
#
# - *Two threads are slower than one*: the products are small, or the second core is taken. One thread a
#   process, more processes.
# - *A ratio of times that changes from run to run*: measure both sides in turns, in processor time, and
#   show the spread.
# - *Out of memory after one more inner step*: it is linear in steps and tasks. Use `chunk_size`.
# - *Two ranks learn something else than one*: unequal shares and a mean of means, or different seeds.
# - *Compiling takes longer than the training*: count the updates first.
#
# ## Further reading
#
# - B. A. Pearlmutter, "Fast Exact Multiplication by the Hessian", *Neural Computation* 6(1), 1994. The
#   operator R of section 3.
# - A. Griewank, A. Walther, "Algorithm 799: Revolve: An Implementation of Checkpointing for the Reverse or
#   Adjoint Mode of Computational Differentiation", *ACM Transactions on Mathematical Software* 26(1), 2000.
# - T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training Deep Nets with Sublinear Memory Cost", 2016,
#   arXiv:1604.06174.
# - A. Rajeswaran, C. Finn, S. Kakade, S. Levine, "Meta-Learning with Implicit Gradients", NeurIPS 2019,
#   arXiv:1909.04630.
# - G. M. Amdahl, "Validity of the Single Processor Approach to Achieving Large Scale Computing
#   Capabilities", AFIPS 1967.
# - J. L. Gustafson, "Reevaluating Amdahl's Law", *Communications of the ACM* 31(5), 1988.
# - S. McCandlish, J. Kaplan, D. Amodei, OpenAI Dota Team, "An Empirical Model of Large-Batch Training",
#   2018, arXiv:1812.06162. The noise scale.
# - P. Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017, arXiv:1706.02677.
# - P. Patarasu, X. Yuan, "Bandwidth Optimal All-reduce Algorithms for Clusters of Workstations", *Journal
#   of Parallel and Distributed Computing* 69(2), 2009.
# - R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of Collective Communication Operations in MPICH",
#   *International Journal of High Performance Computing Applications* 19(1), 2005.
# - Llama Team, "The Llama 3 Herd of Models", 2024, arXiv:2407.21783. Section 3.3.4: what failed.

# %%
lesson.progress()
