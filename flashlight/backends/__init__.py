"""Facts about the backends under PyTorch's names."""

from flashlight.backends import cuda, cudnn, mkl, mkldnn, mps, quantized

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "quantized"]

_flags_frozen = False


def disable_global_flags():
    """Let flags be set in ``with`` statements alone; here they choose nothing."""
    global _flags_frozen
    _flags_frozen = True
