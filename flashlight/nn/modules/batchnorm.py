"""PyTorch's import path of these modules."""

# flake8: noqa: F401

from ..layers.normalization import BatchNorm1d as BatchNorm1d
from ..layers.normalization import BatchNorm2d as BatchNorm2d
from ..layers.normalization import BatchNorm3d as BatchNorm3d
from ..layers.normalization import LazyBatchNorm1d as LazyBatchNorm1d
from ..layers.normalization import LazyBatchNorm2d as LazyBatchNorm2d
from ..layers.normalization import LazyBatchNorm3d as LazyBatchNorm3d
from ..layers.normalization import SyncBatchNorm as SyncBatchNorm
from ..layers.normalization import _BatchNorm as _BatchNorm
from ..layers.normalization import _LazyNormBase as _LazyNormBase
from ..layers.normalization import _NormBase as _NormBase
