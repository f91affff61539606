"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.shape import Flatten as Flatten
from ..layers.shape import Unflatten as Unflatten
