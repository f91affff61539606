"""``torch.mps``: MLX's Metal backend."""

import mlx.core as mx


def is_available():
    """Whether this MLX build runs on Metal."""
    return mx.metal.is_available()


def synchronize():
    """Wait for recorded work."""
    mx.synchronize()


def empty_cache():
    """Give cached memory back."""
    mx.clear_cache()
