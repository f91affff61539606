"""``torch.backends.mps``."""

import platform

import mlx.core as mx


def is_built():
    """Whether MLX was built with Metal."""
    return mx.metal.is_available()


def is_available():
    """Whether MLX runs on Metal here."""
    return mx.metal.is_available()


def is_macos13_or_newer(minor=0):
    """Whether the system is macOS 13 or newer."""
    release = platform.mac_ver()[0]
    version = tuple(int(n) for n in release.split(".")[:2]) if release else (0,)
    return version >= (13, minor)
