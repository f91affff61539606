"""PyTorch's import path of the lazy mixin."""

# flake8: noqa: F401

from ..lazy import LazyModuleMixin as LazyModuleMixin
