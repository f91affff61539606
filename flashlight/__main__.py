"""`python -m flashlight`: run programs as under PyTorch; say where things are."""

import argparse
import os
import runpy
import site
import sys

import flashlight
import flashlight_run

USAGE = """\
python -m flashlight run program.py [arguments]
       python -m flashlight run -m module [arguments]
       python -m flashlight --cmake-dir
       python -m flashlight --version"""

DESCRIPTION = """\
`run` runs a program written for PyTorch, unchanged: `import torch` and its
submodules give flashlight, in the program and in the processes that it starts.
What stands after `run` is what would stand after `python`."""


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["run"]:
        run(arguments[1:])
        return
    parser = argparse.ArgumentParser(
        prog="python -m flashlight",
        usage=USAGE,
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument(
        "--cmake-dir",
        action="store_true",
        help="print the prefix for find_package(flashlight) in CMake",
    )
    chosen = parser.parse_args(arguments)
    if chosen.version:
        print(flashlight.__version__)
    elif chosen.cmake_dir:
        print(cmake_dir())
    else:
        parser.print_help()


def cmake_dir():
    for folder in flashlight.__path__:
        if os.path.isdir(os.path.join(folder, "share", "cmake", "flashlight")):
            return os.path.abspath(folder)
    sys.exit("flashlight's C++ library is not built: its CMake files are missing")


def run(arguments):
    """Become `python ARGUMENTS` with flashlight served as torch."""
    os.environ[flashlight_run.VARIABLE] = "1"
    if startup_file_is_read():
        # A fresh interpreter: arguments, paths, tracebacks, signals and exit
        # codes are then Python's own, and flashlight is imported when torch is.
        sys.stdout.flush()
        command = [sys.executable, *interpreter_options(), *arguments]
        os.execv(sys.executable, command)
    run_here(arguments)


def startup_file_is_read():
    """Whether a new interpreter would find flashlight_run.pth."""
    if sys.flags.no_site:
        return False
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return any(os.path.isfile(os.path.join(f, "flashlight_run.pth")) for f in folders)


def interpreter_options():
    """What stands before `-m flashlight`: -u, -W error, -X dev and the like."""
    options = []
    for word in sys.orig_argv[1:]:
        if word in ("-m", "-mflashlight"):
            break
        options.append(word)
    return options


def run_here(arguments):
    """Run in this interpreter: flashlight is on the path, but not installed."""
    flashlight_run.serve()
    if arguments[:1] == ["-m"] and len(arguments) > 1:
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments and not arguments[0].startswith("-"):
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.realpath(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")
    else:
        sys.exit("usage: " + USAGE)


if __name__ == "__main__":
    main()
