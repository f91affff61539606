"""What a profiler recorded: events, averages of events, and tables of them."""

import bisect
import collections
import json
import math
import operator
import os

from flashlight._profiling import DeviceType

__all__ = [
    "EventList",
    "FormattedTimesMixin",
    "FunctionEvent",
    "FunctionEventAvg",
    "Interval",
    "Kernel",
    "MemRecordsAcc",
    "StringTable",
]

MEMORY_EVENT_NAME = "[memory]"
OUT_OF_MEMORY_EVENT_NAME = "[OutOfMemory]"

Kernel = collections.namedtuple("Kernel", ["name", "device", "duration"])

_STACK_METRICS = [
    f"self_{device}_time_total" for device in ("cpu", "cuda", "xpu", "privateuse1")
]


def _format_time(time_us):
    """Microseconds as text: ``"1.500ms"``."""
    if time_us >= 1e6:
        return f"{time_us / 1e6:.3f}s"
    if time_us >= 1e3:
        return f"{time_us / 1e3:.3f}ms"
    return f"{time_us:.3f}us"


def _format_time_share(time_us, total_time_us):
    """A part of a time as text: ``"42.86%"``."""
    if total_time_us == 0:
        if time_us != 0:
            raise AssertionError(f"Expected time_us == 0 but got {time_us}")
        return "NaN"
    return f"{time_us * 100.0 / total_time_us:.2f}%"


def _format_memory(nbytes):
    """Bytes as text: ``"1.50 KB"``."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "KB")):
        if abs(nbytes) >= 1024**power:
            return f"{nbytes / 1024**power:.2f} {unit}"
    return f"{nbytes} B"


def _formatted(name):
    return property(
        lambda self: _format_time(getattr(self, name)), doc=f"``{name}`` as text."
    )


class FormattedTimesMixin:
    """Times of an event as text, and per call."""

    cpu_time_str = _formatted("cpu_time")
    device_time_str = _formatted("device_time")
    cpu_time_total_str = _formatted("cpu_time_total")
    device_time_total_str = _formatted("device_time_total")
    self_cpu_time_total_str = _formatted("self_cpu_time_total")
    self_device_time_total_str = _formatted("self_device_time_total")

    @property
    def cpu_time(self):
        """Microseconds of a call."""
        return 0.0 if self.count == 0 else self.cpu_time_total / self.count

    @property
    def device_time(self):
        """Microseconds of a call on an accelerator, of which no events are kept."""
        return 0.0 if self.count == 0 else self.device_time_total / self.count

    cuda_time = device_time


class Interval:
    """From one moment to another, in microseconds."""

    def __init__(self, start, end):
        self.start = start
        self.end = end

    def elapsed_us(self):
        """How long it is."""
        return self.end - self.start


class StringTable(collections.defaultdict):
    """Names by themselves; each is kept once."""

    def __missing__(self, key):
        self[key] = key
        return key


class MemRecordsAcc:
    """Records of memory, found by the time at which they were made."""

    def __init__(self, mem_records):
        self._records = sorted(mem_records, key=lambda record: record[0].start_ns())
        self._starts = [record[0].start_ns() for record in self._records]

    def in_interval(self, start_us, end_us):
        """Those from ``start_us`` to ``end_us``."""
        first = bisect.bisect_left(self._starts, start_us * 1000)
        last = bisect.bisect_right(self._starts, end_us * 1000)
        yield from self._records[first:last]


class FunctionEvent(FormattedTimesMixin):
    """One call, with what lay in it.

    Times are in microseconds, from when the profile began. ``cpu_time_total`` is all of
    the call, ``self_cpu_time_total`` what is left without ``cpu_children``; likewise
    ``cpu_memory_usage`` and ``self_cpu_memory_usage``, in bytes.
    """

    def __init__(
        self,
        id,
        name,
        thread,
        start_us,
        end_us,
        overload_name=None,
        fwd_thread=None,
        input_shapes=None,
        stack=None,
        scope=0,
        use_device=None,
        cpu_memory_usage=0,
        device_memory_usage=0,
        is_async=False,
        is_remote=False,
        sequence_nr=-1,
        node_id=-1,
        device_type=DeviceType.CPU,
        device_index=0,
        device_resource_id=None,
        is_legacy=False,
        flops=None,
        trace_name=None,
        concrete_inputs=None,
        kwinputs=None,
        is_user_annotation=False,
        is_python_function=False,
    ):
        self.id = id
        self.node_id = node_id
        self.name = name
        self.overload_name = overload_name
        self.trace_name = name if trace_name is None else trace_name
        self.time_range = Interval(start_us, end_us)
        self.thread = thread
        self.fwd_thread = fwd_thread
        self.kernels = []
        self.count = 1
        self.cpu_children = []
        self.cpu_parent = None
        self.input_shapes = input_shapes
        self.concrete_inputs = concrete_inputs
        self.kwinputs = kwinputs
        self.stack = stack
        self.scope = scope
        self.use_device = use_device
        self.cpu_memory_usage = cpu_memory_usage
        self.device_memory_usage = device_memory_usage
        self.is_async = is_async
        self.is_remote = is_remote
        self.sequence_nr = sequence_nr
        self.device_type = device_type
        self.device_index = device_index
        self.device_resource_id = (
            thread if device_resource_id is None else device_resource_id
        )
        self.is_legacy = is_legacy
        self.flops = flops
        self.is_user_annotation = is_user_annotation
        self.is_python_function = is_python_function

    def append_kernel(self, name, device, duration):
        """Add work on an accelerator that the call started."""
        self.kernels.append(Kernel(name, device, duration))

    def append_cpu_child(self, child):
        """Add a call that lay in this one."""
        self.cpu_children.append(child)

    def set_cpu_parent(self, parent):
        """Set the call in which this one lay."""
        self.cpu_parent = parent

    @property
    def key(self):
        """The name, by which calls are averaged."""
        return self.name

    @property
    def cpu_time_total(self):
        """Microseconds from beginning to end."""
        on_cpu = self.device_type == DeviceType.CPU
        return self.time_range.elapsed_us() if on_cpu else 0

    @property
    def self_cpu_time_total(self):
        """... without what lay in it."""
        if self.is_async or self.device_type != DeviceType.CPU:
            return 0
        return self.cpu_time_total - sum(c.cpu_time_total for c in self.cpu_children)

    @property
    def device_time_total(self):
        """Microseconds on an accelerator."""
        return sum(kernel.duration for kernel in self.kernels)

    @property
    def self_device_time_total(self):
        """... without what lay in it."""
        inside = sum(child.device_time_total for child in self.cpu_children)
        return self.device_time_total - inside

    @property
    def self_cpu_memory_usage(self):
        """Bytes that became used, without what lay in it."""
        if self.is_async or self.device_type != DeviceType.CPU:
            return 0
        inside = sum(child.cpu_memory_usage for child in self.cpu_children)
        return self.cpu_memory_usage - inside

    @property
    def self_device_memory_usage(self):
        """Bytes on an accelerator, without what lay in it."""
        inside = sum(child.device_memory_usage for child in self.cpu_children)
        return self.device_memory_usage - inside

    cuda_time_total = device_time_total
    self_cuda_time_total = self_device_time_total
    self_cuda_memory_usage = self_device_memory_usage

    def __repr__(self):
        device = self.use_device
        parts = [
            f"id={self.id} name={self.name} overload_name={self.overload_name}",
            f"device_type={self.device_type} node_id={self.node_id}",
            f"cpu_time={self.cpu_time_str} start_us={self.time_range.start}",
            f"end_us={self.time_range.end}",
            f"cpu_children={[child.id for child in self.cpu_children]}",
            f"{device}_time={self.device_time_str} name={self.name}",
            f"thread={self.thread} input_shapes={self.input_shapes}",
            f"cpu_memory_usage={self.cpu_memory_usage}",
            f"{device}_memory_usage={self.device_memory_usage}",
            f"is_async={self.is_async} is_remote={self.is_remote}",
            f"seq_nr={self.sequence_nr} is_legacy={self.is_legacy}",
        ]
        return f"<FunctionEvent {' '.join(parts)}>"


class FunctionEventAvg(FormattedTimesMixin):
    """The calls of one key, added up."""

    _SUMS = (
        "cpu_time_total",
        "device_time_total",
        "self_cpu_time_total",
        "self_device_time_total",
        "cpu_memory_usage",
        "device_memory_usage",
        "self_cpu_memory_usage",
        "self_device_memory_usage",
        "count",
    )
    _OF_FIRST = (
        "key",
        "node_id",
        "is_async",
        "is_remote",
        "cpu_parent",
        "cpu_children",
        "overload_name",
        "input_shapes",
        "stack",
        "scope",
        "device_type",
        "is_legacy",
        "use_device",
        "is_user_annotation",
    )

    def __init__(self):
        self.key = None
        self.node_id = 0
        self.is_async = False
        self.is_remote = False
        self.use_device = None
        self.input_shapes = None
        self.overload_name = None
        self.stack = None
        self.scope = None
        self.cpu_children = None
        self.cpu_parent = None
        self.device_type = DeviceType.CPU
        self.is_legacy = False
        self.is_user_annotation = False
        self.flops = 0
        for name in self._SUMS:
            setattr(self, name, 0)

    def add(self, other):
        """Add a call, or the sum of several of the same key."""
        if self.key is None:
            for name in self._OF_FIRST:
                setattr(self, name, getattr(other, name))
        if not isinstance(other, (FunctionEvent, FunctionEventAvg)):
            raise AssertionError(
                "Expected other to be FunctionEvent or FunctionEventAvg, but got "
                f"{type(other)}"
            )
        if other.key != self.key:
            raise AssertionError(
                f"Expected keys to match, but got {other.key} vs {self.key}"
            )
        for name in self._SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.flops = (self.flops or 0) + (other.flops or 0)
        return self

    def __iadd__(self, other):
        return self.add(other)

    def __repr__(self):
        device = self.use_device or "cuda"
        parts = [
            f"key={self.key} self_cpu_time={self.self_cpu_time_total_str}",
            f"cpu_time={self.cpu_time_str} ",
            f"self_{device}_time={self.self_device_time_total_str}",
            f"{device}_time={self.device_time_str} input_shapes={self.input_shapes}",
            f"cpu_memory_usage={self.cpu_memory_usage}",
            f"{device}_memory_usage={self.device_memory_usage}",
        ]
        return f"<FunctionEventAvg {' '.join(parts)}>"


# What a profiler's own work would show as.
_OF_PROFILER = {
    MEMORY_EVENT_NAME,
    OUT_OF_MEMORY_EVENT_NAME,
    "profiler::_record_function_enter",
    "profiler::_record_function_enter_new",
    "profiler::_record_function_exit",
    "aten::is_leaf",
    "aten::output_nr",
    "aten::_version",
}


def _filter_name(name):
    """Whether an event of this name is left out of a list of functions."""
    return name in _OF_PROFILER


def _rewrite_name(name, with_wildcard=False):
    """The name by which an event is averaged: all steps are one."""
    if with_wildcard and name.startswith("ProfilerStep#"):
        return "ProfilerStep*"
    return name


class EventList(list):
    """Events, or averages of events (``key_averages``).

    Example:
        >>> import flashlight as torch
        >>> with torch.profiler.profile() as prof:
        ...     y = torch.ones(2) + 1
        >>> [event.name for event in prof.events()]
        ['aten::ones', 'aten::add']
    """

    def __init__(self, *args, use_device=None, profile_memory=False, with_flops=False):
        super().__init__(*args)
        self._use_device = use_device
        self._profile_memory = profile_memory
        self._with_flops = with_flops
        self._tree_built = False

    def _like(self, events):
        return EventList(
            events,
            use_device=self._use_device,
            profile_memory=self._profile_memory,
            with_flops=self._with_flops,
        )

    def _build_tree(self):
        self._populate_cpu_children()
        self._remove_dup_nodes()
        self._tree_built = True

    def _populate_cpu_children(self):
        """Find the parent of each call by time: the last one, of its thread, that
        began before it and did not end before it."""
        of_thread = collections.defaultdict(list)
        for event in self:
            on_cpu = event.device_type == DeviceType.CPU
            of_call = not event.is_async and event.name != MEMORY_EVENT_NAME
            if of_call and on_cpu:
                of_thread[event.thread, event.node_id].append(event)
        for events in of_thread.values():
            events.sort(key=lambda e: (e.time_range.start, -e.time_range.end))
            open_events = []
            for event in events:
                now = event.time_range
                while open_events:
                    parent = open_events[-1].time_range
                    if now.start < parent.end and now.end <= parent.end:
                        open_events[-1].append_cpu_child(event)
                        event.set_cpu_parent(open_events[-1])
                        break
                    open_events.pop()
                open_events.append(event)

    def _remove_dup_nodes(self):
        """Of a call that did nothing but call what has its name, keep the outer one."""
        gone = set()
        for event in self:
            parent = event.cpu_parent
            if (
                parent is not None
                and parent.name == event.name
                and len(parent.cpu_children) == 1
            ):
                parent.cpu_children = event.cpu_children
                parent.kernels = event.kernels
                for child in event.cpu_children:
                    child.set_cpu_parent(parent)
                gone.add(id(event))
        if gone:
            self[:] = [event for event in self if id(event) not in gone]

    @property
    def self_cpu_time_total(self):
        """Microseconds of all of them."""
        return sum(event.self_cpu_time_total for event in self)

    def __str__(self):
        return self.table()

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
        """A table of the events as text.

        Args:
            sort_by: An attribute, of which the greatest come first: ``"cpu_time"``,
                ``"cpu_time_total"``, ``"self_cpu_time_total"``, ``"cpu_memory_usage"``,
                ``"self_cpu_memory_usage"``, ``"count"``. Without it they are in order.
            row_limit: The most rows; all, if -1.
            max_src_column_width: Of the column of source lines.
            max_name_column_width: Of the column of names.
            max_shapes_column_width: Of the column of input shapes.
            header: A line above the table.
            top_level_events_only: Leave out what lay in another call.
        """
        return _Table(
            self,
            sort_by,
            row_limit,
            (max_name_column_width, max_shapes_column_width, max_src_column_width),
            header,
            top_level_events_only,
        ).text()

    def key_averages(
        self,
        group_by_input_shapes=False,
        group_by_stack_n=0,
        group_by_overload_name=False,
    ):
        """Calls of one name added up.

        Args:
            group_by_input_shapes: Only those of the same shapes, too (see
                ``record_shapes``).
            group_by_stack_n: Only those that were called from the same lines, so many
                of them (see ``with_stack``).
            group_by_overload_name: Only those of the same overload.
        """
        if not self._tree_built:
            raise AssertionError(
                "Expected tree to be built before calling key_averages"
            )
        sums = collections.defaultdict(FunctionEventAvg)
        for event in self:
            key = (
                str(event.key),
                str(event.node_id),
                str(event.device_type),
                event.is_legacy,
                event.is_user_annotation,
                event.overload_name if group_by_overload_name else "",
                str(event.input_shapes) if group_by_input_shapes else "",
                tuple((event.stack or [])[:group_by_stack_n]),
            )
            sums[key].add(event)
        averages = self._like(sums.values())
        for average in averages:
            average.stack = (average.stack or [])[:group_by_stack_n]
            if not group_by_input_shapes:
                average.input_shapes = ""
            if not group_by_overload_name:
                average.overload_name = ""
        return averages

    def total_average(self):
        """All events added up."""
        total = FunctionEventAvg()
        for event in self:
            total.key = None  # whatever its key
            total.add(event)
        total.key = "Total"
        return total

    @property
    def supported_export_stacks_metrics(self):
        """What ``export_stacks`` can write."""
        return list(_STACK_METRICS)

    def export_stacks(self, path, metric):
        """Write the source lines of each event, and a time, as flame graphs take them.

        Args:
            path: The file.
            metric: ``"self_cpu_time_total"``.
        """
        if metric not in _STACK_METRICS:
            raise ValueError(f"metric should be one of: {_STACK_METRICS}")
        name = metric if "cpu" in metric else "self_device_time_total"
        plain = str.maketrans(" ;\t\n", "____")
        with open(path, "w") as file:
            for event in self:
                value = int(getattr(event, name))
                if event.stack and value > 0:
                    lines = [line.translate(plain) for line in reversed(event.stack)]
                    file.write(f"{';'.join(lines)} {value}\n")

    def export_chrome_trace(self, path):
        """Write the events as JSON that ``chrome://tracing`` loads."""
        trace = []
        for event in self:
            trace.append(
                {
                    "name": event.trace_name,
                    "ph": "X",
                    "ts": event.time_range.start,
                    "dur": event.time_range.elapsed_us(),
                    "tid": event.thread,
                    "pid": "CPU functions",
                    "args": {},
                }
            )
        with open(path, "w") as file:
            json.dump(trace, file)


class _Table:
    """The text of EventList.table(), laid out as PyTorch's."""

    WIDTH = 12  # of columns of numbers
    GAP = 2

    def __init__(self, events, sort_by, row_limit, widest, header, top_level):
        self.all = events
        self.header = header
        self.top_level = top_level
        self.events = list(events)
        if sort_by is not None:
            by = sort_by.replace("cuda", "device").replace("xpu", "device")
            by = by.replace("privateuse1", "device")
            self.events.sort(key=operator.attrgetter(by), reverse=True)
        if top_level:
            self.events = [e for e in self.events if e.cpu_parent is None]
        if row_limit >= 0:
            self.events = self.events[:row_limit]
        self.widest = widest
        self.total = sum(
            e.self_cpu_time_total for e in events if e.device_type == DeviceType.CPU
        )

    def columns(self):
        """(title, width, text of an event) of each, but for source lines."""
        name_width, shapes_width, _ = self.widest
        total, profile_memory = self.total, self.all._profile_memory

        def cut(text, width):
            return text[: width - 3] + "..." if len(text) >= width - 3 else text

        def share(event, time):
            if event.is_async or event.device_type != DeviceType.CPU:
                return "0.00%"
            return _format_time_share(time, total)

        width = min(max(len(e.key) for e in self.all) + 4, name_width)
        yield "Name", width, lambda e: cut(e.key, name_width)
        yield "Self CPU %", self.WIDTH, lambda e: share(e, e.self_cpu_time_total)
        yield "Self CPU", self.WIDTH, lambda e: e.self_cpu_time_total_str
        yield (
            "CPU total %",
            self.WIDTH,
            lambda e: 0 if e.is_async else share(e, e.cpu_time_total),
        )
        yield "CPU total", self.WIDTH, lambda e: e.cpu_time_total_str
        yield "CPU time avg", self.WIDTH, lambda e: e.cpu_time_str
        if profile_memory:
            yield "CPU Mem", self.WIDTH, lambda e: _format_memory(e.cpu_memory_usage)
            yield (
                "Self CPU Mem",
                self.WIDTH,
                lambda e: _format_memory(e.self_cpu_memory_usage),
            )
        yield "# of Calls", self.WIDTH, lambda e: e.count
        if any(e.node_id != -1 for e in self.all):
            yield "Node ID", self.WIDTH, lambda e: e.node_id
        if any(e.overload_name for e in self.all):
            width = max(len(e.overload_name or "") for e in self.all) + 4
            yield "Overload Name", width, lambda e: e.overload_name or ""
        if any(e.input_shapes for e in self.all):
            width = max(len(str(e.input_shapes)) for e in self.all) + 4
            width = min(max(width, self.WIDTH), shapes_width)
            yield "Input Shapes", width, lambda e: str(e.input_shapes)[:width]
        if any(e.stack for e in self.all):
            yield "Source Location", self.source_width(), None
        if self.all._with_flops:
            yield self.flops_column()

    def source_width(self):
        longest = max(len(line) for e in self.all for line in e.stack or ())
        return min(longest + 4, self.widest[2])

    def flops_column(self):
        counts = [e.flops for e in self.all if e.flops and e.flops > 0]
        units = ["FLOPs", "KFLOPs", "MFLOPs", "GFLOPs", "TFLOPs", "PFLOPs"]
        least = min(counts, default=1)
        power = max(min(int(math.log10(least)) // 3, len(units) - 1), 0)

        def text(event):
            if not event.flops or event.flops <= 0:
                return "--"
            return f"{event.flops / 1000.0 ** power:8.3f}"

        return f"Total {units[power]}", self.WIDTH, text

    def text(self):
        if not self.all:
            return ""
        columns = list(self.columns())
        gap = " " * self.GAP
        length = sum(width for _, width, _ in columns) + self.GAP * (len(columns) - 1)
        of_source = [i for i, column in enumerate(columns) if column[2] is None]

        def row(cells):
            parts = [
                f"{cell:{'<' if i in of_source else '>'}{columns[i][1]}}{gap}"
                for i, cell in enumerate(cells)
            ]
            return "".join(parts)

        rule = "".join("-" * width + gap for _, width, _ in columns)
        lines = []
        if self.header is not None:
            lines += ["=" * length, self.header]
        if self.top_level:
            lines += [
                "=" * length,
                "This report only display top-level ops statistics",
            ]
        lines += [rule, row([title for title, _, _ in columns]), rule]
        for event in self.events:
            source = [self.cut_source(line) for line in event.stack or ()]
            first = source[0] if source else ""
            lines.append(row([first if f is None else f(event) for *_, f in columns]))
            if of_source:
                for line in [*source[1:], ""]:
                    cells = [""] * len(columns)
                    cells[of_source[0]] = line
                    lines.append(row(cells))
        lines.append(rule)
        lines.append(f"Self CPU time total: {_format_time(self.total)}")
        return os.linesep.join(lines) + os.linesep

    def cut_source(self, line):
        width = self.source_width()
        return "..." + line[3 - width :] if len(line) > width else line
