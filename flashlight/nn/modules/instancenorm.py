"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.normalization import InstanceNorm1d as InstanceNorm1d
from ..layers.normalization import InstanceNorm2d as InstanceNorm2d
from ..layers.normalization import InstanceNorm3d as InstanceNorm3d
from ..layers.normalization import LazyInstanceNorm1d as LazyInstanceNorm1d
from ..layers.normalization import LazyInstanceNorm2d as LazyInstanceNorm2d
from ..layers.normalization import LazyInstanceNorm3d as LazyInstanceNorm3d
from ..layers.normalization import _InstanceNorm as _InstanceNorm
