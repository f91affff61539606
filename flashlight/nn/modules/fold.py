"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.shape import Fold as Fold
from ..layers.shape import Unfold as Unfold
