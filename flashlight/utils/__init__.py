"""Utilities around the engine: hooks, data loading, checkpointing."""

from . import _pytree as _pytree
from . import data as data
from . import deterministic as deterministic
from . import dlpack as dlpack
from . import hooks as hooks
from ._swapping import swap_tensors as swap_tensors
