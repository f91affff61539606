"""Profiles of what runs, and scopes that a program names.

While a profile runs, the results of each operator are computed before its event ends,
so that times are those of the operators (without a profile, MLX computes when a value
is asked for, and may compute several operators as one). A profile is of the thread that
began it, with the backward that this thread starts.
"""

import contextlib
import dataclasses
import time
import uuid
import warnings
from collections import defaultdict

from flashlight import _C, _profiling
from flashlight._profiling import (
    ActiveProfilerType,
    DeviceType,
    ProfilerActivity,
    ProfilerConfig,
    ProfilerState,
    _ExperimentalConfig,
)
from flashlight.autograd.profiler_util import (
    MEMORY_EVENT_NAME,
    EventList,
    FunctionEvent,
    MemRecordsAcc,
    _filter_name,
    _rewrite_name,
)
from flashlight.cuda import _check as _cuda_check

__all__ = [
    "EnforceUnique",
    "EventList",
    "FunctionEvent",
    "KinetoStepTracker",
    "MemRecordsAcc",
    "emit_itt",
    "emit_nvtx",
    "load_nvprof",
    "parse_nvprof_trace",
    "profile",
    "record_function",
]

# Whether a profile runs, of any thread: libraries ask before they name a scope.
_is_profiler_enabled = False


def _set_is_profiler_enabled(enable):
    global _is_profiler_enabled
    _is_profiler_enabled = enable


def _prepare_profiler(config, activities):
    """Nothing: what records is there at once."""


def _toggle_collection_dynamic(enable, activities):
    """Stop keeping events of the profile that runs, or go on."""
    if ProfilerActivity.CPU in activities:
        _C._profiler_pause(not enable)


def _enable_profiler(config, activities, scopes=frozenset(), *, kind=None):
    _profiling.start(config, kind or ActiveProfilerType.KINETO)
    _set_is_profiler_enabled(True)


def _disable_profiler():
    _set_is_profiler_enabled(False)
    return _profiling.stop()


@dataclasses.dataclass
class _ProfilerStats:
    """What profiling itself took."""

    profiling_window_duration_sec: float = 0
    number_of_events: int = 0
    profiler_prepare_call_duration_us: float = 0
    profiler_enable_call_duration_us: float = 0
    profiler_disable_call_duration_us: float = 0
    parse_kineto_call_duration_us: float = 0
    function_events_build_tree_call_duration_us: float = 0


@contextlib.contextmanager
def _timed(stats, name):
    began = time.perf_counter_ns()
    yield
    setattr(stats, name, (time.perf_counter_ns() - began) / 1000)


class profile:
    """Record what the calling thread runs.

    Each operator, each node of backward and each ``record_function`` is an event. While
    the profile runs, results are computed at each call: times are those of the
    operators.

    Args:
        enabled: Without it this does nothing.
        use_cuda: No events of an accelerator are kept: a warning.
        use_device: As ``use_cuda``.
        record_shapes: Keep the shapes of arguments.
        with_flops: Count operations on numbers in products of matrices, convolutions,
            ``mul`` and ``add``.
        profile_memory: Keep how much memory each event took or gave back.
        with_stack: Keep the lines of Python that calls came from, and events of
            the calls of Python functions.
        with_modules: Keep events of the calls of modules.
        use_kineto: Nothing: there is one way to record.
        use_cpu: Must be True.
        experimental_config: Settings of PyTorch's tracer.
        acc_events: Keep the events of earlier cycles of a schedule.
        custom_trace_id_callback: Gives the name of the trace.

    Example:
        >>> import flashlight as torch
        >>> x = torch.ones(2, requires_grad=True)
        >>> with torch.autograd.profiler.profile() as prof:
        ...     (x * 2).sum().backward()
        >>> [e.name for e in prof.function_events][:2]
        ['aten::mul', 'aten::sum']
        >>> table = prof.key_averages().table(sort_by="self_cpu_time_total")
    """

    _kind = ActiveProfilerType.KINETO

    def __init__(
        self,
        enabled=True,
        *,
        use_cuda=False,
        use_device=None,
        record_shapes=False,
        with_flops=False,
        profile_memory=False,
        with_stack=False,
        with_modules=False,
        use_kineto=False,
        use_cpu=True,
        experimental_config=None,
        acc_events=False,
        custom_trace_id_callback=None,
    ):
        self.enabled = enabled
        if not enabled:
            return
        device = "cuda" if use_cuda else use_device
        if device is not None and device != "cpu":
            warnings.warn(
                f"{device.upper()} is not available, disabling {device.upper()} "
                "profiling",
                stacklevel=2,
            )
        if not use_cpu:
            raise AssertionError("No activities specified for the profiler")
        self.use_cuda = False
        self.use_device = None
        self.record_shapes = record_shapes or with_flops
        self.with_flops = with_flops
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_modules = with_modules
        self.use_cpu = use_cpu
        self.acc_events = acc_events
        self.experimental_config = experimental_config or _ExperimentalConfig()
        self.custom_trace_id_callback = custom_trace_id_callback
        self.kineto_activities = {ProfilerActivity.CPU}
        self.profiler_kind = ProfilerState.KINETO
        self.kineto_results = None
        self.entered = False
        self.trace_id = ""
        self._function_events = None
        self._old_function_events = None
        self._needs_processing = False
        self._profiling_start_time_ns = 0
        self._stats = _ProfilerStats()

    # -- running

    def config(self, create_trace_id=False):
        """What is recorded, as the engine takes it."""
        if create_trace_id:
            make = self.custom_trace_id_callback or self.default_trace_id
            self.trace_id = make()
        return ProfilerConfig(
            self.profiler_kind,
            self.record_shapes,
            self.profile_memory,
            self.with_stack,
            self.with_flops,
            self.with_modules,
            self.experimental_config,
            self.trace_id,
        )

    def default_trace_id(self):
        """A name that no other trace has."""
        return uuid.uuid4().hex.upper()

    create_trace_id = default_trace_id

    def __enter__(self):
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant")
        self._prepare_trace()
        self._start_trace()
        return self

    def _prepare_trace(self):
        self.entered = True
        with _timed(self._stats, "profiler_prepare_call_duration_us"):
            self.config(create_trace_id=True)

    def _start_trace(self):
        self.entered = True
        with _timed(self._stats, "profiler_enable_call_duration_us"):
            _enable_profiler(self.config(), self.kineto_activities, kind=self._kind)
        self._profiling_start_time_ns = time.perf_counter_ns()

    def __exit__(self, exc_type=None, exc_val=None, exc_tb=None):
        if not self.enabled:
            return None
        window = time.perf_counter_ns() - self._profiling_start_time_ns
        self._stats.profiling_window_duration_sec = window / 1e9
        with _timed(self._stats, "profiler_disable_call_duration_us"):
            self.kineto_results = _disable_profiler()
        if self.acc_events:
            self._old_function_events = self._function_events
        self._function_events = None
        self._needs_processing = True
        if self.acc_events:
            self._ensure_function_events()  # the next cycle replaces the results
        return False

    def toggle_collection_dynamic(self, enabled, activities):
        """Stop keeping events for a while, or go on.

        Args:
            enabled: Whether to go on.
            activities: A list of ``ProfilerActivity``.
        """
        _toggle_collection_dynamic(enabled, set(activities))

    # -- what was recorded

    def _ensure_function_events(self):
        if self._function_events is not None:
            return
        self._needs_processing = False
        events = []
        if self.kineto_results is not None:
            with _timed(self._stats, "parse_kineto_call_duration_us"):
                events = self._parse_kineto_results(self.kineto_results)
        self._function_events = EventList(
            events,
            use_device=self.use_device,
            profile_memory=self.profile_memory,
            with_flops=self.with_flops,
        )
        name = "function_events_build_tree_call_duration_us"
        with _timed(self._stats, name):
            self._function_events._build_tree()
        self._stats.number_of_events = len(self._function_events)
        if self._old_function_events:
            self._function_events[:0] = self._old_function_events
            self._old_function_events = None

    @property
    def function_events(self):
        """The events, an ``EventList``, in the order in which they began."""
        self._ensure_function_events()
        return self._function_events

    def _parse_kineto_results(self, result):
        began = result.trace_start_ns()
        raw = result.events()
        memory = [event.nbytes() for event in raw]
        for event in reversed(raw):  # what lies in an event is its memory, too
            parent = event._raw["parent"]
            if parent >= 0:
                memory[parent] += memory[event._index]
        events = [
            self._function_event(event, began, memory[event._index])
            for event in raw
            if not _filter_name(event.name())
        ]
        last = max((event.id for event in events), default=0)
        for number, (when, nbytes, _, owner) in enumerate(result.allocations()):
            if owner < 0:
                at = (when - began) / 1000
                events.append(
                    FunctionEvent(
                        id=last + 1 + number,
                        name=MEMORY_EVENT_NAME,
                        trace_name=MEMORY_EVENT_NAME,
                        thread=result.thread(),
                        start_us=at,
                        end_us=at,
                        fwd_thread=0,
                        input_shapes=[],
                        stack=[],
                        cpu_memory_usage=nbytes,
                    )
                )
        events.sort(key=lambda e: (e.time_range.start, -e.time_range.end))
        return events

    @staticmethod
    def _function_event(event, began, memory):
        made = FunctionEvent(
            id=event.correlation_id(),
            name=_rewrite_name(event.name(), with_wildcard=True),
            trace_name=_rewrite_name(event.name()),
            overload_name=event.overload_name(),
            thread=event.start_thread_id(),
            start_us=(event.start_ns() - began) / 1000,
            end_us=(event.end_ns() - began) / 1000,
            fwd_thread=event.fwd_thread_id(),
            input_shapes=event.shapes(),
            concrete_inputs=event.concrete_inputs(),
            kwinputs=event.kwinputs(),
            stack=event.stack(),
            scope=event.scope(),
            cpu_memory_usage=memory,
            sequence_nr=event.sequence_nr(),
            device_type=DeviceType.CPU,
            device_index=event.device_index(),
            device_resource_id=event.device_resource_id(),
            flops=event.flops(),
            is_user_annotation=event.is_user_annotation(),
            is_python_function=event.is_python_function(),
        )
        made.activity_type = event.activity_type()
        made.structured_input_shapes = event.structured_input_shapes()
        made.structured_input_strides = event.structured_input_strides()
        made.input_dtypes = event.dtypes()
        return made

    def __repr__(self):
        if not self.enabled:
            return "None"
        if not self._needs_processing and self._function_events is None:
            return "<unfinished torch.autograd.profile>"
        return repr(self.function_events)

    def __str__(self):
        if not self.enabled:
            return "None"
        if not self._needs_processing and self._function_events is None:
            return "<unfinished torch.autograd.profile>"
        return str(self.function_events)

    def table(
        self,
        sort_by=None,
        row_limit=100,
        max_src_column_width=75,
        max_name_column_width=55,
        max_shapes_column_width=80,
        header=None,
        top_level_events_only=False,
    ):
        """The events as a table; see ``EventList.table``."""
        return self.function_events.table(
            sort_by=sort_by,
            row_limit=row_limit,
            max_src_column_width=max_src_column_width,
            max_name_column_width=max_name_column_width,
            max_shapes_column_width=max_shapes_column_width,
            header=header,
            top_level_events_only=top_level_events_only,
        )

    def export_chrome_trace(self, path):
        """Write JSON for ``chrome://tracing``; compressed, if ``path`` ends in .gz."""
        if self.kineto_results is None:
            raise AssertionError(
                "Profiler must be initialized before exporting chrome trace"
            )
        self.kineto_results.save(path)

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Write source lines and times; see ``EventList.export_stacks``."""
        if not self.with_stack:
            raise AssertionError("export_stacks() requires with_stack=True")
        return self.function_events.export_stacks(path, metric)

    def key_averages(
        self,
        group_by_input_shape=False,
        group_by_stack_n=0,
        group_by_overload_name=False,
    ):
        """The events of one name added up; see ``EventList.key_averages``."""
        return self.function_events.key_averages(
            group_by_input_shape, group_by_stack_n, group_by_overload_name
        )

    def total_average(self):
        """All events added up."""
        return self.function_events.total_average()

    @property
    def self_cpu_time_total(self):
        """Microseconds of all events, each without what lay in it."""
        return self.function_events.self_cpu_time_total


class record_function(contextlib.ContextDecorator):
    """Name what runs inside, as a context or a decorator: an event of a profile.

    Args:
        name: Of the event.
        args: A note, which traces have with ``record_shapes``.

    Example:
        >>> import flashlight as torch
        >>> from flashlight.autograd.profiler import profile, record_function
        >>> with profile() as prof:
        ...     with record_function("doubling"):
        ...         y = torch.ones(2) * 2
        >>> prof.function_events[0].name
        'doubling'
    """

    def __init__(self, name, args=None):
        self.name = name
        self.args = args
        # Whether the end of the block is the end of the event.
        self.run_callbacks_on_exit = True
        self._handles = []

    def _recreate_cm(self):
        # As a decorator: of each call, which may be on any thread.
        return record_function(self.name, self.args)

    def __enter__(self):
        self._handles.append(_record_function_enter_new(self.name, self.args))
        return self

    def __exit__(self, exc_type, exc_value, traceback):
        if self.run_callbacks_on_exit and self._handles:
            _record_function_exit(self._handles.pop())

    def _call_end_callbacks_on_future(self, fut):
        """Let the event end when ``fut`` is there.

        Returns:
            A future of the same value.
        """
        if not self.run_callbacks_on_exit:
            raise RuntimeError("_call_end_callbacks_on_future can only be called once.")
        self.run_callbacks_on_exit = False
        handle = self._handles.pop()

        def end(done):
            _record_function_exit(handle)
            return done.value()

        return fut.then(end)


def _record_function_enter_new(name, args=None):
    """Begin an event; what is returned ends it."""
    if not isinstance(name, str):
        raise RuntimeError(
            "profiler::_record_function_enter_new() Expected a value of type 'str' for "
            f"argument 'name' but instead found type '{type(name).__name__}'."
        )
    return _C._record_enter(name, None if args is None else [args], True)


def _record_function_exit(handle):
    if handle is not None:
        _C._record_exit(handle)


def _record_function_with_args_enter(name, *args):
    """Begin an event with arguments, whose shapes are recorded."""
    return _C._record_enter(name, list(args), True)


_record_function_with_args_exit = _record_function_exit


_NO_SCOPE = contextlib.nullcontext()


def _scope(pattern, owner):
    """A scope named by a class, ``"Optimizer.step#{}.step"``; none where no profile
    runs."""
    if not _is_profiler_enabled:
        return _NO_SCOPE
    return record_function(pattern.format(type(owner).__name__))


class emit_itt:
    """ITT ranges of each operator, for Intel's VTune. There are none here.

    Raises:
        NotImplementedError: on entering it, unless ``enabled`` is False.
    """

    def __init__(self, enabled=True, record_shapes=False):
        self.enabled = enabled
        self.record_shapes = record_shapes

    def __enter__(self):
        if self.enabled:
            raise NotImplementedError(
                f"torch.autograd.profiler.{type(self).__name__} is not supported: "
                "operators have no ranges for other tools"
            )

    def __exit__(self, exc_type, exc_val, exc_tb):
        return None


class emit_nvtx(emit_itt):
    """NVTX ranges of each operator, for NVIDIA's tools. There are none here.

    Raises:
        AssertionError: on entering it, where there is no CUDA.
        NotImplementedError: on entering it, where there is.
    """

    def __enter__(self):
        if self.enabled:
            _cuda_check()
        return super().__enter__()


def load_nvprof(path):
    """Read a trace of nvprof. NotImplementedError: nothing here writes one."""
    raise NotImplementedError(
        "torch.autograd.profiler.load_nvprof is not supported: no operator has NVTX "
        "ranges"
    )


parse_nvprof_trace = load_nvprof


class EnforceUnique:
    """Raises RuntimeError for a key that has been seen before."""

    def __init__(self):
        self.seen = set()

    def see(self, *key):
        """Look at a key."""
        if key in self.seen:
            raise RuntimeError("duplicate key: " + str(key))
        self.seen.add(key)


class KinetoStepTracker:
    """The number of the step, which several can count: the greatest one holds."""

    _current_step = 0
    _step_dict: dict[str, int] = defaultdict(int)

    @classmethod
    def init_step_count(cls, requester):
        """Let ``requester`` count from here on."""
        cls._step_dict[requester] = cls._current_step

    @classmethod
    def erase_step_count(cls, requester):
        """Forget ``requester``; whether there was one."""
        return cls._step_dict.pop(requester, None) is not None

    @classmethod
    def increment_step(cls, requester):
        """Count a step; the number of it."""
        if requester not in cls._step_dict:
            cls.init_step_count(requester)
        cls._step_dict[requester] += 1
        latest = max(cls._step_dict.values())
        if latest > cls._current_step:
            if latest - cls._current_step > 1:
                warnings.warn(
                    "Profiler step count has increased more than 1 - "
                    f"current_step = {cls._current_step} step dict =  {cls._step_dict}",
                    stacklevel=2,
                )
            cls._current_step = latest
        return cls._current_step

    @classmethod
    def current_step(cls):
        """The number of the step."""
        return cls._current_step
