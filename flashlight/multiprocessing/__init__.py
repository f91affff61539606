"""``torch.multiprocessing``: Python's ``multiprocessing``, in which tensors are shared.

A tensor that is sent to another process lies in memory that both see from then on, and
so does one after ``share_memory_()``: what either writes, the other reads. Computing
with such a tensor costs a copy of it; see docs/views.md.
"""

import multiprocessing
import warnings
from multiprocessing import *  # noqa: F401,F403

from flashlight.multiprocessing.reductions import init_reductions
from flashlight.multiprocessing.spawn import (  # noqa: F401
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

__all__ = [
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    *multiprocessing.__all__,
]

_STRATEGIES = {"file_descriptor", "file_system"}
_strategy = "file_descriptor"


def get_all_sharing_strategies():
    """Return the names that :func:`set_sharing_strategy` takes."""
    return set(_STRATEGIES)


def get_sharing_strategy():
    """Return the name of the way in which memory is shared."""
    return _strategy


def set_sharing_strategy(new_strategy):
    """Set how processes find memory that they share.

    Args:
        new_strategy: ``"file_descriptor"``; ``"file_system"`` is taken with a warning,
            since memory has no name in the file system here.

    Raises:
        AssertionError: If it is neither.
    """
    global _strategy
    if new_strategy not in _STRATEGIES:
        raise AssertionError(
            f"invalid sharing strategy {new_strategy!r}, expected one of {_STRATEGIES}"
        )
    if new_strategy == "file_system":
        warnings.warn(
            "the sharing strategy 'file_system' is not supported: memory is shared by "
            "file descriptors, of which each shared tensor takes one",
            stacklevel=2,
        )
    _strategy = new_strategy


init_reductions()
