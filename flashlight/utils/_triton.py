"""Triton is no part of flashlight."""


def has_triton():
    """Whether kernels can be written in Triton: no."""
    return False


has_triton_package = has_triton
