"""Samples of the losses that PyTorch's tables have none for, and of their gradients."""

import torch
from sampling import backward_of, case, t, wide


def classes(*shape, n, skip=False):
    """A maker of class indices; with `skip`, one of them is -100."""

    def make(dtype):
        g = torch.Generator().manual_seed(sum(shape) + n)
        x = torch.randint(0, n, shape, generator=g)
        if skip:
            x.view(-1)[0] = -100
        return x

    return make


def lengths(*values):
    return lambda dtype: torch.tensor(values)


def functional(name):
    return lambda t: getattr(t.nn.functional, name)


def loss(name, *args, weight=None, **kwargs):
    """A case of nn.functional's loss of that name."""
    if weight is not None:
        kwargs["weight"] = weight
    return case(*args, via=functional(name), constant=("weight",), only=wide, **kwargs)


def gradient_of(name, *args, **kwargs):
    return backward_of(
        lambda t, *a: getattr(t.nn.functional, name)(*a, **kwargs), *args, only=wide
    )


REDUCTIONS = ("none", "mean", "sum")
WEIGHTS = (None, t(3, low=0.1))
IMAGE, PIXELS = t(2, 3, 4, 2), classes(2, 4, 2, n=3)

NLL = [
    loss("nll_loss", x, y, weight=w, reduction=r)
    for x, y in ((t(4, 3), classes(4, n=3, skip=True)), (t(3), classes(n=3)))
    for w in WEIGHTS
    for r in REDUCTIONS
]
NLL_2D = [
    loss("nll_loss", IMAGE, y, weight=w, reduction=r)
    for y in (PIXELS, classes(2, 4, 2, n=3, skip=True))
    for w in WEIGHTS
    for r in REDUCTIONS
]
NLL_ND = [
    loss("nll_loss", t(2, 3, *rest), classes(2, *rest, n=3), reduction=r)
    for rest in ((5,), (2, 3, 2))
    for r in ("none", "mean")
]
PATHS, LABELS = t(5, 2, 4, low=-3, high=0), [[1, 2, 1], [3, 3, 0]]
CTC = [
    loss("ctc_loss", PATHS, lambda dtype: torch.tensor(LABELS), *given, reduction=r)
    for r, given in (
        ("none", ([5, 4], [3, 2])),
        ("none", ([5, 0], [2, 0])),
        ("none", (lengths(5, 4), lengths(3, 1))),
        ("mean", (lengths(3, 2), lengths(0, 2))),
    )
]


def ctc_gradient(given, **kwargs):
    def function(t, x, targets):
        loss = t.nn.functional.ctc_loss(x, targets, *given, **kwargs)
        return t.where(t.isfinite(loss), loss, t.zeros_like(loss))

    return backward_of(function, PATHS, lambda dtype: torch.tensor(LABELS), only=wide)


EXTRA = {
    "nll_loss_forward": NLL,
    "nll_loss": NLL,
    "nll_loss_nd": NLL + NLL_2D + NLL_ND,
    "nll_loss2d_forward": NLL_2D + NLL_ND,
    "nll_loss2d": NLL_2D
    + [
        case(IMAGE, PIXELS, None, r, via=lambda t: t._C._nn.nll_loss2d, only=wide)
        for r in (0, 1)
    ],
    "nll_loss_backward": [
        gradient_of("nll_loss", t(4, 3), classes(4, n=3, skip=True), reduction=r)
        for r in REDUCTIONS
    ],
    "nll_loss2d_backward": [
        gradient_of("nll_loss", IMAGE, PIXELS, reduction=r) for r in REDUCTIONS
    ],
    "cross_entropy_loss": [
        *(
            loss("cross_entropy", t(4, 3), y, weight=w, label_smoothing=s)
            for y in (classes(4, n=3, skip=True), classes(4, n=3))
            for w in WEIGHTS
            for s in (0.0, 0.3)
        ),
        *(
            loss("cross_entropy", IMAGE, PIXELS, reduction=r, label_smoothing=0.2)
            for r in ("none", "sum")
        ),
        *(
            loss("cross_entropy", t(4, 3), t(4, 3, low=0), weight=w, reduction=r, **s)
            for w in WEIGHTS
            for r in REDUCTIONS
            for s in ({}, {"label_smoothing": 0.3})
        ),
        loss("cross_entropy", t(3), classes(n=3)),
        loss("cross_entropy", t(3), t(3, low=0)),
    ],
    "multilabel_margin_loss_forward": [
        loss("multilabel_margin_loss", x, lambda _, y=y: torch.tensor(y), reduction=r)
        for x, y in (
            (t(3, 4), [[0, 1, -1, 0], [3, 3, 0, -1], [-1, 0, 0, 0]]),
            (t(4), [2, 0, -1, 1]),
        )
        for r in REDUCTIONS
    ],
    "_ctc_loss": CTC,
    "ctc_loss.IntList": CTC,
    "ctc_loss.Tensor": CTC,
    "_ctc_loss_backward": [
        ctc_gradient(([5, 4], [3, 2]), reduction="none"),
        ctc_gradient(([5, 3], [3, 2])),
        ctc_gradient(([4, 2], [3, 2]), reduction="none", zero_infinity=True),
    ],
    "_pdist_forward": [
        case(t(4, 3), p, via=lambda t: t.pdist, only=wide) for p in (0, 1, 2, 3.5)
    ],
}
