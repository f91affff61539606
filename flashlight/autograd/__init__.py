"""Automatic differentiation."""

from flashlight.autograd.engine import backward, grad
from flashlight.autograd.function import Function, NestedIOFunction
from flashlight.autograd.grad_mode import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_multithreading_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
    set_multithreading_enabled,
)
from flashlight.autograd.gradcheck import gradcheck, gradgradcheck
from flashlight.autograd.variable import Variable

# isort: split
from flashlight.autograd import forward_ad, function, functional, graph
from flashlight.autograd.graph import SavedTensor

__all__ = [
    "Function",
    "NestedIOFunction",
    "SavedTensor",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_multithreading_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
]
