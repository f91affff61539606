"""The generic tests turn red when the engine is wrong: --self-check.

Each mutation is one wrong line in a copy of the sources; the copy is built, and the
tests that are to notice must fail, and pass again without it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPY = ROOT / "build" / "self-check"
REGISTRY = "tests/phase2_operators/test_registry.py"
# What is broken: file, the right line, the wrong one, the tests that must notice.
MUTATIONS = {
    "derivative": (
        "csrc/flashlight/ops/arithmetic.cpp",
        "return grad * conj(other);",
        "return grad + conj(other);",
        f"{REGISTRY}::test_gradient[mul.Tensor]",
    ),
    "write-back": (
        "csrc/flashlight/core/storage.cpp",
        "    set_array(std::move(next));\n    return;",
        "    return;",
        f"{REGISTRY}::test_in_place[mul.Tensor]",
    ),
    "dtype rule": (
        "csrc/flashlight/ops/call.cpp",
        "if (category(*low) > category(*high)) {",
        "if (category(*low) >= category(*high)) {",
        f"{REGISTRY}::test_promotion[add.Tensor]",
    ),
    "NaN rule": (
        "csrc/flashlight/ops/comparison.cpp",
        ".kernel(compare<mx::less_equal, kLe>)",
        ".kernel([](const mx::array& self, const mx::array& other) {"
        " return mx::logical_not(mx::greater(self, other)); })",
        f"{REGISTRY}::test_special_values[le.Tensor]",
    ),
    "version bump": (
        "csrc/flashlight/autograd/view_autograd.cpp",
        "  tensor.bump_version();\n",
        "",
        f"{REGISTRY}::test_in_place[mul.Tensor]",
    ),
}


def build():
    run = [sys.executable, "-c", "import cmake; print(cmake.CMAKE_BIN_DIR)"]
    cmake = Path(subprocess.check_output(run, text=True).strip()) / "cmake"
    if not (COPY / "build" / "build.ninja").exists():
        subprocess.run(
            [
                *(cmake, "-S", COPY, "-B", COPY / "build", "-G", "Ninja"),
                f"-DPython_EXECUTABLE={sys.executable}",
                "-DCMAKE_BUILD_TYPE=Release",
                "-DCMAKE_CXX_FLAGS_RELEASE=-O1",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    subprocess.run([cmake, "--build", COPY / "build"], check=True)


def passes(test):
    """Whether the test passes on the copy; it must at least have run."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=COPY,
        env={**os.environ, "PYTHONPATH": str(COPY)},
        capture_output=True,
        text=True,
    )
    assert re.search(r"\d+ (passed|failed)", run.stdout), run.stdout + run.stderr
    return run.returncode == 0


@pytest.fixture(scope="session")
def copy(request):
    if not request.config.getoption("--self-check"):
        pytest.skip(
            "only with --self-check: builds the engine once and five times more"
        )
    files = subprocess.check_output(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in files.split():
        if not (ROOT / name).is_file():
            continue
        to = COPY / name
        to.parent.mkdir(parents=True, exist_ok=True)
        if not to.exists() or to.read_bytes() != (ROOT / name).read_bytes():
            shutil.copyfile(ROOT / name, to)
    build()
    return COPY


@pytest.mark.parametrize("what", MUTATIONS)
def test_the_line_to_break_is_there(what):
    name, right, _, _ = MUTATIONS[what]
    text = (ROOT / name).read_text()
    assert right in text, f"{name} has no line {right!r}: mutate another"


@pytest.mark.integration
@pytest.mark.parametrize("what", MUTATIONS)
def test_a_broken_engine_is_noticed(copy, what):
    name, right, wrong, test = MUTATIONS[what]
    path = copy / name
    text = path.read_text()
    assert passes(test)
    path.write_text(text.replace(right, wrong, 1))
    try:
        build()
        assert not passes(test), f"{test} does not notice a wrong {what}"
    finally:
        path.write_text(text)
        build()
