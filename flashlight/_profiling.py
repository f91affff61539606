"""``torch._C._profiler``, and what a profile recorded as PyTorch's classes show it."""

import enum
import gzip
import json
import os
import socket
import sys
import threading
import types
import uuid

from flashlight import _C


class _Named(enum.Enum):
    """An enumeration of PyTorch's: its members are also ints."""

    def __str__(self):
        return f"{type(self).__name__}.{self.name}"

    def __int__(self):
        return self.value

    __index__ = __int__


class RecordScope(_Named):
    """What kind of thing an event is of."""

    FUNCTION = 0
    BACKWARD_FUNCTION = 1
    TORCHSCRIPT_FUNCTION = 2
    KERNEL_FUNCTION_DTYPE = 3
    CUSTOM_CLASS = 4
    BUILD_FEATURE = 5
    LITE_INTERPRETER = 6
    USER_SCOPE = 7
    STATIC_RUNTIME_OP = 8
    STATIC_RUNTIME_MODEL = 9


class ProfilerState(_Named):
    """How a profiler records. Here there is one way, ``KINETO``."""

    Disabled = 0
    CPU = 1
    CUDA = 2
    NVTX = 3
    ITT = 4
    PRIVATEUSE1 = 5
    KINETO = 6
    KINETO_GPU_FALLBACK = 7
    KINETO_PRIVATEUSE1_FALLBACK = 8
    KINETO_PRIVATEUSE1 = 9


class ActiveProfilerType(_Named):
    """Which profiler runs on the calling thread."""

    NONE = 0
    LEGACY = 1
    KINETO = 2
    NVTX = 3
    ITT = 4
    PRIVATEUSE1 = 5


class ProfilerActivity(_Named):
    """What is profiled. Events are of calls, so here there is ``CPU`` alone."""

    CPU = 0
    XPU = 1
    CUDA = 2
    HPU = 3
    MTIA = 4
    PrivateUse1 = 5


class _EventType(_Named):
    TorchOp = 0
    Backend = 1
    Vulkan = 2
    Allocation = 3
    PyCall = 5
    PyCCall = 6
    Kineto = 7


class DeviceType(_Named):
    """Where an event was."""

    CPU = 0
    CUDA = 1
    MKLDNN = 2
    OPENGL = 3
    OPENCL = 4
    IDEEP = 5
    HIP = 6
    FPGA = 7
    MAIA = 8
    XLA = 9
    Vulkan = 10
    Metal = 11
    XPU = 12
    MPS = 13
    Meta = 14
    HPU = 15
    VE = 16
    Lazy = 17
    IPU = 18
    MTIA = 19
    PrivateUse1 = 20


class _ExperimentalConfig:
    """Settings of PyTorch's tracer.

    Here ``adjust_profiler_step`` lets steps of traces with stacks end with the function
    that calls ``step``. The others change nothing of what is recorded.
    """

    _DEFAULTS = {
        "profiler_metrics": (),
        "profiler_measure_per_kernel": False,
        "verbose": False,
        "performance_events": (),
        "enable_cuda_sync_events": False,
        "adjust_profiler_step": False,
        "disable_external_correlation": False,
        "profile_all_threads": False,
        "capture_overload_names": False,
        "record_python_gc_info": False,
        "expose_kineto_event_metadata": False,
        "custom_profiler_config": "",
        "adjust_timestamps": False,
        "trace_only": False,
    }
    # Of these the effect would be missed.
    _ABSENT = ("profile_all_threads", "record_python_gc_info", "profiler_metrics")

    def __init__(self, *args, **kwargs):
        names = list(self._DEFAULTS)
        given = dict(zip(names, args, strict=False)) | kwargs
        for name in given:
            if name not in self._DEFAULTS or len(args) > len(names):
                raise TypeError(
                    f"_ExperimentalConfig(): incompatible constructor arguments: {name}"
                )
        for name in self._ABSENT:
            if given.get(name):
                raise NotImplementedError(
                    f"_ExperimentalConfig({name}=...) is not supported"
                )
        for name, default in self._DEFAULTS.items():
            setattr(self, name, given.get(name, default))


class ProfilerConfig:
    """What a profiler records."""

    def __init__(
        self,
        state,
        report_input_shapes,
        profile_memory,
        with_stack,
        with_flops,
        with_modules,
        experimental_config,
        trace_id="",
    ):
        self.state = state
        self.report_input_shapes = report_input_shapes
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_flops = with_flops
        self.with_modules = with_modules
        self.experimental_config = experimental_config
        self.trace_id = trace_id


# --- what runs on a thread -----------------------------------------------------------


class _Running(threading.local):
    """The profile of a thread."""

    def __init__(self):
        self.config = None
        self.type = ActiveProfilerType.NONE
        self.keywords = {}  # event: what _RecordFunctionFast was given
        self.metadata = {}


running = _Running()
switches = {"concrete_inputs": True, "fwd_bwd": True}

# PyTorch's numbers of what only has a name here.
_DTYPES = (
    "uint8 int8 int16 int32 int64 float16 float32 float64 complex32 complex64 "
    "complex128 bool qint8 quint8 qint32 bfloat16"
).split()


def _concrete(value):
    """An argument that is no tensor as events have it."""
    if isinstance(value, _C.dtype):
        name = str(value).rpartition(".")[2]
        return _DTYPES.index(name) if name in _DTYPES else None
    if isinstance(value, _C.layout):
        return 0 if "strided" in str(value) else 1
    if isinstance(value, _C.memory_format):
        names = ["contiguous_format", "preserve_format", "channels_last"]
        name = str(value).rpartition(".")[2]
        return names.index(name) if name in names else 3
    if isinstance(value, (bool, int, float, complex, list)):
        return value
    return None


def start(config, kind=ActiveProfilerType.KINETO):
    """Begin a profile of the calling thread; RuntimeError if one runs."""
    import flashlight.nn.module as module
    from flashlight.autograd import profiler
    from flashlight.profiler import profiler as schedules

    _C._profiler_start(
        config.report_input_shapes,
        config.profile_memory,
        config.with_stack,
        config.with_flops,
        config.with_modules,
        module.Module.__call__.__code__,
        [__file__, profiler.__file__, schedules.__file__],
    )
    running.config, running.type = config, kind
    running.keywords, running.metadata = {}, {}


def stop():
    """End the profile of the calling thread."""
    raw = _C._profiler_stop()
    result = _ProfilerResult(raw, running.config, running.keywords, running.metadata)
    running.__init__()
    return result


class _RecordFunctionFast:
    """``record_function`` without the means of a decorator.

    Args:
        name: Of the event.
        input_values: A list or tuple of tensors and other values, whose shapes are
            recorded with ``record_shapes``.
        keyword_values: Numbers and strings that are recorded with ``record_shapes``.
    """

    def __init__(self, name, input_values=None, keyword_values=None):
        if not isinstance(name, str):
            raise TypeError("The name passed to RecordFunctionFast must be a string")
        if input_values is not None and not isinstance(input_values, (list, tuple)):
            raise TypeError("input_values must be a list or tuple")
        if keyword_values is not None and not isinstance(keyword_values, dict):
            raise TypeError("keyword_values must be dict")
        self.name, self.input_values = name, input_values
        self.keyword_values = keyword_values
        self._handles = []

    def __enter__(self):
        handle = _C._record_enter(self.name, self.input_values, False)
        self._handles.append(handle)
        if handle is not None and self.keyword_values:
            if running.config.report_input_shapes:
                running.keywords[handle.event] = dict(self.keyword_values)

    def __exit__(self, *exc):
        handle = self._handles.pop()
        if handle is not None:
            _C._record_exit(handle)


# --- what it recorded ----------------------------------------------------------------

_PYTHON = 32  # the scope of calls that Python reports


def _prefixes():
    return sorted({p.rstrip("/") + "/" for p in sys.path if p}, key=len, reverse=True)


class _KinetoEvent:
    """An event, with what PyTorch's has as methods."""

    def __init__(self, result, index, raw):
        self._result, self._index, self._raw = result, index, raw

    @property
    def _is_python(self):
        return self._raw["scope"] == _PYTHON

    def name(self):
        """The name."""
        return (
            self._result._name(self._raw["name"])
            if self._is_python
            else (self._raw["name"])
        )

    def overload_name(self):
        """Of an op, the name of its overload."""
        return self._raw["overload"]

    def start_ns(self):
        """When it began, in nanoseconds of the Unix epoch."""
        return self._raw["start"]

    def end_ns(self):
        """When it ended."""
        return self._raw["end"]

    def duration_ns(self):
        """How long it took."""
        return self._raw["end"] - self._raw["start"]

    def start_thread_id(self):
        """The number of its thread."""
        return self._raw["thread"]

    end_thread_id = start_thread_id

    def fwd_thread_id(self):
        """Of backward, the number of the thread of the forward; else 0."""
        return self._raw["forward_thread"]

    def sequence_nr(self):
        """The number of the node that the call made, or was of; -1 without one."""
        return self._raw["sequence"]

    def scope(self):
        """Of ``RecordScope``."""
        return 0 if self._is_python else self._raw["scope"]

    def correlation_id(self):
        """A number that no other event of the process has."""
        return 0 if self._is_python else self._result._first_id + self._index

    def linked_correlation_id(self):
        """0: nothing on an accelerator is linked."""
        return 0

    def shapes(self):
        """The sizes of each argument that is a tensor; ``[]`` for others."""
        lists = ["List" in t for t in self.dtypes()]
        return [[] if x else s for s, x in zip(self._raw["shapes"], lists, strict=True)]

    def structured_input_shapes(self):
        """... with those of each tensor of a list."""
        return self._raw["shapes"]

    def structured_input_strides(self):
        """The strides of each argument that is a tensor."""
        return self._raw["strides"]

    def dtypes(self):
        """The dtype of each argument that is a tensor, or what else it is."""
        return self._raw["types"]

    def concrete_inputs(self):
        """The arguments that are no tensors."""
        if not switches["concrete_inputs"]:
            return []
        return [_concrete(value) for value in self._raw["values"]]

    def kwinputs(self):
        """What ``_RecordFunctionFast`` was given as keywords."""
        return self._result._keywords.get(self._index, {})

    def stack(self):
        """The lines of Python that it was called from, innermost first."""
        return [self._result._name(line) for line in self._raw["stack"]]

    def flops(self):
        """Operations on numbers, by PyTorch's formulas."""
        return self._raw["flops"]

    def nbytes(self):
        """Bytes that became used while nothing in it was open."""
        return self._raw["memory"]

    def device_type(self):
        """Of ``DeviceType``."""
        return DeviceType.CPU

    def device_index(self):
        """The process."""
        return os.getpid()

    def device_resource_id(self):
        """The thread, as the system numbers it."""
        return self._result._native_thread

    def is_async(self):
        """False: it ended on the thread where it began."""
        return False

    def is_python_function(self):
        """Whether Python reported it."""
        return self._is_python

    def is_user_annotation(self):
        """Whether it is a ``record_function``."""
        return self.scope() == RecordScope.USER_SCOPE.value

    def activity_type(self):
        """``"cpu_op"``, ``"user_annotation"`` or ``"python_function"``."""
        if self._is_python:
            return "python_function"
        return "user_annotation" if self.is_user_annotation() else "cpu_op"


class _ExtraFields_TorchOp:
    """Of an operator, a node of backward or a scope."""

    def __init__(self, event):
        self.name = event.name()
        self.sequence_number = event.sequence_nr()
        self.scope = RecordScope(event.scope())


class _ExtraFields_PyCall:
    """Of the call of a Python function."""

    def __init__(self, event):
        self.name = event.name()


class _ExtraFields_PyCCall(_ExtraFields_PyCall):
    """Of the call of a builtin."""


class _ProfilerEvent:
    """A node of the tree of events."""

    _FIELDS = {
        _EventType.TorchOp: _ExtraFields_TorchOp,
        _EventType.PyCall: _ExtraFields_PyCall,
        _EventType.PyCCall: _ExtraFields_PyCCall,
    }

    def __init__(self, event, tag):
        self.extra_fields = self._FIELDS[tag](event)
        self.typed = (tag, self.extra_fields)
        self.name = event.name()
        self.id = event._index
        self.correlation_id = event.correlation_id()
        self.start_tid = event.start_thread_id()
        self.start_time_ns = event.start_ns()
        self.end_time_ns = event.end_ns()
        self.duration_time_ns = event.duration_ns()
        self.overload_name = event.overload_name()
        self.tag = tag
        self.parent = None
        self.children = []

    def __repr__(self):
        return f"<_ProfilerEvent {self.name}>"


def _plain(keywords):
    """As PyTorch's traces: numbers and strings; no quotes; a stream is a number."""
    out = {}
    for key, value in keywords.items():
        number = isinstance(value, (bool, int, float))
        if isinstance(value, str) and key != "stream":
            out[key] = "None" if '"' in value else value
        elif number and (key != "stream" or isinstance(value, int)):
            out[key] = value
    return out


class _ProfilerResult:
    """All that a profile recorded."""

    _next_id = 1
    _lock = threading.Lock()

    def __init__(self, raw, config, keywords, metadata):
        self._raw, self._config = raw, config
        self._keywords, self._metadata = keywords, metadata
        self._native_thread = threading.get_native_id()
        self._pid = os.getpid()
        # Times of a trace are from a whole second, so that a float holds them.
        self._base = raw["started"] // 10**9 * 10**9
        self._names, self._places = {}, _prefixes()
        self._saved = False
        with _ProfilerResult._lock:
            self._first_id = _ProfilerResult._next_id
            _ProfilerResult._next_id += len(raw["events"])
        self._events = [
            _KinetoEvent(self, i, event) for i, event in enumerate(raw["events"])
        ]
        if config.with_stack and config.experimental_config.adjust_profiler_step:
            self._adjust_steps()

    def _adjust_steps(self):
        """Let each step begin and end with a function, not in the midst of it."""
        functions = [e._raw for e in self._events if e._is_python]
        for event in self._events:
            step = event._raw
            if not step["name"].startswith("ProfilerStep#"):
                continue
            for side in ("start", "end"):
                around = [
                    f
                    for f in functions
                    if f["start"] < step[side] < f["end"]
                    and not (f["start"] <= step["start"] and step["end"] <= f["end"])
                ]
                if around:
                    step[side] = max(f["end"] for f in around) + 1

    def _name(self, line):
        """A line of source, its file as it would be imported."""
        if line not in self._names:
            found = (p for p in self._places if line.startswith(p))
            self._names[line] = line.removeprefix(next(found, ""))
        return self._names[line]

    def events(self):
        """In the order in which they began."""
        return self._events

    def thread(self):
        """The number of the thread."""
        return self._raw["thread"]

    def allocations(self):
        """(when, bytes, bytes in use then, event or -1) of each change of memory."""
        return self._raw["allocations"]

    def trace_start_ns(self):
        """When the profile began."""
        return self._raw["started"]

    def trace_activities(self):
        """What was profiled."""
        return {ProfilerActivity.CPU}

    def experimental_event_tree(self):
        """The events that lay in no other one, with ``children``."""
        nodes, roots = [], []
        for event in self._events:
            builtin = event._is_python and event.name().startswith("<built-in")
            python = _EventType.PyCCall if builtin else _EventType.PyCall
            tag = python if event._is_python else _EventType.TorchOp
            node = _ProfilerEvent(event, tag)
            parent = event._raw["parent"]
            if parent < 0:
                roots.append(node)
            else:
                node.parent = nodes[parent]
                node.parent.children.append(node)
            nodes.append(node)
        return roots

    def save(self, path):
        """Write the trace, once, as JSON that ``chrome://tracing`` loads."""
        if self._saved:
            raise RuntimeError("Trace is already saved.")
        self._saved = True
        opened = gzip.open if str(path).endswith(".gz") else open
        with opened(path, "wt") as file:
            json.dump(self._trace(str(path)), file)

    # -- the trace

    def _time(self, nanoseconds):
        return (nanoseconds - self._base) / 1000

    def _trace(self, path):
        config = self._config
        trace = {"schemaVersion": 1, "deviceProperties": []}
        trace["trace_id"] = config.trace_id or uuid.uuid4().hex.upper()
        for key, on in (
            ("with_stack", config.with_stack),
            ("profile_memory", config.profile_memory),
            ("record_shapes", config.report_input_shapes),
            ("with_flops", config.with_flops),
            ("with_modules", config.with_modules),
        ):
            if on:
                trace[key] = 1
        for key, value in self._metadata.items():
            trace[key] = json.loads(value)
        trace["host_name"] = socket.gethostname()
        trace["displayTimeUnit"] = "ms"
        trace["baseTimeNanoseconds"] = self._base
        trace["traceEvents"] = [
            *self._process_events(),
            *map(self._complete_event, self._events),
            *self._links(),
            *self._memory_events(),
            *self._window_events(),
        ]
        trace["traceName"] = path
        return trace

    def _process_events(self):
        pid, tid = self._pid, self._native_thread
        name = os.path.basename(sys.executable or "python")
        for kind, thread, args in (
            ("process_name", 0, {"name": name}),
            ("process_labels", 0, {"labels": "CPU"}),
            ("process_sort_index", 0, {"sort_index": pid}),
            ("thread_name", tid, {"name": f"thread {tid} ({name})"}),
            ("thread_sort_index", tid, {"sort_index": tid}),
        ):
            ts = self._time(self._raw["started"])
            yield {
                "ph": "M",
                "name": kind,
                "ts": ts,
                "pid": pid,
                "tid": thread,
                "args": args,
            }

    def _complete_event(self, event):
        return {
            "ph": "X",
            "cat": event.activity_type(),
            "name": event.name(),
            "pid": self._pid,
            "tid": self._native_thread,
            "ts": self._time(event.start_ns()),
            "dur": event.duration_ns() / 1000,
            "args": self._arguments(event),
        }

    def _arguments(self, event):
        args = {}
        if event._is_python:
            args["Python parent id"] = self._python_parent(event)
            args["Python id"] = event._index + 1
        else:
            args["External id"] = event.correlation_id()
            args["Record function id"] = event.correlation_id()
        if event.sequence_nr() >= 0:
            args["Sequence number"] = event.sequence_nr()
            args["Fwd thread id"] = event.fwd_thread_id()
        if self._config.report_input_shapes and not event._is_python:
            args.update(_plain(event.kwinputs()))
        if event.dtypes():
            args["Concrete Inputs"] = [
                "" if v is None else str(v) for v in event.concrete_inputs()
            ]
            args["Input type"] = event.dtypes()
            args["Input Strides"] = event.structured_input_strides()
            args["Input Dims"] = event.structured_input_shapes()
        if event.stack():
            args["Call stack"] = ";".join(event.stack())
        args["Ev Idx"] = event._index
        return args

    def _python_parent(self, event):
        parent = event._raw["parent"]
        while parent >= 0 and not self._events[parent]._is_python:
            parent = self._events[parent]._raw["parent"]
        return parent + 1 if parent >= 0 else None

    def _links(self):
        """Arrows from what made a node to what the node ran."""
        if not switches["fwd_bwd"]:
            return
        made, count = {}, 0
        for event in self._events:
            number = event.sequence_nr()
            if number < 0:
                continue
            if event.scope() == RecordScope.BACKWARD_FUNCTION.value:
                if number in made:
                    count += 1
                    yield self._link("s", count, made[number])
                    yield self._link("f", count, event) | {"bp": "e"}
            elif event.fwd_thread_id() == 0:
                made[number] = event

    def _link(self, phase, number, event):
        return {
            "ph": phase,
            "id": number,
            "pid": self._pid,
            "tid": self._native_thread,
            "ts": self._time(event.start_ns()),
            "cat": "fwdbwd",
            "name": "fwdbwd",
        }

    def _memory_events(self):
        for i, (when, nbytes, total, _) in enumerate(self.allocations()):
            args = {
                "Total Reserved": 0,
                "Total Allocated": total,
                "Bytes": nbytes,
                "Device Id": -1,
                "Device Type": 0,
                "Addr": 0,  # changes are counted, not blocks followed
                "Ev Idx": len(self._events) + i,
            }
            yield {
                "ph": "i",
                "cat": "cpu_instant_event",
                "s": "t",
                "name": "[memory]",
                "pid": self._pid,
                "tid": self._native_thread,
                "ts": self._time(when),
                "args": args,
            }

    def _window_events(self):
        begin = self._time(self._raw["started"])
        end = self._time(self._raw["stopped"])
        span = {"pid": "Spans", "tid": "PyTorch Profiler"}
        moment = {"ph": "i", "s": "g"}
        yield {
            "ph": "X",
            "cat": "Trace",
            "name": "PyTorch Profiler (0)",
            **span,
            "ts": begin,
            "dur": end - begin,
            "args": {"Op count": 0},
        }
        yield {
            "ph": "M",
            "name": "process_sort_index",
            "ts": begin,
            "pid": "Spans",
            "tid": 0,
            "args": {"sort_index": 536870912},
        }
        yield {
            **moment,
            "name": "Iteration Start: PyTorch Profiler",
            "pid": "Traces",
            "tid": "Trace PyTorch Profiler",
            "ts": begin,
        }
        # A little later, so that no rounding puts an event behind it.
        last = {"pid": "", "tid": "", "ts": end + 1}
        yield {**moment, "name": "Record Window End", **last}


# --- torch._C._profiler, torch._C._autograd ------------------------------------------


class CapturedTraceback:
    """The frames of Python's stack at a moment."""

    def __init__(self, frame):
        self._frames = []
        while frame is not None:
            self._frames.append((frame.f_code, frame.f_lineno))
            frame = frame.f_back


def gather_traceback(python=True, script=False, cpp=False):
    """The caller's stack: of Python, whatever else is asked for."""
    return CapturedTraceback(sys._getframe(1) if python else None)


def symbolize_tracebacks(tracebacks):
    """Each as a list of dicts ``name``, ``filename``, ``line``, innermost first."""
    return [
        [
            {"name": code.co_name, "filename": code.co_filename, "line": line}
            for code, line in traceback._frames
        ]
        for traceback in tracebacks
    ]


def _set_switch(name):
    return lambda on: switches.__setitem__(name, bool(on))


def _supported_activities():
    return {ProfilerActivity.CPU}


def _add_metadata_json(key, value):
    """Put JSON into the trace of the profile that runs."""
    running.metadata[key] = value


def kineto_available():
    """Whether there is a tracer: not Kineto, but as good."""
    return True


def _fill():
    space = types.ModuleType("flashlight._C._profiler")
    for value in (
        *(RecordScope, ProfilerState, ActiveProfilerType, ProfilerActivity),
        *(ProfilerConfig, _EventType, _ExperimentalConfig, _ProfilerEvent),
        *(_ExtraFields_TorchOp, _ExtraFields_PyCall, _ExtraFields_PyCCall),
        *(CapturedTraceback, gather_traceback, symbolize_tracebacks),
        _RecordFunctionFast,
    ):
        setattr(space, value.__name__, value)
    space._set_record_concrete_inputs_enabled_val = _set_switch("concrete_inputs")
    space._set_fwd_bwd_enabled_val = _set_switch("fwd_bwd")
    _C._profiler = space
    sys.modules["flashlight._C._profiler"] = space


def fill_autograd(space):
    """Put into ``torch._C._autograd`` what is of profiles."""
    space.DeviceType = DeviceType
    space._KinetoEvent = _KinetoEvent
    space._ProfilerResult = _ProfilerResult
    space._profiler_type = lambda: running.type
    space._profiler_enabled = _C._profiler_running
    space._supported_activities = _supported_activities
    space.kineto_available = kineto_available


_fill()
