"""Automatic differentiation."""

from flashlight.autograd.engine import _calculate_shape, backward, grad
from flashlight.autograd.function import Function, NestedIOFunction
from flashlight.autograd.grad_mode import (
    _force_original_view_tracking,
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_multithreading_enabled,
    is_view_replay_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
    set_multithreading_enabled,
)
from flashlight.autograd.gradcheck import gradcheck, gradgradcheck
from flashlight.autograd.variable import Variable

# isort: split
from flashlight._C import _profiler_running as _profiler_enabled
from flashlight._profiling import (
    DeviceType,
    ProfilerActivity,
    ProfilerConfig,
    ProfilerState,
    _add_metadata_json,
    _KinetoEvent,
    _ProfilerResult,
    _supported_activities,
    kineto_available,
)
from flashlight.autograd import (
    _functions,
    forward_ad,
    function,
    functional,
    graph,
    profiler,
    profiler_legacy,
    profiler_util,
)
from flashlight.autograd.graph import SavedTensor
from flashlight.autograd.profiler import (
    _disable_profiler,
    _enable_profiler,
    _prepare_profiler,
    _record_function_with_args_enter,
    _record_function_with_args_exit,
    _toggle_collection_dynamic,
)

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
    "profiler",
    "set_detect_anomaly",
    "set_grad_enabled",
    "is_view_replay_enabled",
    "set_multithreading_enabled",
]
