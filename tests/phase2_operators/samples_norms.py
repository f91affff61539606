"""Samples of norms."""

import torch
from sampling import case, t, wide


def by_parts(weight_norm):
    """PyTorch's second derivative of weight norm is not that of its first."""

    def call(v, g, dim=0):
        if not v.requires_grad:
            return weight_norm(v, g, dim)
        return v * (g / torch.norm_except_dim(v, 2, dim))

    return call


CORRECTED = {"_weight_norm": by_parts}

EXTRA = {
    "norm_except_dim": [
        case(t(3, 4, 2), *args, only=wide)
        for args in ((), (2, 0), (2, -1), (1, 2), (3, 1))
    ],
    "_weight_norm": [
        case(t(3, 4), t(3, 1), only=wide),
        case(t(3, 4), t(1, 4), 1, only=wide),
    ],
}
