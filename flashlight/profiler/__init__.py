"""Profiles: what ran, for how long, with what memory."""

from flashlight import ops
from flashlight._profiling import DeviceType, ProfilerActivity, kineto_available
from flashlight.autograd.profiler import (
    _record_function_enter_new,
    _record_function_exit,
    record_function,
)
from flashlight.profiler import _utils, itt  # noqa: F401
from flashlight.profiler.profiler import (
    ExecutionTraceObserver,
    ProfilerAction,
    _KinetoProfile,
    profile,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)

__all__ = [
    "DeviceType",
    "ExecutionTraceObserver",
    "ProfilerAction",
    "ProfilerActivity",
    "_KinetoProfile",
    "itt",
    "kineto_available",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]

# torch.ops.profiler
_ops = ops.profiler
_ops._record_function_enter = _ops._record_function_enter_new = (
    _record_function_enter_new
)
_ops._record_function_exit = _record_function_exit
