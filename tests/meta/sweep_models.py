"""Kinds of modules and losses, and what becomes of each: equal to a plain loop over tasks, or refused."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

LOOP = "give vectorized=False"
TWICE = "cannot be differentiated twice"
RANDOM = "draws random numbers"
WRITES = "writes"
STATISTICS = "keeps running statistics"


class Case(NamedTuple):
    """A kind of module.

    Attributes:
        make: returns one in float64.
        shape: of one example x.
        vectorized: None where torch.vmap serves it, else the piece of the message that refuses it.
        loop: likewise for `vectorized=False`.
        second: the piece of the message that refuses second derivatives of either.
        integer: x holds integers below this number.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...] = (3,)
    vectorized: str | None = None
    loop: str | None = None
    second: str | None = None
    integer: int | None = None


class Through(nn.Module):
    """A layer between two linear ones: 3 -> 4 -> layer -> 2; its outputs are joined to one axis."""

    def __init__(self, layer: nn.Module, width: int = 4, unflatten: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.first, self.layer, self.last = nn.Linear(3, 4), layer, nn.Linear(width, 2)
        self.unflatten = unflatten

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        h = h if self.unflatten is None else h.unflatten(-1, self.unflatten)
        return self.last(self.layer(h).flatten(1))


class Image(nn.Module):
    """A layer on pictures, then a linear one: x [K, *] -> [K, 2]."""

    def __init__(self, *layers: nn.Module, width: int) -> None:
        super().__init__()
        self.layers, self.last = nn.Sequential(*layers), nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.layers(x).flatten(1)))


class Recurrent(nn.Module):
    """A recurrent layer over x [K, S, 3], read out at the end."""

    def __init__(self, layer: nn.Module, width: int = 4) -> None:
        super().__init__()
        self.layer, self.last = layer, nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x)[0][:, -1])


class Cell(nn.Module):
    """A recurrent cell in a loop over x [K, S, 3]."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.last = cell, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 4)
        state = (state, state) if isinstance(self.cell, nn.LSTMCell) else state
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.last(state[0] if isinstance(state, tuple) else state)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x, x, x)[0].mean(1))


class OwnAttention(nn.Module):
    """Attention that calls torch's function itself, as most written today does; shape [K, heads, S, 4]."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.first, self.last, self.causal = nn.Linear(4, 12), nn.Linear(4, 2), causal

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.first(x).chunk(3, dim=-1)
        return self.last(
            F.scaled_dot_product_attention(query, key, value, is_causal=self.causal).mean((1, 2))
        )


class Table(nn.Module):
    """A table of rows that integers look up, without an nn.Embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(5, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.rows[x]


class Tied(nn.Module):
    """Two layers with one weight; and, if `shared`, one of them under two names."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.a, self.b, self.last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.b.weight = self.a.weight
        self.c = self.a if shared else nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.b(torch.tanh(self.c(torch.tanh(self.a(x)))))))


class Writing(nn.Linear):
    """Does something to itself or its input in every forward pass."""

    count: Tensor

    def __init__(self, what: Callable[[Any, Tensor], Any]) -> None:
        super().__init__(3, 2)
        self.what = what
        self.register_buffer("count", torch.zeros(()))
        self.seen: list[Tensor] = []

    def forward(self, input: Tensor) -> Tensor:
        self.what(self, input)
        return super().forward(input)


def clamp(module: Any, x: Tensor) -> None:
    with torch.no_grad():
        module.weight.clamp_(-0.1, 0.1)


def reassign(module: Any, x: Tensor) -> None:
    module.count = module.count + 1


def remember(module: Any, x: Tensor) -> None:
    module.last = x * 2


class Checkpointed(nn.Linear):
    def forward(self, input: Tensor) -> Any:
        return checkpoint(super().forward, input, use_reentrant=False)


def shared() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(3, 2))


def embedding(**settings: Any) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Embedding(5, 3, **settings), nn.Tanh(), nn.Linear(3, 2))


def layer(make: Callable[[], nn.Module], width: int = 4, unflatten: tuple[int, ...] | None = None) -> Case:
    return Case(lambda: Through(make(), width, unflatten))


def recurrent(kind: Any, width: int = 4, **settings: Any) -> Case:
    return Case(lambda: Recurrent(kind(3, 4, batch_first=True, **settings), width), (4, 3), vectorized=LOOP)


def writing(what: Callable[[Any, Tensor], Any]) -> Case:
    return Case(lambda: Writing(what), vectorized=WRITES, loop=WRITES)


def refused(make: Callable[[], nn.Module], why: str) -> Case:
    return Case(make, vectorized=why, loop=why)


MODELS: dict[str, Case] = {
    "linear": Case(lambda: nn.Linear(3, 2)),
    "two layers": Case(lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))),
    "conv1d": Case(lambda: Image(nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), width=15), (2, 5)),
    "conv2d": Case(lambda: Image(nn.Conv2d(2, 2, 2, groups=2), width=18), (2, 4, 4)),
    "conv3d": Case(lambda: Image(nn.Conv3d(1, 2, 2), width=16), (1, 3, 3, 3)),
    "transposed conv": Case(lambda: Image(nn.ConvTranspose1d(2, 2, 2, stride=2), width=12), (2, 3)),
    "max pool": Case(lambda: Image(nn.Conv2d(1, 2, 2), nn.MaxPool2d(2), width=2), (1, 4, 4)),
    "average pool": Case(lambda: Image(nn.Conv1d(1, 2, 2), nn.AvgPool1d(2), width=4), (1, 5)),
    "adaptive pool": Case(lambda: Image(nn.Conv2d(1, 2, 2), nn.AdaptiveAvgPool2d(2), width=8), (1, 4, 4)),
    "lp pool": Case(lambda: Image(nn.Conv1d(1, 2, 2), nn.Softplus(), nn.LPPool1d(2, 2), width=4), (1, 5)),
    "pixel shuffle": Case(lambda: Image(nn.Conv2d(1, 4, 2), nn.PixelShuffle(2), width=36), (1, 4, 4)),
    "layer norm": layer(lambda: nn.LayerNorm(4)),
    "rms norm": layer(lambda: nn.RMSNorm(4)),
    "group norm": layer(lambda: nn.GroupNorm(2, 4)),
    "instance norm": layer(lambda: nn.InstanceNorm1d(2, affine=True), unflatten=(2, 2)),
    "batch norm of the batch": layer(lambda: nn.BatchNorm1d(4, track_running_stats=False)),
    "batch norm in evaluation": layer(lambda: nn.BatchNorm1d(4).eval()),
    "batch norm in training": refused(lambda: Through(nn.BatchNorm1d(4)), STATISTICS),
    "dropout in evaluation": layer(lambda: nn.Dropout(0.5).eval()),
    "dropout in training": refused(lambda: Through(nn.Dropout(0.5)), RANDOM),
    "prelu": layer(nn.PReLU),
    "glu": layer(nn.GLU, width=2),
    "gelu": layer(nn.GELU),
    "softmax": layer(lambda: nn.Softmax(-1)),
    "rrelu in evaluation": layer(lambda: nn.RReLU().eval())._replace(vectorized=LOOP),
    "rrelu in training": layer(nn.RReLU)._replace(vectorized=LOOP, loop=RANDOM),
    "bilinear": Case(lambda: Pairs(), (3,)),
    "attention": Case(Attention, (3, 4)),
    "own attention": Case(lambda: OwnAttention(False), (2, 3, 4)),
    "own causal attention": Case(lambda: OwnAttention(True), (2, 3, 4)),
    "transformer": Case(lambda: Encoder(), (3, 4)),
    "rnn": recurrent(nn.RNN),
    "lstm": recurrent(nn.LSTM),
    "gru": recurrent(nn.GRU),
    "two layers of lstm, both ways": recurrent(nn.LSTM, 8, num_layers=2, bidirectional=True),
    "lstm with dropout": recurrent(nn.LSTM, num_layers=2, dropout=0.5)._replace(loop=RANDOM),
    "rnn cell": Case(lambda: Cell(nn.RNNCell(3, 4)), (4, 3)),
    "lstm cell": Case(lambda: Cell(nn.LSTMCell(3, 4)), (4, 3), vectorized=LOOP),
    "gru cell": Case(lambda: Cell(nn.GRUCell(3, 4)), (4, 3)),
    "embedding": Case(embedding(), (), integer=5),
    "embedding with padding": Case(embedding(padding_idx=1), (), integer=5),
    "embedding with padding from the end": Case(embedding(padding_idx=-1), (), integer=5),
    "embedding of a largest norm": refused(embedding(max_norm=0.5), "max_norm=0.5")._replace(
        shape=(), integer=5
    ),
    "embedding by frequency": refused(embedding(scale_grad_by_freq=True), "scale_grad_by_freq")._replace(
        shape=(), integer=5
    ),
    "sparse embedding": refused(embedding(sparse=True), "sparse=True")._replace(shape=(), integer=5),
    "embedding bag": Case(
        lambda: nn.Sequential(nn.EmbeddingBag(5, 3), nn.Linear(3, 2)), (2,), second=TWICE, integer=5
    ),
    "a table of one's own": Case(Table, (), integer=5),
    "tied weights": Case(lambda: Tied(shared=False)),
    "a module under two names": Case(shared),
    "tied weights under two names": Case(lambda: Tied(shared=True)),
    "weight norm": layer(lambda: parametrizations.weight_norm(nn.Linear(4, 4))),
    "weight norm of columns": layer(lambda: parametrizations.weight_norm(nn.Linear(4, 4), dim=1)),
    "orthogonal": layer(lambda: parametrizations.orthogonal(nn.Linear(4, 4))),
    "spectral norm in evaluation": layer(lambda: parametrizations.spectral_norm(nn.Linear(4, 4)).eval()),
    "spectral norm in training": refused(
        lambda: Through(parametrizations.spectral_norm(nn.Linear(4, 4))), "writes the buffers"
    ),
    "writes a buffer": writing(lambda module, x: module.count.add_(1)),
    "assigns a buffer": writing(reassign),
    "clamps its weight": writing(clamp),
    "clamps its weight's data": writing(lambda module, x: module.weight.data.clamp_(-0.1, 0.1)),
    "sets its weight's data": writing(lambda module, x: setattr(module.weight, "data", module.weight * 2)),
    "writes its input": writing(lambda module, x: x.__setitem__((..., 0), 0.0)),
    "writes a view of its input": writing(lambda module, x: x.transpose(0, 1)[0].mul_(2)),
    "remembers a tensor": writing(remember),
    "collects tensors": writing(lambda module, x: module.seen.append(x * 2)),
    "relu into its input": refused(lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2)), WRITES),
    "relu into a hidden layer": Case(
        lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    ),
    "recomputed in the backward pass": Case(lambda: Checkpointed(3, 2), vectorized=LOOP),
}


class Pairs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Bilinear(3, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, torch.tanh(x))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True, layer_norm_eps=0.1)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layers(x).mean(1))


def ctc(prediction: Tensor, y: Tensor) -> Tensor:
    labels = torch.tensor([[1], [1], [1], [1], [1]])
    steps = prediction.log_softmax(-1).expand(3, -1, -1)
    return F.ctc_loss(steps, labels, torch.full((5,), 3), torch.full((5,), 1))


class Weighted(nn.Module):
    """A criterion with a buffer of its own."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor([1.0, 3.0], dtype=torch.float64))

    def forward(self, prediction: Tensor, y: Tensor) -> Tensor:
        return (self.weight * (prediction - y) ** 2).mean()


def positive(prediction: Tensor) -> Tensor:
    return prediction.T @ prediction + torch.eye(2, dtype=prediction.dtype)


class Loss(NamedTuple):
    """A criterion (prediction [5, 2], y) -> (); y is as said, other fields as in `Case`."""

    of: Callable[[Any, Any], Any]
    y: str = "numbers"
    vectorized: str | None = None
    loop: str | None = None
    second: str | None = None


SCALAR = "must return a floating-point scalar"
LOSSES: dict[str, Loss] = {
    "mse": Loss(F.mse_loss),
    "l1": Loss(F.l1_loss),
    "smooth l1": Loss(F.smooth_l1_loss),
    "huber": Loss(nn.HuberLoss(delta=0.3)),
    "bce with logits": Loss(F.binary_cross_entropy_with_logits, "signs01"),
    "bce": Loss(lambda p, y: F.binary_cross_entropy(p.sigmoid(), y), "signs01"),
    "bce with weights": Loss(nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0]).double()), "signs01"),
    "cross entropy": Loss(F.cross_entropy, "classes"),
    "cross entropy that ignores": Loss(nn.CrossEntropyLoss(ignore_index=1), "classes"),
    "cross entropy with smoothing": Loss(nn.CrossEntropyLoss(label_smoothing=0.2), "classes"),
    "cross entropy with both": Loss(nn.CrossEntropyLoss(label_smoothing=0.2, ignore_index=1), "classes"),
    "nll": Loss(lambda p, y: F.nll_loss(p.log_softmax(-1), y), "classes"),
    "kl": Loss(lambda p, y: F.kl_div(p.log_softmax(-1), y.softmax(-1), reduction="batchmean")),
    "poisson": Loss(F.poisson_nll_loss, "signs01"),
    "gaussian": Loss(lambda p, y: F.gaussian_nll_loss(p, y, torch.ones_like(p)), vectorized=LOOP),
    "cosine": Loss(lambda p, y: 1 - F.cosine_similarity(p, y).mean()),
    "cosine embedding": Loss(lambda p, y: F.cosine_embedding_loss(p, y, torch.ones(5).double())),
    "triplet": Loss(lambda p, y: F.triplet_margin_loss(p, y, -y)),
    "margin ranking": Loss(lambda p, y: F.margin_ranking_loss(p[:, 0], p[:, 1], y[:, 0].sign(), margin=0.5)),
    "hinge embedding": Loss(lambda p, y: F.hinge_embedding_loss(p, y.sign())),
    "soft margin": Loss(lambda p, y: F.soft_margin_loss(p, y.sign())),
    "multi margin": Loss(F.multi_margin_loss, "classes", second=TWICE),
    "multilabel soft margin": Loss(F.multilabel_soft_margin_loss, "signs01"),
    "ctc": Loss(ctc, second=TWICE),
    "distances": Loss(lambda p, y: torch.cdist(p, y).mean(), second=TWICE),
    "logsumexp": Loss(lambda p, y: (p - y).logsumexp(0).sum()),
    "cholesky": Loss(lambda p, y: torch.linalg.cholesky(positive(p)).sum() + y.sum()),
    "solve": Loss(lambda p, y: torch.linalg.solve(positive(p), y.T).square().sum()),
    "slogdet": Loss(lambda p, y: torch.linalg.slogdet(positive(p))[1] + y.sum()),
    "singular values": Loss(lambda p, y: torch.linalg.svdvals(p - y).square().sum()),
    "fourier": Loss(lambda p, y: torch.fft.rfft(p - y, dim=0).abs().square().sum()),
    "sort": Loss(lambda p, y: (p.sort(0).values - y.sort(0).values).square().mean()),
    "median": Loss(lambda p, y: (p - y).square().median()),
    "product": Loss(lambda p, y: (p - y).tanh().prod(-1).sum()),
    "a criterion with a buffer": Loss(Weighted()),
    "a branch on a value": Loss(
        lambda p, y: (p - y).square().mean() if p.sum() > 0 else p.mean(), vectorized=LOOP
    ),
    "a number taken out": Loss(lambda p, y: p.square().mean() * y.sum().item(), vectorized=LOOP),
    "not reduced": Loss(lambda p, y: (p - y) ** 2, vectorized=SCALAR, loop=SCALAR),
    "random": Loss(lambda p, y: (p - y + torch.randn(5, 2)).square().mean(), vectorized=RANDOM, loop=RANDOM),
    "hides its prediction": Loss(lambda p, y: y.mean(), vectorized="must depend", loop="must depend"),
}
