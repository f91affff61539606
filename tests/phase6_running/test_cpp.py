"""The C++ library as a stranger's program finds it: installed, found, built, run."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "cpp"
pytestmark = pytest.mark.integration


def run(*command):
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    build = ROOT / "build" / "release"
    run("cmake", "--install", build, "--component", "cpp", "--prefix", prefix)
    return prefix


def build(source, prefix, folder):
    run(
        *("cmake", "-G", "Ninja", "-S", source, "-B", folder),
        f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DPython_EXECUTABLE={sys.executable}",
    )
    run("cmake", "--build", folder)


def test_the_digits_example(prefix, tmp_path):
    """From an installation; the program has no Python in it."""
    build(EXAMPLE, prefix, tmp_path / "build")
    program, digits = tmp_path / "build" / "digits", tmp_path / "digits.csv"
    run(sys.executable, EXAMPLE / "digits_csv.py", digits)
    if sys.platform == "linux":
        libraries = run("ldd", program)
        assert str(prefix) in libraries and "libpython" not in libraries
    out = run(program, digits, 150)  # steps
    losses = [float(x) for x in re.findall(r"loss (\S+)", out)]
    assert losses[-1] < 0.1 * losses[0], out
    assert float(re.search(r"held-out digits: (\S+)%", out)[1]) >= 98, out


def snippet():
    """The C++ of docs/cpp.md: its indented block that uses the namespace."""
    text = (ROOT / "docs" / "cpp.md").read_text()
    blocks = re.findall(r"(?:^(?:    .*)?\n)+", text, re.M)
    (found,) = (b for b in blocks if "using namespace flashlight;" in b)
    return found


def test_found_in_a_checkout(tmp_path):
    """What `python -m flashlight --cmake-dir` prints is a prefix, too."""
    (tmp_path / "main.cpp").write_text(
        '#include "flashlight/flashlight.h"\n'
        "int main() {\n" + snippet() + "  NoGrad guard;\n"
        "  return mean(square(matmul(x, w) - x)).item().to_double() < 0.1 ? 0 : 1;\n"
        "}\n"
    )
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.26)\n"
        "project(program LANGUAGES CXX)\n"
        "find_package(flashlight 0.1 REQUIRED)\n"
        "add_executable(program main.cpp)\n"
        "target_link_libraries(program PRIVATE flashlight::flashlight)\n"
    )
    prefix = run(sys.executable, "-m", "flashlight", "--cmake-dir").strip()
    build(tmp_path, prefix, tmp_path / "build")
    run(tmp_path / "build" / "program")


def test_another_mlx_is_refused(tmp_path):
    """The engine's classes are those of the MLX that it was compiled against."""
    other = tmp_path / "other" / "share" / "cmake" / "MLX"
    other.mkdir(parents=True)
    (other / "MLXConfig.cmake").write_text("")
    (other / "MLXConfigVersion.cmake").write_text(
        "set(PACKAGE_VERSION 0.1.0)\n"
        "set(PACKAGE_VERSION_COMPATIBLE TRUE)\n"
        "set(PACKAGE_VERSION_EXACT FALSE)\n"
    )
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.26)\n"
        "project(program LANGUAGES CXX)\n"
        "find_package(flashlight REQUIRED)\n"
    )
    prefix = run(sys.executable, "-m", "flashlight", "--cmake-dir").strip()
    command = ["cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "build"]
    done = subprocess.run(
        [*command, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DMLX_ROOT={tmp_path / 'other'}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and "MLX" in done.stderr, done.stderr
