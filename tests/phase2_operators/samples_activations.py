"""Samples of activations that PyTorch's tables have none for."""

import math

import torch
from sampling import backward_of, case, floats, t, wide

SLOPES = (0.1, 0.4)


def noisy(name, training):
    """The op that writes its slopes to a tensor, which comes back beside the result."""

    def via(t):
        def call(x, noise):
            y = x.clone() if name.endswith("_") else x
            noise = noise.detach().clone()
            return getattr(t._C._nn, name)(y, noise, *SLOPES, training), noise

        return call

    return case(t(3, 4), t(3, 4, seed=1), via=via, only=wide)


def in_place(t):
    return lambda x, *rest: t.rrelu_(x.clone(), *rest)


def without_grad(t):
    """PyTorch's has no derivative."""
    return lambda *x, **options: t._addmm_activation(
        *(a.detach() for a in x), **options
    )


def infinite_at_infinity(gelu):
    """PyTorch's float32 loop gives NaN there, its float64 loop infinity."""

    def call(x, *args, **kwargs):
        out = gelu(x, *args, **kwargs)
        infinite = x == math.inf
        return torch.where(infinite, x, out) if infinite.any() else out

    return call


CORRECTED = {"gelu": infinite_at_infinity}

EXTRA = {
    "_log_softmax_backward_data": [
        backward_of(lambda t, x, d=d: t.log_softmax(x, d), t(3, 4), only=floats)
        for d in (0, 1)
    ],
    "_times_slope": [
        case(t(3, 4), *SLOPES, training, via=lambda t: t.rrelu, only=wide)
        for training in (False, True)
    ],
    "rrelu_": [
        case(t(3, 4), *SLOPES, training, via=in_place, only=wide)
        for training in (False, True)
    ],
    "rrelu_with_noise": [noisy("rrelu_with_noise", b) for b in (False, True)],
    "rrelu_with_noise_": [noisy("rrelu_with_noise_", b) for b in (False, True)],
    "_addmm_activation": [
        case(t(5), t(3, 4), t(4, 5), beta=0.5, via=without_grad, only=floats)
    ],
}
