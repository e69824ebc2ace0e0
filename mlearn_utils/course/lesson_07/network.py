"""A small torch network as a regressor: an estimator for `HyperparameterModel`, to compare with trees."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from mlearn_utils.runtime import make_generator


class NetworkRegressor:
    """Two hidden layers of tanh units, trained by Adam on squared error in batches.

    Args:
        hidden: units of each hidden layer.
        epochs: passes over the rows.
        learning_rate: Adam's.
        weight_decay: pulls the weights to zero.
        seed: of the start and of the order of the rows.
    """

    def __init__(
        self,
        hidden: int = 64,
        epochs: int = 30,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-4,
        seed: int = 0,
    ):
        self.hidden, self.epochs, self.learning_rate = hidden, epochs, learning_rate
        self.weight_decay, self.seed = weight_decay, seed

    def fit(self, x: Any, y: Any) -> "NetworkRegressor":
        """Learn from rows x [N, D] and values y [N]."""
        rows, values = (torch.as_tensor(np.asarray(array), dtype=torch.float32) for array in (x, y))
        generator = make_generator(self.seed)
        self._center, self._scale = values.mean(), values.std(correction=0).clamp(min=1e-6)
        self._model = self._network(rows.shape[1], generator)
        optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        target = (values - self._center) / self._scale
        for _ in range(self.epochs):
            for batch in torch.randperm(len(rows), generator=generator).split(512):
                loss = (self._model(rows[batch])[:, 0] - target[batch]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return self

    @torch.no_grad()
    def predict(self, x: Any) -> np.ndarray:
        """Return values [N] for rows x [N, D]."""
        rows = torch.as_tensor(np.asarray(x), dtype=torch.float32)
        return (self._model(rows)[:, 0] * self._scale + self._center).double().numpy()

    def _network(self, inputs: int, generator: torch.Generator) -> nn.Module:
        sizes = (inputs, self.hidden, self.hidden, 1)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layer = nn.Linear(n_in, n_out)
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -(n_in**-0.5), n_in**-0.5, generator=generator)
            layers += [layer, nn.Tanh()]
        return nn.Sequential(*layers[:-1])
