"""What pip installs, as a stranger gets it: where there is no compiler, and used.

Under --full that is a wheel, for which the engine is compiled once more; otherwise the
libraries of the checkout, laid out as a wheel lays them.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.integration


def run(*command, **options):
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(request, tmp_path_factory):
    if not request.config.getoption("--full"):
        pytest.skip("all of the engine is compiled for a wheel: under --full")
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", ROOT, "--wheel-dir", folder),
        *("--no-build-isolation", "--no-deps"),
    )
    (file,) = folder.glob("flashlight-*.whl")
    return file


def requirements():
    """What the package depends on, from pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.M | re.S)[1]
    return re.findall(r'"(.*)"', listed)


def lay_out(site):
    """The checkout's package and libraries, in a folder of packages."""
    build = ROOT / "build" / "release"
    for component in ("cpp", "python"):
        run("cmake", "--install", build, "--component", component, "--prefix", site)
    for package in ("flashlight", "flashlight_run"):
        for file in (ROOT / package).rglob("*"):
            if file.suffix in (".py", ".typed", ".pyi"):
                to = site / file.relative_to(ROOT)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, to)
    shutil.copy(ROOT / "flashlight_run" / "flashlight_run.pth", site)


@pytest.fixture(scope="module", params=["laid out", "wheel"])
def python(request, tmp_path_factory):
    """The interpreter of an environment with flashlight and what it depends on."""
    wheel = request.getfixturevalue("wheel") if request.param == "wheel" else None
    venv = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", venv)
    python = venv / "bin" / "python"
    what = [wheel] if wheel else requirements()
    run(python, "-m", "pip", "install", "--quiet", *what)
    if not wheel:
        where = "import sysconfig; print(sysconfig.get_path('platlib'))"
        lay_out(pathlib.Path(run(python, "-c", where).strip()))
    return python


def alone(python, tmp_path):
    """Options of a process that sees the environment and nothing else."""
    keep = {k: os.environ[k] for k in ("HOME", "TMPDIR", "LANG") if k in os.environ}
    return dict(cwd=tmp_path, env={**keep, "PATH": str(python.parent)})


def test_contents(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "flashlight/__init__.py",
        "flashlight/nn/functional/__init__.py",
        "flashlight/_C.pyi",
        "flashlight/py.typed",
        "flashlight/include/flashlight/flashlight.h",
        "flashlight/include/flashlight/ops/functions.h",
        "flashlight/share/cmake/flashlight/flashlightConfig.cmake",
        "flashlight_run/__init__.py",
        "flashlight_run.pth",
    ):
        assert name in names
    assert sum(n.startswith("flashlight/_C.") for n in names) == 2  # and its .pyi
    assert sum(n.startswith("flashlight/lib/libflashlight.") for n in names) == 1
    strange = ("tests/", "csrc/", "build/", "parity_check/", "benchmarks/")
    assert not [n for n in names if n.startswith(strange) or "/bind/" in n]


TRAIN = """
import torch
torch.manual_seed(0)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
x = torch.tensor([[1.0, 2, 3], [3, 2, 1], [0, 1, 0]])
losses = []
for _ in range(20):
    optimizer.zero_grad()
    loss = ((model(x) - 1) ** 2).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < 0.2 * losses[0], losses
"""


def test_it_runs_without_a_compiler(python, tmp_path):
    options = alone(python, tmp_path)
    for compiler in ("c++", "g++", "cc", "gcc", "clang++"):
        assert shutil.which(compiler, path=options["env"]["PATH"]) is None
    program = "import flashlight, sys; print(flashlight.__file__)"
    where = pathlib.Path(run(python, "-c", program, **options).strip())
    assert python.parents[1] in where.parents
    train = TRAIN.replace("import torch", "import flashlight as torch", 1)
    run(python, "-c", train, **options)


def test_it_serves_as_torch(python, tmp_path):
    options = alone(python, tmp_path)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys, torch\n"
        "print(type(torch.ones(2)), torch.__spec__.origin)\n"
        "sys.exit(subprocess.call([sys.executable, 'train.py']))\n"
    )
    out = run(python, "-m", "flashlight", "run", "parent.py", **options)
    assert "torch.Tensor" in out


def test_its_library_is_found(python, tmp_path):
    prefix = run(python, "-m", "flashlight", "--cmake-dir", **alone(python, tmp_path))
    config = pathlib.Path(prefix.strip()) / "share/cmake/flashlight"
    assert (config / "flashlightConfig.cmake").is_file()


def test_no_path_of_this_machine(wheel):
    """Libraries find each other by where they lie, not by where they were built."""
    with zipfile.ZipFile(wheel) as files:
        binaries = [n for n in files.namelist() if n.endswith((".so", ".dylib"))]
        assert len(binaries) == 2
        for name in binaries:
            data = files.read(name)
            assert str(ROOT).encode() not in data, name
            assert sys.prefix.encode() not in data, name
