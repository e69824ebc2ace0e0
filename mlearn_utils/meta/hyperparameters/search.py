"""The search for the next settings of many tasks at once: spread candidates, then ever nearer to the best."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlearn_utils.meta.hyperparameters import space as spaces
from mlearn_utils.meta.hyperparameters.candidates import ROUNDS, first_candidates, near
from mlearn_utils.meta.hyperparameters.ensemble import Ensemble
from mlearn_utils.meta.hyperparameters.expected_improvement import Results, best_first, choose_next, gains
from mlearn_utils.meta.hyperparameters.ranges import Space
from mlearn_utils.meta.hyperparameters.space import FloatArray


class Judged(NamedTuple):
    """Settings of M tasks in the unit cube [M, C, H], as columns [M, C, D], with mean and std [M, C]."""

    points: FloatArray
    columns: FloatArray
    mean: FloatArray
    std: FloatArray


@dataclass(frozen=True)
class Search:
    """A search for n settings of each task.

    Attributes:
        ensemble: predicts returns.
        space: what each hyperparameter may be.
        features: [M, F] of the tasks.
        tried: [M, k, H] points of the unit cube that were tried there; k may be 0.
        seen: [M, k] what they earned.
        n: how many a task, at most as many as there are settings.
        seed: of the candidates.
    """

    ensemble: Ensemble
    space: Space
    features: FloatArray
    tried: FloatArray
    seen: FloatArray
    n: int
    seed: int

    def run(self) -> FloatArray:
        """Return [M, n, H] points of the unit cube to try next."""
        M, k, _ = self.tried.shape
        first = first_candidates(self.space, k + self.n, self.seed)
        found, before = self.judge(np.broadcast_to(first, (M, *first.shape))), self.judge(self.tried)
        if len(first) < spaces.count_settings(self.space):
            found = self._refined(found, before)
        mean, std = (np.concatenate(pair, axis=1) for pair in zip(before[2:], found[2:], strict=True))
        chosen = np.empty((M, self.n), dtype=np.int64)
        for i in range(M):
            task = found.columns[i], mean[i], std[i], self.ensemble.kernel, before.columns[i], self.seen[i]
            chosen[i] = choose_next(*task, self.n)
        return np.take_along_axis(found.points, chosen[..., None], axis=1)

    def judge(self, points: FloatArray) -> Judged:
        """Predict the returns of points [M, C, H]; standard deviations are 1 where none is asked for."""
        columns, size = spaces.as_columns(self.space, points), points.shape[:2]
        if not points.size:
            return Judged(points, columns, np.zeros(size), np.ones(size))
        rows = np.repeat(self.features, size[1], axis=0), columns.reshape(-1, columns.shape[-1])
        first_of_all = self.n == 1 and not self.seen.size  # then the mean alone decides
        std = np.ones(size) if first_of_all else self.ensemble.std(*rows).reshape(size)
        return Judged(points, columns, self.ensemble.mean(*rows).reshape(size), std)

    def rate(self, found: Judged, before: Judged) -> tuple[FloatArray, FloatArray]:
        """Return [M, C] the expected improvement of each candidate, and its corrected mean."""
        if not self.seen.size:
            return found.mean, found.mean
        rated = []
        for i in range(len(self.seen)):
            results = Results.of(before.mean[i], before.std[i], before.columns[i], self.seen[i])
            task = found.columns[i], found.mean[i], found.std[i], self.ensemble.kernel, results
            rated.append(gains(*task)[:2])
        gain, expected = zip(*rated, strict=True)
        return np.array(gain), np.array(expected)

    def _refined(self, found: Judged, before: Judged) -> Judged:
        """Return more candidates: those found and, round by round, some near the best of all before."""
        rng, new = np.random.default_rng(self.seed), found
        gain, expected = (np.zeros((len(self.seen), 0)) for _ in range(2))
        for count, width in ROUNDS:
            pairs = zip((gain, expected), self.rate(new, before), strict=True)
            gain, expected = (np.concatenate(pair, axis=1) for pair in pairs)
            best = best_first(gain, expected)[:, :count, None]
            new = self.judge(near(self.space, np.take_along_axis(found.points, best, axis=1), width, rng))
            found = Judged(*(np.concatenate(pair, axis=1) for pair in zip(found, new, strict=True)))
        return found
