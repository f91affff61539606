"""``torch.cpu``: facts about the processor."""

import functools
from pathlib import Path


@functools.cache
def _flags():
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return frozenset()
    for line in info.read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def is_available():
    """Whether there is a CPU."""
    return True


def device_count():
    """How many devices it counts as."""
    return 1


def current_device():
    """The name of the device."""
    return "cpu"


def synchronize(device=None):
    """Nothing to wait for: reading a value waits for it."""


def get_capabilities():
    """Which instruction sets the processor has, by name."""
    names = ("avx", "avx2", "avx512f", "avx512_vnni", "amx_tile", "amx_fp16", "sve")
    return {name: name in _flags() for name in names}


def _is_avx2_supported():
    return "avx2" in _flags()


def _is_avx512_supported():
    return "avx512f" in _flags()


def _is_vnni_supported():
    return "avx512_vnni" in _flags()


def _is_amx_tile_supported():
    return "amx_tile" in _flags()


def _is_amx_fp16_supported():
    return "amx_fp16" in _flags()
