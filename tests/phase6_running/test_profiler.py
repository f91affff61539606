"""Profiles beside torch's: events, nesting, tables, traces, schedules, error texts."""

import gzip
import json
import subprocess
import sys
import threading
import warnings

import pytest
import torch

import flashlight
from flashlight import _C
from flashlight.autograd import profiler_util as ours

theirs = torch.autograd.profiler_util
BOTH = pytest.mark.parametrize("lib", [flashlight, torch], ids=["flashlight", "torch"])


def tree(events):
    """Names below names, without the ops that only one library's ops are made of."""
    kept = ("aten::mul", "aten::add", "aten::sum", "aten::relu", "aten::gt", "outer")
    kept += ("aten::greater", "aten::linear", "aten::addmm", "inner", "aten::add_")

    def wanted(name):
        return name in kept or "Backward" in name or "AccumulateGrad" in name

    def place(event):
        names = []
        while event is not None:
            if wanted(event.name):
                names.append(event.name)
            event = event.cpu_parent
        return "/".join(reversed(names))

    return [place(e) for e in events if wanted(e.name)]


def network(lib):
    x = lib.ones(8, 4, requires_grad=True)
    weight = lib.ones(3, 4, requires_grad=True)
    bias = lib.ones(3)
    with lib.profiler.record_function("outer"):
        y = lib.nn.functional.linear(x, weight, bias)
        with lib.profiler.record_function("inner"):
            z = (y * 2 + 1).relu().sum()
    z.backward()
    x.detach().clone().add_(1).greater(x.detach())


def profiled(lib, run=network, **options):
    with lib.profiler.profile(**options) as prof:
        run(lib)
    return prof


def test_events_nest_as_in_torch():
    mine, other = (tree(profiled(lib).events()) for lib in (flashlight, torch))
    # What a view's backward is has no part in this.
    other = [place for place in other if "TBackward" not in place]
    # torch adds the gradient of a leaf without an op.
    assert [p for p in mine if not p.endswith("AccumulateGrad/aten::add_")] == other
    assert "outer/inner/aten::relu" in mine and "aten::greater/aten::gt" in mine


def test_counts_of_key_averages():
    def run(lib):
        x = lib.ones(3)
        for _ in range(5):
            x = x * x + 1

    mine, other = (
        {e.key: e.count for e in profiled(lib, run).key_averages()}
        for lib in (flashlight, torch)
    )
    assert mine["aten::mul"] == other["aten::mul"] == 5
    assert mine["aten::add"] == other["aten::add"] == 5


@BOTH
def test_shapes_and_values_of_arguments(lib):
    def run(lib):
        x = lib.ones(8, 4)
        lib.nn.functional.linear(x, lib.ones(3, 4), lib.ones(3))
        x.as_strided((2, 2), (1, 4))
        lib.cat([x, x], 1)
        lib.ones((2, 3), dtype=lib.float64)
        x.sum(0, keepdim=True)

    prof = profiled(lib, run, record_shapes=True)
    found = {
        e.name: (e.input_shapes, e.concrete_inputs, e.input_dtypes, e.scope)
        for e in prof.events()
        if e.cpu_parent is None
    }
    floats = ["float"] * 3
    shapes = [[8, 4], [3, 4], [3]]
    assert found["aten::linear"] == (shapes, [None] * 3, floats, 0)
    strided = [[8, 4], [], [], []], [None, [2, 2], [1, 4], None]
    assert found["aten::as_strided"][:2] == strided
    assert found["aten::cat"] == ([[], []], [None, 1], ["TensorList", "Scalar"], 0)
    kinds = ["ScalarList", "Scalar", "", "", "Scalar"]
    assert found["aten::ones"][1:3] == ([[2, 3], 7, None, None, False], kinds)
    assert found["aten::sum"][1] == [None, [0], True, None]


def test_addmm_of_linear():
    """The event of the kernel has the operands of PyTorch's."""
    mine, other = (
        [
            (e.name, e.input_shapes, e.structured_input_strides, e.flops)
            for e in profiled(lib, record_shapes=True, with_flops=True).events()
            if e.name == "aten::addmm"
        ]
        for lib in (flashlight, torch)
    )
    assert mine == other and mine


@pytest.mark.parametrize(
    "name",
    ["aten::mm", "aten::addmm", "aten::bmm", "aten::conv2d", "aten::mul", "aten::add"],
)
def test_flops(name):
    def run(lib):
        a, b = lib.ones(3, 4), lib.ones(4, 5)
        lib.mm(a, b), lib.addmm(lib.ones(5), a, b)
        lib.bmm(lib.ones(2, 3, 4), lib.ones(2, 4, 5))
        image, kernel = lib.ones(2, 4, 9, 8), lib.ones(6, 2, 3, 3)
        options = {"stride": 2, "padding": (1, 0), "dilation": (1, 2), "groups": 2}
        lib.nn.functional.conv2d(image, kernel, None, **options)
        lib.mul(a, a), lib.add(a, 1)

    mine, other = (
        [
            e.flops
            for e in profiled(lib, run, with_flops=True).events()
            if e.name == name
        ]
        for lib in (flashlight, torch)
    )
    assert mine == other and mine[0] > 0


@BOTH
def test_numbers_link_forward_and_backward(lib):
    x = lib.ones(2, requires_grad=True)

    def run(lib):
        (x * 2).sum().backward()

    events = [e for e in profiled(lib, run).events() if e.sequence_nr >= 0]
    made = {e.name: e for e in events if e.name in ("aten::mul", "aten::sum")}
    for node, op in (("MulBackward0", "aten::mul"), ("SumBackward0", "aten::sum")):
        outer = "autograd::engine::evaluate_function: " + node
        of_node = [e for e in events if e.name in (node, outer)]
        assert [e.name for e in of_node] == [outer, node]
        for e in of_node:
            assert e.sequence_nr == made[op].sequence_nr
            assert (e.fwd_thread, made[op].fwd_thread) == (made[op].thread, 0)
    assert {e.scope for e in events} == {0, 1}


@BOTH
def test_no_number_without_autograd(lib):
    def run(lib):
        with lib.no_grad():
            lib.ones(2) * 2

    (event,) = (e for e in profiled(lib, run).events() if e.name == "aten::mul")
    assert event.sequence_nr == -1


@BOTH
def test_a_custom_function(lib):
    class Double(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    def run(lib):
        Double.apply(lib.ones(2, requires_grad=True)).sum().backward()

    events = {e.name: e for e in profiled(lib, run, record_shapes=True).events()}
    assert events["Double"].input_shapes == [[2]]
    assert events["DoubleBackward"].sequence_nr == events["Double"].sequence_nr
    assert events["DoubleBackward"].scope == 1


def test_time_is_of_the_work():
    """A product that nobody reads is computed in its own event."""
    x = flashlight.ones(400, 400)
    (x @ x)[0, 0].item()
    with flashlight.profiler.profile() as prof:
        y = x @ x
    assert y[0, 0].item() == 400
    (event,) = (e for e in prof.events() if e.name == "aten::mm")
    with flashlight.profiler.profile() as prof:
        flashlight.ones(2) * 2
    (small,) = (e for e in prof.events() if e.name == "aten::mul")
    assert event.self_cpu_time_total > 5 * small.self_cpu_time_total


def test_memory():
    def run(lib):
        with lib.profiler.record_function("takes"):
            x = lib.ones(1000)
        with lib.profiler.record_function("gives back"):
            del x
        y = lib.ones(1000) * 2
        del y

    for lib in (flashlight, torch):
        prof = profiled(lib, run, profile_memory=True)
        memory = {e.key: e.cpu_memory_usage for e in prof.key_averages()}
        taken = memory["takes"]  # MLX may use a larger block again
        assert 4000 <= taken < 8000 and memory["gives back"] == -taken
        events = prof.events()
        own = {e.name: e.self_cpu_memory_usage for e in events}
        assert own["takes"] == 0 and own["gives back"] == -taken
        outside = [e.cpu_memory_usage for e in events if e.name == "[memory]"]
        assert sum(outside) < 0


def test_off_costs_no_event():
    assert not _C._profiler_running()
    assert _C._record_enter("nothing", None, True) is None
    with flashlight.profiler.record_function("nothing"):
        flashlight.ones(2) + 1
    with flashlight.profiler.profile() as prof:
        pass
    assert len(prof.events()) == 0
    assert prof.key_averages().table() == ""


def test_of_the_thread_alone():
    def other():
        flashlight.ones(2) * 2

    with flashlight.profiler.profile() as prof:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        flashlight.ones(2) + 2
    assert "aten::mul" not in [e.name for e in prof.events()]


def test_scopes_end_in_any_order():
    first, second = (flashlight.profiler.record_function(n) for n in ("a", "b"))
    with flashlight.profiler.profile() as prof:
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        flashlight.ones(2) + 1
        second.__exit__(None, None, None)

        @flashlight.profiler.record_function("fold", "n=3")
        def fold(n):
            return n and fold(n - 1)

        fold(3)
    events = prof.events()
    recorded = [e.name() for e in prof.profiler.kineto_results.events()]
    assert recorded.count("fold") == 4 and "fold" in [e.name for e in events]
    (add,) = (e for e in events if e.name == "aten::add")
    assert add.cpu_parent.name == "b"
    assert all(e.is_user_annotation == (e.scope == 7) for e in events)


@BOTH
def test_a_scope_that_ends_with_a_future(lib):
    with lib.profiler.profile() as prof:
        with lib.profiler.record_function("waits") as scope:
            future = lib.jit.fork(lambda: lib.ones(2) + 1)
            after = scope._call_end_callbacks_on_future(future)
            with pytest.raises(RuntimeError, match="can only be called once"):
                scope._call_end_callbacks_on_future(future)
        assert after.wait().tolist() == [2, 2]
        lib.ones(2) * 2
    events = {e.name: e for e in prof.events()}
    assert events["aten::add"].cpu_parent.name == "waits"
    assert events["aten::mul"].cpu_parent is None


def test_each_call_of_a_decorated_function_has_its_scope():
    @flashlight.profiler.record_function("call")
    def call(barrier):
        barrier.wait()
        flashlight.ones(2) * 2
        barrier.wait()

    barrier = threading.Barrier(2, timeout=20)
    thread = threading.Thread(target=call, args=(barrier,))
    with flashlight.profiler.profile() as prof:
        thread.start()
        call(barrier)
        thread.join()
        flashlight.ones(2) - 2
    names = [e.name for e in prof.events()]
    assert names.count("call") == 1
    (sub,) = (e for e in prof.events() if e.name == "aten::sub")
    assert sub.cpu_parent is None


def test_errors_end_events():
    x = flashlight.ones(2)
    with flashlight.profiler.profile() as prof:
        with pytest.raises(RuntimeError):
            x + flashlight.ones(3)
        x * 2
    add, mul = (e for e in prof.events() if e.name in ("aten::add", "aten::mul"))
    assert mul.cpu_parent is None and add.time_range.end <= mul.time_range.start


def test_writes_and_transforms_are_what_they_were():
    def run():
        x = flashlight.arange(6.0)
        x[1:3] += 1
        x.mul_(2)
        y = flashlight.func.vmap(lambda a: a.sin() * 2)(x.view(2, 3))
        z = flashlight.func.grad(lambda a: (a**2).sum())(x)
        return [t.tolist() for t in (x, y, z, x.cumsum(0))]

    expected = run()
    with flashlight.profiler.profile(record_shapes=True, with_flops=True):
        assert run() == expected


# --- stacks and modules


def test_stacks():
    def called():
        return flashlight.ones(2) * 2

    with flashlight.profiler.profile(with_stack=True) as prof:
        called()
    (mul,) = (e for e in prof.events() if e.name == "aten::mul")
    here = "test_profiler.py("
    assert here in mul.stack[0] and mul.stack[0].endswith(": called")
    assert mul.stack[1].endswith(": test_stacks")
    assert mul.cpu_parent.is_python_function and "called" in mul.cpu_parent.name
    grouped = prof.key_averages(group_by_stack_n=1)
    assert mul.stack[:1] in [e.stack for e in grouped if e.key == "aten::mul"]
    assert "Source Location" in grouped.table()


def test_modules(tmp_path):
    layer = flashlight.nn.Linear(2, 2)
    model = flashlight.nn.Sequential(layer, flashlight.nn.Linear(2, 2), layer)
    with flashlight.profiler.profile(with_modules=True) as prof:
        model(flashlight.ones(1, 2))
    names = [e.name for e in prof.events() if e.is_python_function]
    linear = "nn.Module: Linear_"
    assert names == ["nn.Module: Sequential_0"] + [f"{linear}{i}" for i in (0, 1, 0)]
    ops = [e for e in prof.events() if e.name == "aten::linear"]
    assert [e.cpu_parent.name for e in ops] == names[1:]


def test_export_stacks(tmp_path):
    with flashlight.autograd.profiler.profile(with_stack=True) as prof:
        x = flashlight.ones(300, 300)
        x @ x
    prof.export_stacks(tmp_path / "stacks")
    lines = (tmp_path / "stacks").read_text().splitlines()
    assert lines
    for line in lines:
        stack, _, time = line.rpartition(" ")
        assert int(time) > 0 and " " not in stack
    message = "metric should be one of"
    with pytest.raises(ValueError, match=message):
        prof.export_stacks(tmp_path / "stacks", "nothing")


# --- tables


def made_events(util):
    lines = ["file(3): f", "file(9): a_function_with_a_long_name"]
    events = [
        util.FunctionEvent(1, "outer", 1, 0, 2500.5, stack=[], flops=0),
        util.FunctionEvent(2, "n" * 60, 1, 1, 900, flops=2_000_000, stack=lines),
        util.FunctionEvent(
            3, "b", 1, 1000, 1400, input_shapes=[[2, 3], []], stack=[], flops=1500
        ),
        util.FunctionEvent(
            4, "b", 1, 1500, 1501, input_shapes=[[7] * 40], stack=["x"], flops=9
        ),
        util.FunctionEvent(5, "other thread", 2, 0, 2e6, stack=[], flops=0),
    ]
    for event, memory in zip(events, (1024, -512, 3 * 1024**2, 0, 7), strict=True):
        event.cpu_memory_usage = memory
    return events


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sort_by": "self_cpu_time_total"},
        {"sort_by": "cpu_time", "row_limit": 2, "header": "a header"},
        {"sort_by": "count", "row_limit": -1},
        {"sort_by": "self_cpu_memory_usage", "max_name_column_width": 12},
        {"max_shapes_column_width": 20, "max_src_column_width": 15},
        {"top_level_events_only": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("averaged", [None, (), (True,), (False, 1)], ids=str)
@pytest.mark.parametrize(
    "kept", [{}, {"profile_memory": True, "with_flops": True}], ids=["plain", "all"]
)
def test_tables(options, averaged, kept):
    texts = []
    for util in (ours, theirs):
        events = util.EventList(made_events(util), **kept)
        for event in events if kept else ():
            event.stack = []  # with both, torch puts counts under "Source Location"
        events._build_tree()
        if averaged is not None:
            events = events.key_averages(*averaged)
        texts.append(events.table(**options))
    assert texts[0] == texts[1]


def test_texts_of_events():
    texts = []
    for util in (ours, theirs):
        events = util.EventList(made_events(util))
        events._build_tree()
        averages = events.key_averages()
        texts.append(
            [repr(e) for e in (*events, *averages, events.total_average())]
            + [util._format_time(t) for t in (0, 3.5, 999.9996, 1000, 999999, 2.5e9)]
            + [util._format_memory(n) for n in (0, -5, 1023, 1024, 3 * 1024**2, 2**33)]
            + [util._format_time_share(3, 7), events.self_cpu_time_total, str(events)]
        )
    assert texts[0] == texts[1]


# --- traces


def test_chrome_trace(tmp_path):
    keys = []
    for lib in (flashlight, torch):
        prof = profiled(lib, record_shapes=True, profile_memory=True)
        path = str(tmp_path / f"{lib.__name__}.json")
        prof.export_chrome_trace(path)
        with open(path) as file:
            trace = json.load(file)
        found = {}
        for event in trace["traceEvents"]:
            kind = event.get("cat"), event["ph"], event["name"].startswith("Record")
            if event.get("cat") == "cpu_op":
                if event["name"] not in ("aten::add", "MulBackward0"):
                    continue
                kind += (event["name"],)
            args = {k for k in event.get("args", {}) if k != "finished"}
            found.setdefault(kind, (event.keys() - {"args"}, args))
        keys.append((trace.keys(), found))
        with pytest.raises(RuntimeError, match="Trace is already saved."):
            prof.export_chrome_trace(path)
    assert keys[0] == keys[1]
    start = trace["traceEvents"]
    assert start[-1]["name"] == "Record Window End"


def test_trace_links_forward_and_backward(tmp_path):
    prof = profiled(flashlight)
    prof.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    at = {e["ts"]: e["name"] for e in events if e["ph"] == "X"}
    links = {}
    for e in events:
        if e.get("cat") == "fwdbwd":
            links.setdefault(e["id"], {})[e["ph"]] = at[e["ts"]]
    pairs = [(link["s"], link["f"]) for link in links.values()]
    assert pairs[:2] == [("aten::sum", "SumBackward0"), ("aten::relu", "ReluBackward0")]
    assert ("aten::addmm", "AddmmBackward0") in pairs


def test_metadata(tmp_path):
    with flashlight.profiler.profile() as prof:
        flashlight.ones(2)
        prof.add_metadata("one", 'a "text"')
        prof.add_metadata_json("two", "[1, 2]")
    prof.export_chrome_trace(str(tmp_path / "trace.json.gz"))
    trace = json.load(gzip.open(tmp_path / "trace.json.gz"))
    assert (trace["one"], trace["two"]) == ('a "text"', [1, 2])


# --- schedules


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "options",
    [
        dict(wait=1, warmup=1, active=2),
        dict(wait=0, warmup=0, active=1),
        dict(wait=2, warmup=1, active=3, repeat=2, skip_first=3),
        dict(wait=5, warmup=1, active=2, repeat=2, skip_first=3, skip_first_wait=1),
    ],
    ids=str,
)
def test_schedules(options):
    seen = []
    for lib in (flashlight, torch):
        plan = lib.profiler.schedule(**options)
        actions = [plan(step).name for step in range(30)]
        ready = []

        def handler(prof, ready=ready):
            names = [e.name for e in prof.events() if e.cpu_parent is None]
            ready.append((prof.step_num, names))

        with lib.profiler.profile(schedule=plan, on_trace_ready=handler) as prof:
            for _ in range(17):
                lib.zeros(2).exp()
                prof.step()
        seen.append((actions, ready, prof.step_num, prof.current_action.name))
    assert seen[0] == seen[1]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_events_of_all_cycles():
    counts = []
    for lib in (flashlight, torch):
        for acc_events in (False, True):
            plan = lib.profiler.schedule(wait=1, warmup=1, active=2)
            with lib.profiler.profile(schedule=plan, acc_events=acc_events) as prof:
                for _ in range(10):
                    lib.zeros(2).exp()
                    prof.step()
            counts.append([e.name for e in prof.events()].count("aten::exp"))
    assert counts[:2] == counts[2:] and counts[1] == 4


def test_tensorboard(tmp_path):
    handler = flashlight.profiler.tensorboard_trace_handler(str(tmp_path), "worker")
    plan = flashlight.profiler.schedule(wait=0, warmup=1, active=1)
    with flashlight.profiler.profile(schedule=plan, on_trace_ready=handler) as prof:
        for _ in range(4):
            prof.step()
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == 2
    assert all(n.startswith("worker.") and n.endswith(".pt.trace.json") for n in names)


def test_steps_of_training():
    model = flashlight.nn.Linear(2, 1)
    optimizer = flashlight.optim.SGD(model.parameters(), lr=0.1)
    rows = flashlight.utils.data.TensorDataset(flashlight.ones(3, 2))
    with flashlight.profiler.profile() as prof:
        for (x,) in flashlight.utils.data.DataLoader(rows):
            optimizer.zero_grad()
            model(x).sum().backward()
            optimizer.step()
    counts = {e.key: e.count for e in prof.key_averages()}
    assert counts["Optimizer.step#SGD.step"] == 3
    assert counts["Optimizer.zero_grad#SGD.zero_grad"] == 3
    assert counts["enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"] == 4


def test_pauses():
    cpu = [flashlight.profiler.ProfilerActivity.CPU]
    with flashlight.profiler.profile() as prof:
        flashlight.ones(2) * 2
        prof.toggle_collection_dynamic(False, cpu)
        flashlight.ones(2) / 2
        prof.toggle_collection_dynamic(True, cpu)
        flashlight.ones(2) - 2
    names = [e.name for e in prof.events()]
    assert "aten::mul" in names and "aten::sub" in names and "aten::div" not in names


# --- errors


def error_of(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as found:
            call()
    return found.type.__name__, str(found.value).partition("\n")[0]


@pytest.mark.parametrize(
    "call",
    [
        lambda lib: lib.profiler.schedule(wait=-1, warmup=0, active=1),
        lambda lib: lib.profiler.schedule(wait=0, warmup=1, active=0),
        lambda lib: lib.profiler.schedule(wait=0, warmup=1, active=1)(-1),
        lambda lib: lib.profiler.profile(activities=[]).start(),
        lambda lib: lib.profiler.profile().events(),
        lambda lib: lib.profiler.profile().key_averages(),
        lambda lib: lib.profiler.profile().export_chrome_trace("nowhere"),
        lambda lib: lib.profiler.profile().export_memory_timeline("nowhere"),
        lambda lib: lib.autograd.profiler.profile().export_stacks("nowhere"),
        lambda lib: twice(lib.autograd.profiler.profile()),
        lambda lib: lib.autograd.profiler.EventList([]).key_averages(),
        lambda lib: lib.autograd.profiler_util._format_time_share(3, 0),
        lambda lib: lib.autograd.profiler.emit_nvtx().__enter__(),
        lambda lib: seen_twice(lib.autograd.profiler.EnforceUnique()),
    ],
)
def test_error_texts(call):
    assert error_of(lambda: call(flashlight)) == error_of(lambda: call(torch))


def twice(profile):
    with profile:
        pass
    profile.__enter__()


def seen_twice(enforce):
    enforce.see(1, 2)
    enforce.see(1, 2)


def test_one_profile_a_thread():
    with flashlight.profiler.profile() as prof:
        with pytest.raises(RuntimeError, match="already enabled on this thread"):
            flashlight.profiler.profile().start()
        flashlight.ones(2) * 2
    assert "aten::mul" in [e.name for e in prof.events()]


def test_what_is_not_there_says_so():
    profiler = flashlight.autograd.profiler
    for call in (
        flashlight.profiler.ExecutionTraceObserver,
        profiler.emit_itt().__enter__,
        lambda: profiler.load_nvprof("nowhere"),
        lambda: flashlight.profiler.profile(execution_trace_observer=object()),
        lambda: _C._profiler._ExperimentalConfig(profile_all_threads=True),
    ):
        with pytest.raises(NotImplementedError, match="is not supported"):
            call()
    assert not flashlight.profiler.itt.is_available()


# --- names


def test_names():
    for name in ("profiler", "autograd.profiler", "autograd.profiler_util"):
        mine, other = flashlight, torch
        for part in name.split("."):
            mine, other = getattr(mine, part), getattr(other, part)
        wanted = set(other.__all__) - {"EventMetadata"}
        assert {n for n in wanted if not hasattr(mine, n)} == set()
    space = torch._C._profiler
    for name in ("RecordScope", "ProfilerState", "ActiveProfilerType", "_EventType"):
        members = getattr(_C._profiler, name).__members__
        expected = getattr(space, name).__members__
        assert {n: int(m) for n, m in members.items()} == {
            n: int(m) for n, m in expected.items()
        }
    cpu = flashlight.profiler.ProfilerActivity.CPU
    assert flashlight.profiler.supported_activities() == {cpu}
    assert (repr(cpu), str(cpu)) == (
        "<ProfilerActivity.CPU: 0>",
        "ProfilerActivity.CPU",
    )


def test_served_as_torch(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import torch\n"
        "from torch._C._profiler import RecordScope\n"
        "from torch.autograd.profiler_util import EventList\n"
        "with torch.profiler.profile() as prof:\n"
        "    torch.ops.profiler._record_function_enter_new('x')\n"
        "    torch.ones(2) * 2\n"
        "print(RecordScope.USER_SCOPE, prof.events()[-1].name, type(prof).__module__)\n"
    )
    command = [sys.executable, "-m", "flashlight", "run", str(program)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.split() == [
        "RecordScope.USER_SCOPE",
        "aten::mul",
        "torch.profiler.profiler",
    ]
