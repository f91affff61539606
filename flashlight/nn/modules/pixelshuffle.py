"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.shape import PixelShuffle as PixelShuffle
from ..layers.shape import PixelUnshuffle as PixelUnshuffle
