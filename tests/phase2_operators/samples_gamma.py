"""Samples of gamma distributions and histograms: see registry.extra()."""

import math

import mpmath
import torch
from sampling import case, t, wide


def exact_slope(alpha, x):
    """dx / dalpha at a fixed place of the gamma distribution, to 15 digits."""

    def one(a, x):
        if not (0 < a < math.inf and 0 < x < math.inf):
            return 0.0 if x == 0 and a > 0 else math.nan
        with mpmath.workdps(30):
            a, x = mpmath.mpf(a), mpmath.mpf(x)
            slope = mpmath.diff(lambda q: mpmath.gammainc(q, 0, x, regularized=True), a)
            return float(-slope * mpmath.gamma(a) * mpmath.exp(x) / x ** (a - 1))

    pairs = zip(alpha.double().flatten().tolist(), x.double().flatten().tolist())
    slopes = torch.tensor([one(a, x) for a, x in pairs], dtype=torch.float64)
    return slopes.view(alpha.shape).to(alpha.dtype)


class Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx, alpha):
        x = torch._standard_gamma(alpha)
        ctx.save_for_backward(alpha, x)
        return x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad * exact_slope(*ctx.saved_tensors)


# torch's slopes have three digits.
CORRECTED = {
    "_standard_gamma": lambda torchs: Sample.apply,
    "_standard_gamma_grad": lambda torchs: lambda a, x: exact_slope(
        a.detach(), x.detach()
    ),
}


def ordered(dtype):
    return torch.tensor([-1.5, -0.5, 0.25, 1.0], dtype=dtype)


EXTRA = {
    "_standard_gamma": [case(t(2, 4, low=0.2, high=9), only=wide)],
    "_standard_gamma_grad": [
        case(
            *(t(2, 4, low=0.2, high=9), t(2, 4, low=0.1, high=12, seed=1)),
            via=lambda t: of_values(t._standard_gamma_grad),
            only=wide,
        )
    ],
    "_sample_dirichlet": [
        case(
            t(*shape, low=0.2, high=4),
            via=lambda t: lambda alpha: t._sample_dirichlet(alpha.detach()),
            only=wide,
        )
        for shape in ((3, 4), (5,))
    ],
    "histogramdd.int_bins": [
        case(t(7, 2), 3, density=d, via=lambda t: of_values(t.histogramdd), only=wide)
        for d in (False, True)
    ],
    "histogramdd.TensorList_bins": [
        case(
            *(t(7, 2), [ordered, ordered]),
            weight=t(7, seed=2),
            via=lambda t: of_values(t.histogramdd),
            only=wide,
        )
    ],
    "_histogramdd_from_bin_tensors": [
        case(
            *(t(7, 2), [ordered, ordered]),
            weight=t(7, seed=2),
            via=lambda t: of_values(t._histogramdd_from_bin_tensors),
            only=wide,
        )
    ],
    "histogramdd": [
        case(
            *(t(2, 7, 2), [3, 2]),
            range=[-1.0, 1.0, 0.0, 2.0],
            via=lambda t: of_values(t.histogramdd),
            only=wide,
        )
    ],
}


def of_values(function):
    """`function` of what has no gradient: of a histogram there is none."""

    def detached(x):
        if isinstance(x, (list, tuple)):
            return type(x)(detached(i) for i in x)
        return x.detach() if hasattr(x, "detach") else x

    def call(*args, **kwargs):
        named = {k: detached(v) for k, v in kwargs.items()}
        return function(*detached(args), **named)

    return call
