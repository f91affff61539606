"""What PyTorch's public names are, and which of them flashlight has."""

import inspect
import re
from pathlib import Path

import torch
import torchgen
from torch.testing._internal.common_methods_invocations import op_db

import flashlight

ROWS = {schema.partition("(")[0] for schema in flashlight._C._schemas}


def _public(module):
    names = getattr(module, "__all__", None)
    names = names if names is not None else dir(module)
    return sorted({n for n in names if not n.startswith("_")})


def _called(module):
    return [n for n in _public(module) if callable(getattr(module, n, None))]


def _functions(module):
    """What is called and is of torch, not a class or a module it imports."""
    return [
        name
        for name in _called(module)
        if not inspect.isclass(getattr(module, name))
        and (getattr(getattr(module, name), "__module__", None) or "torch")
        .partition(".")[0]
        .startswith(("torch", "_"))
    ]


def _classes(module, base):
    return [
        n
        for n in _public(module)
        if inspect.isclass(getattr(module, n, None))
        and issubclass(getattr(module, n), base)
    ]


def _of(package, name):
    value = package
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _has(path):
    return lambda name: _of(flashlight, f"{path}.{name}" if path else name) is not None


def _has_op(name):
    """An op of PyTorch's test database: a function or a method."""
    if name.startswith(("_refs.", "ops.")):
        return False
    return any(
        _of(place, name + form) is not None
        for place in (flashlight, flashlight.Tensor, flashlight._C._nn)
        for form in ("", "_")  # uniform_ is an op without uniform
    ) or (
        # Named by their row: torch.ops.aten's, or a function without underscore.
        name.removeprefix("torch.ops.aten.").removesuffix(".default") in ROWS
        or name.removeprefix("_") in ROWS
    )


def _native_names():
    """The names in PyTorch's native_functions.yaml that Python can call, dense."""
    yaml = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
    names = set(re.findall(r"^- func: (\w+)", yaml.read_text(), re.MULTILINE))
    return sorted(n for n in names if not n.startswith("_") and _is_called(torch, n))


def _is_called(t, name):
    modules = (getattr(t._C, f"_{m}", None) for m in ("nn", "linalg", "fft", "special"))
    return any(hasattr(place, name) for place in (t, t.Tensor, *modules))


def areas():
    """{area: (the names that PyTorch has, those of them that are here)}."""
    methods = [
        n
        for n in dir(torch.Tensor)
        if not n.startswith("_") and callable(getattr(torch.Tensor, n, None))
    ]
    optimizers = _classes(torch.optim, torch.optim.Optimizer)
    schedulers = _classes(
        torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler
    )
    lists = {
        "ops (OpInfo)": (sorted({i.name for i in op_db}), _has_op),
        "native functions": (
            _native_names(),
            lambda name: _is_called(flashlight, name),
        ),
        "torch": (_functions(torch), _has("")),
        "torch.Tensor": (methods, _has("Tensor")),
        "torch.nn": (_classes(torch.nn, torch.nn.Module), _has("nn")),
        "torch.nn.functional": (
            _functions(torch.nn.functional),
            _has("nn.functional"),
        ),
        "torch.nn.init": (_functions(torch.nn.init), _has("nn.init")),
        "torch.optim": (optimizers, _has("optim")),
        "torch.optim.lr_scheduler": (schedulers, _has("optim.lr_scheduler")),
        "torch.linalg": (_functions(torch.linalg), _has("linalg")),
        "torch.fft": (_functions(torch.fft), _has("fft")),
        "torch.signal.windows": (
            torch.signal.windows.__all__,
            _has("signal.windows"),
        ),
        "torch.special": (_functions(torch.special), _has("special")),
        "torch.autograd": (_called(torch.autograd), _has("autograd")),
        "torch.profiler": (_called(torch.profiler), _has("profiler")),
        "torch.utils.data": (_called(torch.utils.data), _has("utils.data")),
        "torch.serialization": (
            _called(torch.serialization),
            _has("serialization"),
        ),
    }
    return {
        area: (names, [n for n in names if has(n)])
        for area, (names, has) in lists.items()
    }
