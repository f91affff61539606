"""``torch.backends.mps``."""

import mlx.core as mx


def is_built():
    """Whether MLX was built with Metal."""
    return mx.metal.is_available()


def is_available():
    """Whether MLX runs on Metal here."""
    return mx.metal.is_available()
