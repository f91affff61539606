"""`python -m flashlight run`: programs and their children get flashlight as torch."""

import os
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An environment in which flashlight is installed, with torch beside it."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": venv, "platbase": venv}))
    import torch

    import flashlight

    package = Path(flashlight.__file__).parents[1]
    beside = Path(torch.__file__).parents[1]
    (site / "a_paths.pth").write_text(f"{package}\n{beside}\n")
    hook = ROOT / "flashlight_run" / "flashlight_run.pth"
    (site / hook.name).write_text(hook.read_text())
    return venv / "bin" / "python"


@pytest.fixture(params=["installed", "on the path"])
def run(request, python, tmp_path):
    """Runs a program text; its result."""
    interpreter = python if request.param == "installed" else Path(sys.executable)
    environment = {k: v for k, v in os.environ.items() if k != "FLASHLIGHT_AS_TORCH"}
    if request.param == "installed":
        environment.pop("PYTHONPATH", None)
    else:
        environment["PYTHONPATH"] = str(ROOT)

    def run(text, *args, before=("-m", "flashlight", "run"), how="script"):
        program = tmp_path / "program.py"
        program.write_text(textwrap.dedent(text))
        what = ["-m", "program"] if how == "module" else [str(program)]
        return subprocess.run(
            [interpreter, *before, *what, *args],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=300,
        )

    run.kind = request.param
    return run


def lines(result):
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize("how", ["script", "module"])
def test_argv_name_and_path(run, how):
    out = run(
        """
        import sys
        import torch, flashlight
        print(sys.argv[1:], __name__, torch is flashlight)
        print(sys.argv[0].endswith("program.py"))
        print(globals().get("__file__", "").endswith("program.py"))
        """,
        *("--x", "-m", "1"),
        how=how,
    )
    assert lines(out) == ["['--x', '-m', '1'] __main__ True", "True", "True"]


def test_exit_status(run):
    assert run("import torch, sys; sys.exit(7)").returncode == 7
    assert run("raise SystemExit('text')").returncode == 1


def test_traceback_is_the_programs(run):
    result = run("import torch\ndef f():\n    1 / 0\nf()\n")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    if run.kind == "installed":
        assert "flashlight" not in result.stderr
        assert result.stderr.startswith("Traceback (most recent call last):\n")


def test_imports(run):
    out = run("""
        import importlib.util
        import torch
        import torch.nn as nn
        import torch.nn.functional as F
        import torch.nn.modules.flatten
        from torch.utils.data import DataLoader
        from torch.optim.lr_scheduler import StepLR
        from torch.nn.modules.module import Module
        import torch._utils, torch._tensor, torch.serialization, torch.storage
        print(F is torch.nn.functional, Module is nn.Module)
        print(torch.nn.modules.flatten.Flatten is nn.Flatten)
        print(hasattr(torch, "absent"), hasattr(torch.nn, "absent"))
        print(importlib.util.find_spec("torch.absent"))
        for name in ("torch.absent", "torch.nn.absent", "torch.absent.more"):
            try:
                __import__(name)
            except ModuleNotFoundError as e:
                print(e.name, "|", str(e).partition(" (")[0])
        try:
            from torch import absent
        except ImportError as e:
            print(type(e).__name__, str(e).rpartition(" '")[0].partition(" (")[0])
        """)
    assert lines(out) == [
        "True True",
        "True",
        "False False",
        "None",
        "torch.absent | No module named 'torch.absent'",
        "torch.nn.absent | No module named 'torch.nn.absent'",
        "torch.absent | No module named 'torch.absent'",
        "ImportError cannot import name 'absent' from",
    ]


def test_names_and_version(run):
    out = run("""
        import importlib.metadata as m
        import torch
        print(torch.__version__.split("+")[0], torch.__name__ != "")
        print(m.version("torch") == torch.__version__)
        print(m.distribution("torch").metadata["Name"], len(m.files("torch") or []))
        x = torch.ones(2)
        things = [x, torch.nn.Linear(1, 1), torch.nn.Parameter(x), x.shape, x.dtype]
        things += [x.device, torch.optim.SGD([x], lr=1), torch.nn.Flatten()]
        for thing in things:
            print(type(thing).__module__, type(thing).__qualname__)
        print(x.type())
        """)
    assert lines(out) == [
        "2.13.0 True",
        "True",
        "torch 0",
        "torch Tensor",
        "torch.nn.modules.linear Linear",
        "torch.nn.parameter Parameter",
        "torch Size",
        "torch dtype",
        "torch device",
        "torch.optim.sgd SGD",
        "torch.nn.modules.flatten Flatten",
        "torch.FloatTensor",
    ]


def test_pickles_load_where_torch_is_real(run, tmp_path):
    program = """
        import pickle
        import torch
        x = torch.ones(2, 3)
        things = [x, x.t(), torch.nn.Linear(2, 1), x.dtype, x.shape, x.device]
        with open("things.pkl", "wb") as f:
            pickle.dump(things, f)
        torch.save(things, "things.pt")
        """
    lines(run(program))
    reader = """
        import pickle
        import torch
        assert torch.version.git_version
        for things in (pickle.load(open("things.pkl", "rb")),
                       torch.load("things.pt", weights_only=False)):
            x, turned, layer, dtype, shape, device = things
            assert turned.stride() == (1, 3) and dtype is torch.float32
            assert layer(torch.ones(1, 2)).shape == (1, 1)
        print("read")
        """
    assert lines(run(reader, before=())) == ["read"]


def test_children(run):
    if run.kind != "installed":
        pytest.skip("children are served by the installed flashlight_run.pth")
    out = run("""
        import multiprocessing, os, subprocess, sys
        import torch
        WHAT = "import torch; print(torch.__version__.split('+')[1])"

        def child(queue):
            import torch
            queue.put((torch.__version__.split("+")[1], torch.ones(2).tolist()))

        if __name__ == "__main__":
            command = [sys.executable, "-c", WHAT]
            print(subprocess.check_output(command, text=True), end="")
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            process = context.Process(target=child, args=(queue,))
            process.start()
            print(*queue.get())
            process.join()
        """)
    assert lines(out) == ["flashlight", "flashlight [1.0, 1.0]"]


def test_torch_is_real_without_run(run):
    out = run(
        """
        import torch
        import flashlight
        print(torch is flashlight, bool(torch.version.git_version))
        import sys
        print("flashlight_run" in sys.modules and any(
            type(f).__module__ == "flashlight_run" for f in sys.meta_path))
        """,
        before=(),
    )
    assert lines(out) == ["False True", "False"]


def test_safetensors(run):
    pytest.importorskip("safetensors")
    out = run("""
        import torch
        from safetensors.torch import load, load_file, save, save_file
        x = torch.ones(2, 3)
        save_file({"x": x, "y": x.to(torch.bfloat16)}, "x.safetensors")
        out = load_file("x.safetensors")
        assert load(save({"x": x[1:]}))["x"].tolist() == [[1.0, 1.0, 1.0]]
        print(out["x"].tolist(), out["y"].dtype, type(out["x"]) is torch.Tensor)
        """)
    assert lines(out) == ["[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]] torch.bfloat16 True"]


def test_usage(run):
    interpreter = [sys.executable, "-m", "flashlight"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = subprocess.run([*interpreter, "--version"], capture_output=True, env=env)
    assert out.returncode == 0
    assert out.stdout.decode().strip()
