"""The stubs that the build writes: whole, and of use to a type checker."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

import flashlight
from flashlight import _C

PACKAGE = pathlib.Path(flashlight.__file__).parent


def defined(nodes):
    names = set()
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
        elif isinstance(node, ast.Assign):
            names.update(t.id for t in node.targets)
    return names


def stub(path):
    return ast.parse((PACKAGE / path).read_text()).body


def of_class(name):
    (found,) = (n for n in stub("_C.pyi") if getattr(n, "name", None) == name)
    return found.body


def test_every_name_is_there():
    # What the package puts into _C afterwards, the table and facts in Python.
    added = {"_aten", "_nn", "_linalg", "_fft", "_special", "_VariableFunctions"}
    added |= {"_TorchFunctionState", "_get_torch_function_state"}
    added |= {"_get_cpu_capability", "_get_privateuse1_backend_name"}
    added |= {"_VariableFunctionsClass", "_disabled_torch_function_impl"}
    added |= {
        "_disabled_torch_dispatch_impl",
        "_autograd",
        "_WeakTensorRef",
        "_profiler",
    }
    added |= {"DisableTorchFunction", "DisableTorchFunctionSubclass"}
    added |= {"_DisableTorchDispatch", "_skip_one_hop_torch_function"}
    added |= {"_is_torch_function_enabled", "_is_torch_function_all_disabled"}
    added |= {"Tag", "_functorch", "has_spectral", "_AutoDispatchBelowAutograd"}
    added |= {"_get_deterministic_fill_uninitialized_memory"}
    added |= {"_set_deterministic_fill_uninitialized_memory"}
    added |= {"_debug_only_are_vmap_fallback_warnings_enabled", "_DisableFuncTorch"}
    added |= {"_debug_only_display_vmap_fallback_warnings"}
    names = {n for n in vars(_C) if not n.startswith("__")} - added
    assert names <= defined(stub("_C.pyi"))
    assert vars(_C._VariableFunctions).keys() == defined(of_class("_VariableFunctions"))
    # What object has is not said again.
    inherited = {"__doc__", "__module__", "__dict__", "__weakref__"}
    members = set(vars(_C.TensorBase)) - inherited
    assert members <= defined(of_class("TensorBase"))
    public = {n for n in flashlight.ops.__all__}
    assert public <= defined(stub("ops/__init__.pyi"))


def test_nothing_of_tensors_is_untyped():
    for node in of_class("TensorBase"):
        if isinstance(node, ast.FunctionDef) and node.name not in (
            *("__new__", "__init__", "tolist", "_make_subclass"),
        ):
            assert "Any" not in ast.unparse(node.returns), node.name
            assert node.args.kwarg is None, node.name


GOOD = """
import flashlight as torch
from flashlight import Size, Tensor

def run(x: Tensor) -> Tensor:
    a: Tensor = torch.relu(x)
    b: Tensor = x.add(1, alpha=2).view(2, 2).permute(1, 0)
    c: Tensor = torch.max(x, 1).values
    i: Tensor = x.sort(descending=True).indices
    n: int = x.dim() + x.size(0)
    s: Tensor = x.sum(dim=(0, 1), dtype=torch.float64)
    e: Tensor = x + 1 - x * 2
    shape: Size = x.shape
    z: Tensor = torch.zeros(2, 3, dtype=torch.float32, device="cpu")
    if x.requires_grad and not bool(torch.all(z)):
        return torch.cat([a, b, c, i, s, e, z])
    return torch.where(x > n, 1 / x, x[0]) @ z
"""

# Each line is wrong, in a way that the checker has to name.
BAD = """
import flashlight as torch
from flashlight import Tensor

def run(x: Tensor) -> None:
    torch.relu("x")  # arg-type
    torch.no_such_function(x)  # attr-defined
    n: int = torch.relu(x)  # assignment
    x.sum(dims=0)  # call-overload
    x.size() + x  # operator
    torch.zeros(2, dtype=3)  # call-overload
"""


def check(tmp_path, text):
    pytest.importorskip("mypy", reason="comes with the requirements for development")
    (tmp_path / "program.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache"]
    done = subprocess.run(
        [*command, "program.py"], cwd=tmp_path, capture_output=True, text=True
    )
    return re.findall(r"program.py:(\d+): error: .*\[([\w-]+)\]", done.stdout), done


@pytest.mark.integration
def test_a_type_checker_follows_them(tmp_path):
    errors, done = check(tmp_path, GOOD)
    assert done.returncode == 0 and not errors, done.stdout
    errors, done = check(tmp_path, BAD)
    expected = [
        (str(number), line.split("# ")[1])
        for number, line in enumerate(BAD.splitlines(), 1)
        if "# " in line
    ]
    assert errors == expected, done.stdout
