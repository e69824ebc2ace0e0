"""Films of lesson 06: one policy on several tasks, side by side, as frames for `course.animation`."""

from typing import Any

import numpy as np
import torch

from mlearn_utils.rl.policies import choose
from mlearn_utils.rl.rollout import Policy
from mlearn_utils.runtime import make_generator
from mlearn_utils.tasks.cartpole import CartPoleTask, CartPoleTasks

EVERY = 3  # steps a frame


def film(task: CartPoleTask, policy: Policy, *, seed: int = 0) -> np.ndarray:
    """Return pictures of one episode with sampled actions, every third step, [34, 200, 300, 3] uint8.

    After the end of the episode the last picture stands still and is darker.

    Args:
        task: one task.
        policy: observations [1, 1, 4] -> logits [1, 1, 1], as `MAMLAgent.policy` returns it.
        seed: of the start state and of the actions.
    """
    env = CartPoleTasks(task.family).make_env(task, render_mode="rgb_array")
    obs, _ = env.reset(seed=seed)
    generator = make_generator(seed + 1)
    frames: list[np.ndarray] = []
    is_over = False
    for step in range(100):
        if step % EVERY == 0:
            frames.append(frames[-1] if is_over else shrunk(env.render()))
        if not is_over:
            obs, _, terminated, truncated, _ = env.step(_act(policy, obs, generator))
            is_over = terminated or truncated
            if terminated:
                frames[-1] = (shrunk(env.render()) * 0.6).astype(np.uint8)
    env.close()
    return np.stack(frames)


def grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Return films of one size [N, H, W, 3], arranged in rows and columns with dark lines between them."""
    return _join([_join(row, axis=2) for row in rows], axis=1)


def _join(films: list[np.ndarray], axis: int) -> np.ndarray:
    shape = list(films[0].shape)
    shape[axis] = 4
    line = np.full(shape, 60, dtype=np.uint8)
    parts = [part for one in films for part in (one, line)]
    return np.concatenate(parts[:-1], axis=axis)


def _act(policy: Policy, obs: np.ndarray, generator: torch.Generator) -> int:
    with torch.no_grad():
        logits = policy(torch.as_tensor(obs, dtype=torch.float32).expand(1, 1, -1))
    return int(choose(logits, torch.rand(1, 1, generator=generator)))


def shrunk(picture: Any) -> np.ndarray:
    """Return a picture at half its size: means of 2 x 2 pixels."""
    pixels = np.asarray(picture, dtype=np.float32)
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    return pixels.reshape(height, 2, width, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
