"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.shape import ChannelShuffle as ChannelShuffle
