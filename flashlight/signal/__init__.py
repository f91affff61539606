"""Signal processing."""

from flashlight.signal import windows

__all__ = ["windows"]
