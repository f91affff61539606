"""What the scripts say where something is missing, on machines that are made up.

Each has a folder of its own as PATH: the shell's tools, and programs that answer as a
compiler or a Python of that kind would.
"""

import pathlib
import shutil
import stat
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = "bash dirname basename cat cksum uname grep rm mkdir cp chmod touch id".split()

# Compiles everything; its version is what is asked about.
COMPILER = """#!/bin/bash
case "$*" in
  -dumpversion) echo {version} ;;
  --version) echo "{name} {version}" ;;
  *) cat >/dev/null; exit {status} ;;
esac
"""

# A Python that knows what the scripts ask: {lacks} is version, venv or headers.
# Making an environment gives it this very Python, whose steps fail at $FAIL.
PYTHON = """#!/bin/bash
lacks={lacks}
case "$*" in
  *"sys.version_info < (3, 10)"*) [ "$lacks" != version ] ;;
  *"import ensurepip, venv"*) [ "$lacks" != venv ] ;;
  *Python.h*) [ "$lacks" != headers ] ;;
  "-m venv "*)
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$TOOLS/cmake" "$3/bin/cmake"
    echo made >>"$LOG" ;;
  *"pip"*requirements.txt*) echo requirements >>"$LOG"; [ "$FAIL" != requirements ] ;;
  *"pip"*"[dev]"*) echo package >>"$LOG"; [ "$FAIL" != package ] ;;
  "-m flashlight run "*) echo "ran $4" ;;
  *) echo "python: $*" >&2; exit 3 ;;
esac
"""

CMAKE = """#!/bin/bash
case "$1" in
  --preset) mkdir -p build/release && touch build/release/build.ninja
    echo configured >>"$LOG"; [ "$FAIL" != configure ] ;;
  --build) echo compiled >>"$LOG"; [ "$FAIL" != compile ] ;;
esac
"""


class Machine:
    """A checkout with the scripts, on a PATH with the tools."""

    def __init__(self, folder):
        self.checkout, self.path = folder / "checkout", folder / "bin"
        self.log, self.tools = folder / "log", folder / "tools"
        for made in (self.checkout, self.path, self.tools):
            made.mkdir()
        for name in ("pyproject.toml", "requirements.txt"):
            shutil.copy(ROOT / name, self.checkout)
        shutil.copytree(ROOT / "scripts", self.checkout / "scripts")
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool))
        self.write(self.tools / "cmake", CMAKE)

    def write(self, path, text):
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def compiler(self, name="g++", version="12.2.0", status=0):
        text = COMPILER.format(name=name, version=version, status=status)
        self.write(self.path / name, text)
        return self

    def python(self, lacks="nothing"):
        self.write(self.path / "python3", PYTHON.replace("{lacks}", lacks))
        return self

    def run(self, fail="", script="run", arguments=("program.py",)):
        """The result of scripts/run, and what was done for it."""
        self.log.write_text("")
        env = {"PATH": self.path, "LOG": self.log, "TOOLS": self.tools, "FAIL": fail}
        done = subprocess.run(
            [self.checkout / "scripts" / script, *arguments],
            env={k: str(v) for k, v in env.items()},
            capture_output=True,
            text=True,
            cwd=self.path,
        )
        return done, self.log.read_text().split()

    def is_good(self):
        return (self.checkout / ".venv" / "stamp").is_file()


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def says(done, *words):
    assert done.returncode == 1, done
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


def nothing_was_made(machine, steps):
    assert steps == [] and not (machine.checkout / ".venv").exists()


def test_no_compiler(machine):
    done, steps = machine.python().run()
    says(
        done,
        "run: a C++20 compiler is needed (g++ 12 or later, clang++ 15 or later); none",
        "apt-get install g++",
    )
    nothing_was_made(machine, steps)


@pytest.mark.parametrize("name, version, status", [("g++", "11.4.0", 0), ("c++", 9, 1)])
def test_a_compiler_that_is_too_old(machine, name, version, status):
    done, steps = machine.python().compiler(name, version, status).run()
    says(done, f"{name} is of version {version}", "apt-get install g++")
    nothing_was_made(machine, steps)


def test_a_newer_compiler_beside_an_old_one_is_taken(machine):
    machine.python().compiler("c++", "11.4.0").compiler("clang++", "15.0.0")
    done, _ = machine.run()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "lacks, message, package",
    [
        ("headers", "python3 has no headers (Python.h)", "python3-dev"),
        ("venv", "python3 cannot make virtual environments", "python3-venv"),
        ("version", "Python 3.10 or later is needed; none was found", "python3 "),
    ],
)
def test_a_python_that_lacks_something(machine, lacks, message, package):
    done, steps = machine.compiler().python(lacks).run()
    says(done, message, f"apt-get install {package}")
    nothing_was_made(machine, steps)


def test_no_python(machine):
    done, steps = machine.compiler().run()
    says(done, "Python 3.10 or later is needed; none was found")
    nothing_was_made(machine, steps)


def test_doctest_is_asked_for(machine):
    """The C++ tests need it; this compiler compiles nothing that includes it."""
    machine.python().compiler()
    compiler = machine.path / "g++"
    text = compiler.read_text().replace(
        "cat >/dev/null;", "if grep -q doctest; then exit 1; fi;"
    )
    machine.write(compiler, text)
    done, _ = machine.run(script="test", arguments=())
    says(done, "doctest (doctest/doctest.h) is needed", "apt-get install doctest-dev")


ALL = ["made", "requirements", "configured", "compiled", "package"]


def test_everything_there(machine):
    done, steps = machine.compiler().python().run()
    assert (done.returncode, done.stdout) == (0, "ran program.py\n"), done.stderr
    assert steps == [*ALL, "compiled"]
    assert machine.is_good()
    # Then it is only brought up to date.
    done, steps = machine.run()
    assert (done.stdout, steps) == ("ran program.py\n", ["compiled"])
    # Other requirements: it is made anew.
    with (machine.checkout / "requirements.txt").open("a") as file:
        file.write("another\n")
    assert machine.run()[1] == [*ALL, "compiled"]


@pytest.mark.parametrize("fail", ["requirements", "configure", "compile", "package"])
def test_a_half_made_environment_is_not_taken_for_a_good_one(machine, fail):
    done, _ = machine.compiler().python().run(fail)
    assert done.returncode != 0 and done.stdout == ""
    assert not machine.is_good()
    done, steps = machine.run()
    assert (done.returncode, done.stdout) == (0, "ran program.py\n"), done.stderr
    assert steps == [*ALL, "compiled"]


def test_a_moved_checkout_gets_an_environment_of_its_own(machine, tmp_path):
    machine.compiler().python().run()
    machine.checkout.rename(tmp_path / "moved")
    machine.checkout = tmp_path / "moved"
    assert machine.run()[1] == [*ALL, "compiled"]


def test_usage(machine):
    done, steps = machine.run(arguments=())
    assert done.returncode == 2 and "usage: scripts/run FILE" in done.stderr
    nothing_was_made(machine, steps)
