"""What programs with several modes ask."""

from flashlight.utils import _python_dispatch

__all__ = ["all_same_mode", "no_dispatch"]

no_dispatch = _python_dispatch._DisableTorchDispatch


def all_same_mode(modes):
    """Whether all are the same mode as the first."""
    return all(mode == modes[0] for mode in modes)
