"""Utilities around the engine: hooks, data loading, checkpointing."""

from . import data as data
from . import hooks as hooks
