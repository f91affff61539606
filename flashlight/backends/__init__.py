"""Facts about the backends under PyTorch's names."""

from flashlight.backends import cudnn, mkl, mkldnn, mps

__all__ = ["cudnn", "mkl", "mkldnn", "mps"]

_flags_frozen = False


def disable_global_flags():
    """Flags are set in ``with`` statements alone from now on. Here they choose nothing."""
    global _flags_frozen
    _flags_frozen = True
