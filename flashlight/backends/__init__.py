"""Facts about the backends under PyTorch's names."""

from flashlight.backends import cudnn, mps

__all__ = ["cudnn", "mps"]
