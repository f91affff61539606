"""``torch.profiler.profile``: profiles by a schedule, and what is done with them."""

import enum
import json
import os
import socket
import time
import warnings

from flashlight import _profiling
from flashlight._profiling import ProfilerActivity
from flashlight.autograd import profiler as prof
from flashlight.autograd.profiler import KinetoStepTracker

__all__ = [
    "ExecutionTraceObserver",
    "ProfilerAction",
    "profile",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]

PROFILER_STEP_NAME = "ProfilerStep"


def supported_activities():
    """What can be profiled: ``{ProfilerActivity.CPU}``, the calls of operators."""
    return _profiling._supported_activities()


class ProfilerAction(enum.Enum):
    """What a profile does in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3
    DEVICE_STOPPED = 4


def schedule(*, wait, warmup, active, repeat=0, skip_first=0, skip_first_wait=0):
    """What to do in each step: wait, get ready, record, and again.

    Args:
        wait: So many steps nothing.
        warmup: So many steps getting ready.
        active: So many steps recording.
        repeat: So many cycles; as many as there are, if 0.
        skip_first: Nothing in so many steps before all.
        skip_first_wait: If not 0, the first cycle does not wait.

    Returns:
        A function from the number of a step to a ``ProfilerAction``.

    Example:
        >>> import flashlight as torch
        >>> plan = torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
        >>> [plan(step).name for step in range(5)]
        ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), "
            f"warmup={warmup} (need >= 0), active={active} (need > 0), "
            f"repeat={repeat} (need >= 0), skip_first={skip_first} (need >= 0)."
        )
    if warmup == 0:
        warnings.warn(
            "Profiler won't be using warmup, this can skew profiler results",
            stacklevel=2,
        )
    length = wait + warmup + active

    def schedule_fn(step):
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait != 0:
            step += wait
        cycle, place = divmod(step, length)
        if (repeat > 0 and cycle >= repeat) or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        last = place == length - 1
        return ProfilerAction.RECORD_AND_SAVE if last else ProfilerAction.RECORD

    return schedule_fn


def _default_schedule_fn(_):
    return ProfilerAction.RECORD


def tensorboard_trace_handler(
    dir_name, worker_name=None, use_gzip=False, use_python_export=False
):
    """An ``on_trace_ready`` that writes each trace as a file of a folder.

    Args:
        dir_name: The folder, made if it is not there.
        worker_name: The file's name begins with it; the host and process, if None.
        use_gzip: Compress the file.
        use_python_export: Nothing: there is one way to write it.
    """

    def handler_fn(profile):
        if not os.path.isdir(dir_name):
            try:
                os.makedirs(dir_name, exist_ok=True)
            except OSError as error:
                raise RuntimeError("Can't create directory: " + dir_name) from error
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        name = f"{worker}.{time.time_ns()}.pt.trace.json"
        if use_gzip:
            name += ".gz"
        profile.export_chrome_trace(os.path.join(dir_name, name))

    return handler_fn


class ExecutionTraceObserver:
    """Records the operators as a graph that can be replayed. There is none here.

    Raises:
        NotImplementedError: always.
    """

    def __init__(self):
        raise NotImplementedError(
            "torch.profiler.ExecutionTraceObserver is not supported"
        )


def _activities(asked, use_cuda):
    if use_cuda is not None:
        warnings.warn(
            "`use_cuda` is deprecated, use `activities` argument instead",
            FutureWarning,
            stacklevel=4,
        )
    if asked is None:
        return supported_activities()
    asked = list(asked)
    for activity in asked:
        if isinstance(activity, dict):
            raise NotImplementedError(
                "torch.profiler.profile(activities=[{...}]) is not supported: all "
                "events are kept"
            )
    if not asked:
        raise AssertionError("No valid profiler activities found")
    return set(asked)


class _KinetoProfile:
    """A profile that its user starts and stops; see ``profile``."""

    def __init__(
        self,
        *,
        activities=None,
        record_shapes=False,
        profile_memory=False,
        with_stack=False,
        with_flops=False,
        with_modules=False,
        experimental_config=None,
        execution_trace_observer=None,
        acc_events=False,
        custom_trace_id_callback=None,
        use_cuda=None,
    ):
        self.activities = _activities(activities, use_cuda)
        if execution_trace_observer is not None:
            raise NotImplementedError(
                "torch.profiler.profile(execution_trace_observer=...) is not supported"
            )
        self.record_shapes = record_shapes
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_flops = with_flops
        self.with_modules = with_modules
        self.experimental_config = experimental_config
        self.execution_trace_observer = None
        self.acc_events = acc_events
        self.custom_trace_id_callback = custom_trace_id_callback
        self.profiler = None
        self.use_device = None
        self.preset_metadata = {}

    def start(self):
        """Begin to record."""
        self.prepare_trace()
        self.start_trace()

    def stop(self):
        """End it."""
        self.stop_trace()

    def prepare_trace(self):
        """Get ready to record."""
        if self.profiler is None or not self.acc_events:
            others = self.activities - {ProfilerActivity.CPU}
            for activity in sorted(others, key=int):
                name = activity.name.upper()
                warnings.warn(
                    f"{name} is not available, disabling {name} profiling",
                    stacklevel=2,
                )
            self.profiler = prof.profile(
                use_cpu=ProfilerActivity.CPU in self.activities,
                record_shapes=self.record_shapes,
                with_flops=self.with_flops,
                profile_memory=self.profile_memory,
                with_stack=self.with_stack,
                with_modules=self.with_modules,
                use_kineto=True,
                experimental_config=self.experimental_config,
                acc_events=self.acc_events,
                custom_trace_id_callback=self.custom_trace_id_callback,
            )
        self.profiler._prepare_trace()

    def start_trace(self):
        """Begin to record, after ``prepare_trace``."""
        if self.profiler is None:
            raise AssertionError(
                "Profiler must be initialized before starting the trace"
            )
        self.profiler._start_trace()
        for key, value in self.preset_metadata.items():
            self.add_metadata_json(key, value)

    def stop_trace(self):
        """End it."""
        if self.profiler is None:
            raise AssertionError(
                "Profiler must be initialized before stopping the trace"
            )
        self.profiler.__exit__(None, None, None)

    def _initialized(self, before):
        if self.profiler is None:
            raise AssertionError(f"Profiler must be initialized before {before}")
        return self.profiler

    def export_chrome_trace(self, path):
        """Write JSON for ``chrome://tracing``, once.

        Args:
            path: The file; compressed, if it ends in ``.gz``.
        """
        self._initialized("exporting chrome trace").export_chrome_trace(path)

    def export_stacks(self, path, metric="self_cpu_time_total"):
        """Write source lines and times, as flame graphs take them.

        Args:
            path: The file.
            metric: ``"self_cpu_time_total"``.
        """
        self._initialized("exporting stacks").export_stacks(path, metric)

    def export_memory_timeline(self, path, device=None):
        """Memory by what it is used for. NotImplementedError."""
        if not (self.record_shapes and self.profile_memory and self.with_stack):
            raise ValueError(
                "record_shapes=True, profile_memory=True, with_stack=True required for "
                "memory profiling."
            )
        raise NotImplementedError(
            "torch.profiler.profile.export_memory_timeline is not supported"
        )

    def key_averages(
        self,
        group_by_input_shape=False,
        group_by_stack_n=0,
        group_by_overload_name=False,
    ):
        """The events of one name added up.

        Args:
            group_by_input_shape: Only those of the same shapes (``record_shapes``).
            group_by_stack_n: Only those from the same so many lines (``with_stack``).
            group_by_overload_name: Only those of the same overload.
        """
        return self._initialized("getting key averages").key_averages(
            group_by_input_shape, group_by_stack_n, group_by_overload_name
        )

    def events(self):
        """All events, an ``EventList``."""
        return self._initialized("accessing events").function_events

    def add_metadata(self, key, value):
        """Put a string into the trace."""
        self.add_metadata_json(key, json.dumps(value))

    def add_metadata_json(self, key, value):
        """Put JSON into the trace."""
        json.loads(value)
        _profiling._add_metadata_json(key, value)

    def preset_metadata_json(self, key, value):
        """... of each trace that will be started."""
        json.loads(value)
        self.preset_metadata[key] = value

    def set_custom_trace_id_callback(self, callback):
        """Let ``callback`` give the name of each trace."""
        self.custom_trace_id_callback = callback

    def get_trace_id(self):
        """The name of the trace; None before there is one."""
        return None if self.profiler is None else self.profiler.trace_id

    def toggle_collection_dynamic(self, enable, activities):
        """Stop keeping events for a while (``enable`` is False), or go on.

        Args:
            enable: Whether to go on.
            activities: A list of ``ProfilerActivity``.
        """
        if self.profiler is not None:
            self.profiler.toggle_collection_dynamic(enable, activities)

    def _stats(self):
        return None if self.profiler is None else self.profiler._stats


class profile(_KinetoProfile):
    """Record what the calling thread runs, in the steps that a schedule names.

    Each operator (``aten::mul``), each node of backward (``MulBackward0``) and each
    ``record_function`` is an event, with what lay in it. While the profile records,
    results are computed at each call, so that the time of an event is that of its
    operator. (Otherwise MLX computes when a value is asked for, and may compute several
    operators as one; what a program takes as a whole is better timed without a
    profile.) Events are of calls on the CPU's side: of a GPU there are none of its own.

    Args:
        activities: A list of ``ProfilerActivity``; there is ``CPU`` alone.
        schedule: A function from the number of the step to a ``ProfilerAction``, as
            ``schedule`` makes them. Without it, all is recorded.
        on_trace_ready: Called with the profile, at the end of each cycle.
        record_shapes: Keep the shapes of arguments.
        profile_memory: Keep how much memory each event took or gave back, as MLX counts
            it.
        with_stack: Keep the lines of Python that calls came from, and events of the
            calls of Python functions.
        with_flops: Count operations on numbers in products of matrices, convolutions,
            ``mul`` and ``add``.
        with_modules: Keep events of the calls of modules (``nn.Module: Linear_0``).
        experimental_config: Settings of PyTorch's tracer.
        execution_trace_observer: NotImplementedError.
        acc_events: Keep the events of earlier cycles.
        use_cuda: Deprecated.
        custom_trace_id_callback: Gives the name of each trace.

    Raises:
        RuntimeError: a profile runs on this thread.

    Example:
        >>> import flashlight as torch
        >>> from flashlight.profiler import profile, record_function
        >>> x = torch.ones(64, 64)
        >>> with profile(record_shapes=True) as prof:
        ...     with record_function("products"):
        ...         y = (x @ x) @ x
        >>> [(e.key, e.count) for e in prof.key_averages()]
        [('products', 1), ('aten::matmul', 2), ('aten::mm', 2)]
        >>> table = prof.key_averages().table(sort_by="self_cpu_time_total")
    """

    def __init__(
        self,
        *,
        activities=None,
        schedule=None,
        on_trace_ready=None,
        record_shapes=False,
        profile_memory=False,
        with_stack=False,
        with_flops=False,
        with_modules=False,
        experimental_config=None,
        execution_trace_observer=None,
        acc_events=False,
        use_cuda=None,
        custom_trace_id_callback=None,
    ):
        super().__init__(
            activities=activities,
            record_shapes=record_shapes,
            profile_memory=profile_memory,
            with_stack=with_stack,
            with_flops=with_flops,
            with_modules=with_modules,
            experimental_config=experimental_config,
            execution_trace_observer=execution_trace_observer,
            acc_events=acc_events,
            custom_trace_id_callback=custom_trace_id_callback,
            use_cuda=use_cuda,
        )
        self.schedule = schedule or _default_schedule_fn
        self.record_steps = schedule is not None
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self.current_action = self.schedule(self.step_num)
        self.step_rec_fn = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        self.stop()
        KinetoStepTracker.erase_step_count(PROFILER_STEP_NAME)

    def start(self):
        """Begin, as the schedule says of step 0."""
        KinetoStepTracker.init_step_count(PROFILER_STEP_NAME)
        self._transit(ProfilerAction.NONE, self.current_action)
        self._name_step()

    def stop(self):
        """End; what was recorded last is ready, too."""
        self._end_step()
        self._transit(self.current_action, None)

    def step(self):
        """The next step begins."""
        self._end_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        self._transit(before, self.current_action)
        KinetoStepTracker.increment_step(PROFILER_STEP_NAME)
        self._name_step()

    def _name_step(self):
        if self.record_steps:
            self.step_rec_fn = prof.record_function(f"ProfilerStep#{self.step_num}")
            self.step_rec_fn.__enter__()

    def _end_step(self):
        if self.step_rec_fn is not None:
            self.step_rec_fn.__exit__(None, None, None)
            self.step_rec_fn = None

    def _trace_ready(self):
        if self.on_trace_ready:
            self.on_trace_ready(self)

    def _transit(self, before, after):
        """From what was done to what is done next; ``after`` is None at the end."""
        action = ProfilerAction
        recording = (action.RECORD, action.RECORD_AND_SAVE)
        done = (action.NONE, action.DEVICE_STOPPED)
        if before is action.WARMUP and after in (action.NONE, None):
            if after is action.NONE:
                warnings.warn(
                    "Incorrect schedule: WARMUP followed by NONE", stacklevel=3
                )
            return  # what was ready is not used
        saved = before is action.RECORD_AND_SAVE
        ends = before is action.RECORD and after not in recording
        if ends and after in (action.NONE, action.WARMUP):
            warnings.warn(
                f"Incorrect schedule: RECORD followed by {after.name}", stacklevel=3
            )
        if saved or ends:
            self.stop_trace()
            if saved or after not in (action.NONE, action.WARMUP):
                self._trace_ready()
        prepared = before is action.WARMUP or (before is action.RECORD and not ends)
        if after in done or after is None:
            return
        if not prepared and not (ends and after is action.WARMUP):
            self.prepare_trace()
        if after in recording and before is not action.RECORD:
            self.start_trace()
