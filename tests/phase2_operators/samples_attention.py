"""Samples of attention that PyTorch's tables have none for."""

import torch
from sampling import case, t, wide


def narrow(dtype):
    return dtype in (torch.float32, torch.float16)


def fused(t):
    """Called by name: on the CPU attention is made of parts."""
    if t.__name__ == "flashlight":
        return lambda q, k, v, scale: t._fused_attention(q, k, v, False, scale)
    f = t.nn.functional.scaled_dot_product_attention
    return lambda q, k, v, scale: f(q, k, v, scale=scale)


def plainly(attention):
    """PyTorch's attention without its CPU kernel, which loses NaN.

    That one has no second derivative either.
    """

    def call(*args, **kwargs):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return attention(*args, **kwargs)

    return call


CORRECTED = {"scaled_dot_product_attention": plainly}

EXTRA = {
    "_safe_softmax": [
        case(t(3, 4), d, via=lambda t: t._safe_softmax, only=wide) for d in (0, 1)
    ],
    "_fused_attention": [
        case(t(2, 3, 5, 4), t(2, 3, 6, 4), t(2, 3, 6, 6), x, via=fused, only=narrow)
        for x in (0.5, 0.3)
    ],
}
