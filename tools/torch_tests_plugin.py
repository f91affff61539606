"""A pytest plugin: PyTorch's own test files, on whatever serves the name `torch`.

What judges is PyTorch's: `torch.testing` and `torchgen` are read from the files of
the installed wheel, whose own torch is not run. Modules that they only mention are
stand-ins. A name that their tables of operators want and the served torch lacks is an
`Absent`, and whoever uses it fails. Under real torch only results are written.

tools/torch_tests.py sets the variables:
TORCH_TESTS_RESULTS  each test's start and end, a JSON object a line
TORCH_TESTS_ONLY     a file of the ids to run; without it, all
TORCH_TESTS_LIMIT    seconds that one test may take
"""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import signal
import sys
import types

import pytest
import torch

SERVED = torch.__version__.endswith("+flashlight")
JUDGES = ("torch.testing", "torch._vendor", "torchgen", "functorch")


def below(name, packages):
    return any((name + ".").startswith(package + ".") for package in packages)


# --- names that are not there --------------------------------------------------------


class NotThere(pytest.fail.Exception):
    """No Exception: a test that waits for a RuntimeError must not take it for one."""


class Absent:
    """A name that the served torch lacks: it can be passed around, but not used."""

    __all__ = ()

    def __init__(self, name):
        self.__module__, _, self.__name__ = name.rpartition(".")
        self.__qualname__ = self.__name__

    def _use(self, *args, **kwargs):
        name = f"{self.__module__}.{self.__name__}"
        raise NotThere(f"the served torch has no {name}", pytrace=False)

    # Tables make entries by it, and of it, which nobody need use.
    def __call__(self, *args, **kwargs):
        if is_table(sys._getframe(1).f_globals.get("__name__", "")):
            return Absent(f"{self.__module__}.{self.__name__}()")
        self._use()

    def __iter__(self):
        if is_table(sys._getframe(1).f_globals.get("__name__", "")):
            return iter(())
        self._use()

    __len__ = __getitem__ = __enter__ = _use
    __add__ = __int__ = __float__ = __index__ = _use

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__module__}.{self.__name__}.{name}")

    def __bool__(self):  # not asked how long it is
        return True

    def __mro_entries__(self, bases):
        return ()


class Nothing(contextlib.ContextDecorator):
    """A function, context manager or decorator that does nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None


def same(function=None, *args, **kwargs):
    return function if callable(function) else same


class HigherOrderOperator:
    """Rules for it can be registered; it cannot be called."""

    def __init__(self, name):
        self.name = name

    def py_impl(self, key):
        return same

    __call__ = Absent("torch._ops.HigherOrderOperator")._use


# --- stand-ins -----------------------------------------------------------------------

# Packages of PyTorch's that its tests mention, where the served torch lacks them, and
# what must be found in them. All that is below one is a stand-in, too.
STAND_INS = {
    "torch._dynamo": dict.fromkeys(["reset", "set_stance"], Nothing)
    | dict.fromkeys(["disable", "allow_in_graph", "graph_break"], same),
    "torch._dynamo.config": {
        "accumulated_recompile_limit": 64,
        "assume_static_by_default": True,
        "compiled_autograd": False,
        "issue_3_13_0_warning": False,
        "log_compilation_metrics": False,
        "patch": Nothing,
        "suppress_errors": False,
    },
    "torch._dynamo.compiled_autograd": {"reset": Nothing, "_disable": Nothing},
    "torch._export.wrappers": {
        "mark_subclass_constructor_exportable_experimental": same
    },
    "torch._higher_order_ops": {},
    "torch._inductor": {},
    "torch._inductor.config": {"fallback_random": False, "patch": Nothing},
    "torch._inductor.utils": {"GPU_TYPES": ["cuda", "mps", "xpu", "mtia"]},
    "torch._logging": {},
    "torch._ops": {"HigherOrderOperator": HigherOrderOperator},
    "torch._logging.scribe": {"open_source_signpost": Nothing},
    "torch.backends.xnnpack": {"enabled": False},
    "torch.distributed.tensor": {"DTensor": type("DTensor", (), {})},
    "torch.onnx": dict.fromkeys(
        ["register_custom_op_symbolic", "unregister_custom_op_symbolic"], Nothing
    ),
    "torch.profiler._pattern_matcher": {},
    "torch.utils._foreach_utils": {
        "_get_foreach_kernels_supported_devices": list,
        "_get_fused_kernels_supported_devices": list,
    },
    "torch.utils.cpp_extension": {"CUDA_HOME": None, "ROCM_HOME": None},
} | dict.fromkeys(
    "torch._custom_op torch._decomp torch._export torch._functorch torch._lazy "
    "torch._prims "
    "torch._prims_common torch._refs torch._subclasses torch.ao "
    "torch.autograd.forward_ad torch.export torch.fx "
    "torch.multiprocessing torch.nested torch.nn.attention "
    "torch.utils._mode_utils torch.utils._python_dispatch".split(),
    {},
)


class StandIn(types.ModuleType):
    __all__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")


class StandInLoader(importlib.abc.Loader):
    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        vars(module).update(STAND_INS.get(module.__name__, {}))


# --- the judges ----------------------------------------------------------------------


def new_module_tests(module):
    try:
        return module.get_new_module_tests()
    except (AttributeError, NotThere):  # of a layer that the served torch lacks
        return []


# What test files of PyTorch 2.6 import, and later versions have dropped.
DROPPED = {
    "common_cuda": {"tf32_is_not_fp32": lambda module: lambda: False},
    "common_methods_invocations": {
        "binary_ufuncs_and_refs": lambda module: module.binary_ufuncs
    },
    "common_mkldnn": {
        "bf32_on_and_off": lambda module: lambda precision=None: lambda test: test
    },
    "common_nn": {"new_module_tests": new_module_tests},
}


def one_context_for_two(module):
    """Of a sample come two contexts, where PyTorch 2.6 gave one."""
    both = module.OpInfo._maybe_skip_or_xfail

    def _maybe_skip_or_xfail(self, *args):
        contexts = both(self, *args)

        @contextlib.contextmanager
        def one(test):
            with contextlib.ExitStack() as stack:
                for context in contexts:
                    stack.enter_context(context(test))
                yield

        return (one,)

    module.OpInfo._maybe_skip_or_xfail = _maybe_skip_or_xfail


def entries_that_are_there(module):
    """functorch's tests also name entries that later tables of operators lack."""
    skip_all, tolerate_all = module.skipOps, module.opsToleranceOverride

    def skipOps(test_case, test, to_skip):
        tables = module.op_db, module.additional_op_db, module.autograd_function_db
        tables += (module.custom_op_db,)
        names = {(o.name, o.variant_test_name) for table in tables for o in table}
        there = [s for s in to_skip if (s.op_name, s.variant_name) in names]
        return skip_all(test_case, test, there)

    def opsToleranceOverride(test_case, test, overrides):
        tables = module.op_db, module.additional_op_db
        names = {(o.name, o.variant_test_name) for table in tables for o in table}
        there = [o for o in overrides if o[:2] in names]
        return tolerate_all(test_case, test, there)

    module.skipOps, module.opsToleranceOverride = skipOps, opsToleranceOverride


# Modules with a table of hundreds of operators or layers: one that is absent must not
# cost the others.
TABLES = (
    "autocast_test_lists autograd_function_db common_methods_invocations "
    "common_modules common_nn common_optimizers common_quantized opinfo"
).split()
# ... and such a table among the tests themselves.
TEST_TABLES = ("functorch_additional_op_db",)
# Modules of that folder that are changed as judges are.
TEST_HELPERS = ("common_utils",)
INTERNAL = "torch.testing._internal."
CHANGED = {
    f"{INTERNAL}opinfo.core": one_context_for_two,
    "common_utils": entries_that_are_there,
}
# What tables name is looked for in these, which nothing has imported by then.
NAMED_IN_TABLES = (
    "cuda fft linalg nn.functional optim signal.windows sparse special"
).split()


def is_table(name):
    return (
        name in TEST_TABLES
        or name.startswith(INTERNAL)
        and name.split(".")[3] in TABLES
    )


def find_wheel():
    for place in map(pathlib.Path, sys.path):
        if (place / "torch/testing/_internal/common_utils.py").is_file():
            return place
    raise pytest.UsageError("no installed torch, whose torch.testing is to judge")


def names_in(wheel):
    """Functions and dtypes of PyTorch: tables also ask for what it lacks itself."""
    names = set()
    for stub in ("_VariableFunctions.pyi", "__init__.pyi"):
        text = (wheel / "torch/_C" / stub).read_text()
        names.update(re.findall(r"^(?:def |class )?(\w+)\b[:(]", text, re.M))
    return names


def answering(module, names):
    """A `__getattr__` of `module` that answers tables with an Absent."""
    own = vars(module).get("__getattr__")

    def __getattr__(name):
        if own is not None:
            with contextlib.suppress(AttributeError):
                return own(name)
        asker = sys._getframe(1).f_globals.get("__name__", "")
        wanted = names is None or name in names
        if name.startswith("__") or not wanted or not is_table(asker):
            message = f"module {module.__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        return Absent(f"{module.__name__}.{name}")

    return __getattr__


@contextlib.contextmanager
def absent_names(wheel):
    """While a table loads, it finds an Absent where the served torch has nothing."""
    modules = {}
    for name, module in list(sys.modules.items()):
        if type(module) is not types.ModuleType or below(name, JUDGES):
            continue
        if below(name, ["torch", torch.__name__, "flashlight.ops"]):
            modules[id(module)] = module, vars(module).get("__getattr__")
    names = names_in(wheel)
    for module, _ in modules.values():
        module.__getattr__ = answering(module, names if module is torch else None)
    try:
        yield
    finally:
        for module, own in modules.values():
            del module.__getattr__
            if own is not None:
                module.__getattr__ = own


class JudgeLoader(importlib.machinery.SourceFileLoader):
    wheel = None

    def exec_module(self, module):
        table = SERVED and is_table(module.__name__)
        with absent_names(self.wheel) if table else contextlib.nullcontext():
            super().exec_module(module)
            add_dropped(module)


def add_dropped(module):
    for name, make in DROPPED.get(module.__name__.removeprefix(INTERNAL), {}).items():
        if not hasattr(module, name):
            setattr(module, name, make(module))
    change = CHANGED.get(module.__name__)
    if change and not hasattr(module, "_as_in_2_6"):
        change(module)
        module._as_in_2_6 = True


class Finder(importlib.abc.MetaPathFinder):
    """Before all others: judges from the wheel, and stand-ins."""

    def __init__(self, wheel):
        JudgeLoader.wheel = self.wheel = wheel

    def find_spec(self, name, path=None, target=None):
        if below(name, JUDGES):
            return self.judge(name)
        if name in TEST_TABLES + TEST_HELPERS:
            spec = self.found_by_others(name, path)
            if spec is not None:
                spec.loader = JudgeLoader(name, spec.origin)
            return spec
        if below(name, STAND_INS):
            found = self.found_by_others(name, path)
            loader = StandInLoader()
            return found or importlib.machinery.ModuleSpec(
                name, loader, is_package=True
            )
        return None

    def judge(self, name):
        place = self.wheel.joinpath(*name.split("."))
        if place.is_dir():
            file, folders = place / "__init__.py", [str(place)]
        else:
            file, folders = place.with_suffix(".py"), None
        if file.is_file():
            loader = JudgeLoader(name, str(file))
            return importlib.util.spec_from_file_location(
                name, file, loader=loader, submodule_search_locations=folders
            )
        spec = None
        if folders:
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = folders
        return spec

    def found_by_others(self, name, path):
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                with contextlib.suppress(ModuleNotFoundError):
                    spec = finder.find_spec(name, path)
                    if spec is not None:
                        return spec
        return None


# Classes in C that tests name in annotations and isinstance().
OF_C = "FileCheck ScriptDict ScriptFunction ScriptList ScriptMethod".split()
MENTIONED = [(torch, "SymInt"), (torch.library, "fallthrough_kernel")]
FOR_COMPILERS = "_disable_dynamo"  # a decorator
OF_DISPATCH = "DispatchKey DispatchKeySet _ExcludeDispatchKeyGuard".split()


def bring_judges():
    sys.meta_path.insert(0, Finder(find_wheel()))
    for name in OF_C:
        if not hasattr(torch._C, name):
            absent = Absent(f"torch._C.{name}")
            setattr(torch._C, name, type(name, (), {"__init__": absent._use}))
    for name in OF_DISPATCH:
        if not hasattr(torch._C, name):
            setattr(torch._C, name, Absent(f"torch._C.{name}"))
    # Its parent is no package, so that nobody is asked for it.
    sys.modules.setdefault("torch.cuda.jiterator", StandIn("torch.cuda.jiterator"))
    if not hasattr(torch, FOR_COMPILERS):
        setattr(torch, FOR_COMPILERS, same)
    for module, name in MENTIONED:
        if not hasattr(module, name):
            setattr(module, name, Absent(f"{module.__name__}.{name}"))
    for name in [*STAND_INS, *(f"torch.{name}" for name in NAMED_IN_TABLES)]:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    importlib.import_module("torch.testing")


if SERVED:
    bring_judges()


# --- what ran, and how it ended ------------------------------------------------------


class Results:
    def __init__(self, path):
        self.file, self.process = open(path, "a", buffering=1), os.getpid()

    def write(self, **row):
        if os.getpid() == self.process:  # and not a worker that a test forked
            self.file.write(json.dumps(row) + "\n")

    def pytest_runtest_logstart(self, nodeid):
        self.outcome, self.message = "skipped", ""
        self.write(start=nodeid)

    def pytest_runtest_logreport(self, report):
        if self.outcome == "failed":
            return
        whole = type(report).__name__ == "TestReport"  # not of a part of it
        if report.failed:
            self.outcome, self.message = "failed", message_of(report)
        elif whole and hasattr(report, "wasxfail"):
            self.outcome = "expected failure" if report.skipped else "failed"
            self.message = report.wasxfail
        elif whole and report.skipped:
            self.message = message_of(report)
        elif whole and report.when == "call":
            self.outcome = "passed"

    def pytest_runtest_logfinish(self, nodeid):
        self.write(id=nodeid, outcome=self.outcome, message=self.message)

    def pytest_collection_finish(self, session):
        self.write(collected=[item.nodeid for item in session.items])

    def pytest_collectreport(self, report):
        if report.failed:
            self.write(not_collected=message_of(report))

    def pytest_sessionfinish(self, exitstatus):
        vacuous = [c for c in ("gradcheck", "gradgradcheck") if takes_a_wrong_one(c)]
        self.write(done=int(exitstatus), vacuous=vacuous)


def message_of(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr)
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    # Of what could not be collected, the last line says why.
    return lines[0] if crash else lines[-1]


def takes_a_wrong_one(check):
    """They are the served torch's: tests that use them say nothing if they take all."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            # Of the first order wrong; or right, but not as a function of x.
            return grad * (3 * x if check == "gradcheck" else 2 * x.detach())

    x = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    return bool(getattr(torch.autograd, check)(Wrong.apply, x, raise_exception=False))


@contextlib.contextmanager
def limited():
    seconds = float(os.environ.get("TORCH_TESTS_LIMIT", 60))

    def over(number, frame):
        pytest.fail(f"longer than {seconds:g} s", pytrace=False)

    before = signal.signal(signal.SIGALRM, over)
    # And again and again: the test may take the first for an error of its own.
    signal.setitimer(signal.ITIMER_REAL, seconds, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    with limited():
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    only = os.environ.get("TORCH_TESTS_ONLY")
    if only:
        wanted = set(pathlib.Path(only).read_text().splitlines())
        items[:] = [item for item in items if item.nodeid in wanted]


def pytest_configure(config):
    if not SERVED:
        for name in [*(INTERNAL + name for name in DROPPED), *CHANGED]:
            with contextlib.suppress(ModuleNotFoundError):
                add_dropped(importlib.import_module(name))
    path = os.environ.get("TORCH_TESTS_RESULTS")
    if path:
        config.pluginmanager.register(Results(path))
