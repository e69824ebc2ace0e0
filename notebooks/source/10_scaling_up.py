# %% [markdown]
# # 10 · Scaling up
#
# **50 minutes.** After this lesson you can
#
# - say what the squared error of a line is, and where it is least;
# - find the slope of the best line through the origin;
# - tell when a mean leaves something out.
#
# **You need**: what a line and a derivative are.
#
# *(This text, its exercises and its pictures stand here so that everything runs from the start. Put your own
# in their place, one part at a time.)*

# %% tags=["nbval-ignore-output"]
from mlearn_utils import course

lesson = course.start("10")

# %%
import matplotlib.pyplot as plt

from mlearn_utils.course.lesson_10 import pictures, predictions

# %% [markdown]
# ## 1. A line (12 minutes)
#
# A line through the origin is $y = a x$, with the slope $a$. Move it:

# %%
pictures.line_explorer()

# %% [markdown]
# **Exercise `line_values`** (core, 4 minutes). With an offset $b$ the line is $y = a x + b$.

# %% exercise="line_values"

# %%
lesson.check(line_values)

# %% [markdown]
# ## 2. The best line (12 minutes)

# %%
predictions.predict_the_slope()

# %% [markdown]
# The squared error of the slope $a$ is $\sum_k (y_k - a x_k)^2$:

# %%
slopes = [0.02 * k for k in range(101)]
errors = [((pictures.Y - a * pictures.X) ** 2).sum() for a in slopes]
plt.plot(slopes, errors)
plt.xlabel("slope a")
plt.ylabel("sum of squared errors")
plt.show()

# %% [markdown]
# It is a parabola. At its lowest point the derivative is zero.
#
# **Exercise `best_slope`** (core, 8 minutes).

# %% exercise="best_slope"

# %%
lesson.check(best_slope)

# %% [markdown]
# ## 3. What a mean leaves out (6 minutes)
#
# **Exercise `mean_error`** (core, 3 minutes, *find the bug*).

# %% exercise="mean_error"

# %%
lesson.check(mean_error)

# %% [markdown]
# ## 4. Quiz (5 minutes)

# %%
lesson.quiz()

# %% [markdown]
# ## Summary
#
# - The best slope makes the derivative of the squared error zero.
#
# **What could go wrong**
#
# - *One point far away* turns the line towards itself.
#
# **Further reading**
#
# - C. F. Gauss (1809). *Theoria motus corporum coelestium*, book 2, section 3: least squares.
