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


def is_initialized():
    """Whether a CUDA device has been set up: from the start, where there is one."""
    return is_available()


def _is_compiled():
    return is_available()


def _check():
    if not is_available():
        raise AssertionError("Torch not compiled with CUDA enabled")


def init():
    """Set CUDA up; AssertionError where this MLX build has none."""
    _check()


def current_device():
    """The index of the device in use; AssertionError where there is none."""
    _check()
    return 0


def synchronize(device=None):
    """Wait for recorded work."""
    mx.synchronize()


def empty_cache():
    """Give cached memory back."""
    mx.clear_cache()


def is_tf32_supported():
    """Whether there is a CUDA device, whose products of float32 may be in TF32."""
    return is_available()
