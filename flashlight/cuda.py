"""``torch.cuda``: tells the truth about MLX's CUDA backend."""

import sys

import mlx.core as mx


def is_available():
    """Whether this MLX build runs on CUDA."""
    return sys.platform != "darwin" and mx.cuda.is_available()


def device_count():
    """The number of CUDA devices."""
    return int(is_available())


def manual_seed_all(seed):
    """Nothing to do: the GPU's generator is seeded with the CPU's."""


manual_seed = manual_seed_all


def synchronize(device=None):
    """Wait for recorded work."""
    mx.synchronize()


def empty_cache():
    """Give cached memory back."""
    mx.clear_cache()
