"""Makers of samples for the rows that PyTorch's tables have none for."""

import torch


def t(*shape, low=-2.0, high=2.0, seed=0):
    """A maker of one tensor argument, by dtype."""

    def make(dtype):
        g = torch.Generator().manual_seed(seed + sum(shape))
        x = torch.rand(shape, generator=g, dtype=torch.float64) * (high - low) + low
        return x.to(dtype)

    return make


def case(*args, via=None, only=None, constant=(), direct=True, **kwargs):
    """A case for EXTRA: callables among the arguments are makers of tensors.

    `via(t)` gives the function to call, of torch and of flashlight alike, where it
    has another name than the row; `only(dtype)` says for which dtypes there is one;
    `constant` names arguments that take no gradient; `direct` says that the arguments
    are the op's own, so that its other forms take them too.
    """

    def make(dtype):
        def build(x):
            if isinstance(x, (list, tuple)):
                return type(x)(build(i) for i in x)
            return x(dtype) if callable(x) and not isinstance(x, type) else x

        named = {k: build(v) for k, v in kwargs.items()}
        return via, tuple(build(a) for a in args), named

    make.only, make.constant, make.direct = only, constant, direct
    return make


def backward_of(function, *args, only=None, graph=False):
    """A case of the row that differentiates `function(t, *args)` by its first one.

    `graph`: so that it could be differentiated again.
    """

    def via(t):
        def run(x, *rest):
            x = x.detach().requires_grad_()
            out = function(t, x, *rest)
            out = out if isinstance(out, t.Tensor) else out[0]
            ones = t.ones_like(out)
            return t.autograd.grad(out, x, ones, create_graph=graph)[0].detach()

        return run

    return case(*args, via=via, only=only or inexact, direct=False)


def floats(dtype):
    return dtype.is_floating_point


def real(dtype):
    return not dtype.is_complex


def wide(dtype):
    return dtype in (torch.float32, torch.float64)


def inexact(dtype):
    return dtype.is_floating_point or dtype.is_complex


def not_bool(dtype):
    return dtype != torch.bool


def whole(dtype):
    return not dtype.is_floating_point and not dtype.is_complex


def integers(dtype):
    return whole(dtype) and dtype != torch.bool


def numbers(dtype):
    return real(dtype) and dtype != torch.bool


def product(*args, via):
    """A case of a product of matrices, which takes no bools."""
    return case(*args, via=via, only=not_bool)


def mask(*shape):
    """A maker of a mask, whatever the dtype."""
    return lambda dtype: t(*shape)(torch.float32) > 0


def operator_of(name):
    return lambda t: getattr(t.Tensor, name)


def clamp_of(t):
    return t.clamp


def div_of(t):
    return t.div
