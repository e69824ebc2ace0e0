"""An animation of what an agent does in a task, before and after it has adapted to it."""

import struct
import zlib
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from mlearn_utils.meta.losses import Params
from mlearn_utils.meta.policies.adaptive_policy import AdaptivePolicy
from mlearn_utils.rl.gymnasium_batch import checked_reset, checked_step, first_action
from mlearn_utils.runtime import check_integer, check_target, make_generator

MOST_FRAMES = 300
"""Longer episodes are thinned out to about as many frames."""


def film(
    agent: AdaptivePolicy, task: Any, path: str | Path, *, steps: int = 1, fps: int = 20, seed: int = 0
) -> Path:
    """Write an animated PNG: one episode before adapting (left) and one after (right), most probable actions.

    Browsers and notebooks play it as they show any picture.

    Args:
        agent: plays and adapts.
        task: one task of its family, whose `make_env` must take `render_mode="rgb_array"`.
        path: the file to write; its folder must exist.
        steps: inner steps.
        fps: frames a second.
        seed: of the episodes.

    Returns:
        The path.

    Raises:
        FileNotFoundError: if the folder of `path` does not exist.
        IsADirectoryError: if `path` is a folder.
        TypeError: if the family's environments cannot be drawn.
        ValueError: if a number is out of range.
    """
    check_target("path", path)
    path = Path(path)
    if path.suffix.lower() not in (".png", ".apng"):
        raise ValueError(f"path must end in .png or .apng, an animated PNG, got {path.name!r}")
    check_integer("fps", fps, minimum=1)
    one = task if isinstance(task, type(agent.family.sample(1, seed=0))) else [task]
    adapted = agent.adapt(one, steps=steps, seed=seed)
    before = {name: value.detach()[None] for name, value in agent.params.items()}
    episodes = [_frames(agent, task, params, seed) for params in (before, adapted)]
    length = max(map(len, episodes))
    held = [frames + frames[-1:] * (length - len(frames)) for frames in episodes]
    thinned = range(0, length, -(-length // MOST_FRAMES))
    pictures = [np.concatenate([frames[k] for frames in held], axis=1) for k in thinned]
    path.write_bytes(animated_png(pictures, (thinned.step, fps)))
    return path


def animated_png(pictures: list[np.ndarray], seconds: tuple[int, int]) -> bytes:
    """Return pictures [H, W, 3] uint8 as one animated PNG, each shown for a fraction of a second.

    Args:
        pictures: the frames, all of one size.
        seconds: numerator and denominator of how long each is shown.

    Reference: PNG specification, third edition (W3C, 2025), section 11.3.6, "Animation information".
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pictures[0].shape[:2]
    parts = [
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        chunk(b"acTL", struct.pack(">II", len(pictures), 0)),
    ]
    number = 0  # of the chunks that make the animation
    for k, picture in enumerate(pictures):
        control = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, *seconds, 0, 0)
        rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each row begins with its filter, none
        rows[:, 1:] = picture.reshape(height, -1)
        data, number = zlib.compress(rows.tobytes(), 9), number + 1
        parts.append(chunk(b"fcTL", control))
        if k == 0:
            parts.append(chunk(b"IDAT", data))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + data))
            number += 1
    return b"".join([*parts, chunk(b"IEND", b"")])


def _frames(agent: AdaptivePolicy, task: Any, params: Params, seed: int) -> list[np.ndarray]:
    """Return the pictures of one episode of the policy of one task, params [1, *]."""
    env = _drawn(agent, task)
    box = env.action_space if isinstance(env.action_space, gym.spaces.Box) else None
    policy, actions = agent.policy(params), agent.model.actions
    obs = checked_reset(env, int(torch.randint(2**31 - 1, (), generator=make_generator(seed))))
    frames, ended = [_picture(env)], False
    while not ended and len(frames) <= agent.horizon:
        seen = torch.as_tensor(np.ravel(obs), dtype=torch.float32)[None, None]
        act = actions.best(policy(seen))[0, 0].cpu().numpy()
        chosen = act + first_action(env) if box is None else np.clip(act, box.low, box.high).astype(box.dtype)
        obs, _, terminated, truncated = checked_step(env, chosen)
        frames.append(_picture(env))
        ended = terminated or truncated
    env.close()
    return frames


def _drawn(agent: AdaptivePolicy, task: Any) -> gym.Env:
    try:
        return agent.family.make_env(task, render_mode="rgb_array")  # pyright: ignore[reportCallIssue]
    except TypeError as error:
        if "render_mode" not in str(error):
            raise
        raise TypeError(
            'task: to draw it, make_env(task, render_mode="rgb_array") of its family must return an '
            "environment that renders to arrays"
        ) from error


def _picture(env: gym.Env) -> np.ndarray:
    picture = env.render()
    if not isinstance(picture, np.ndarray) or picture.ndim != 3:
        got = type(picture).__name__
        raise TypeError(f"task: its environment must render to an array [H, W, 3], got {got}")
    return picture.astype(np.uint8)
