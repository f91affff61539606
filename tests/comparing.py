"""Runs a script under flashlight and under PyTorch and compares what it logs."""

import math
import re
import warnings

import numpy
import pytest
import torch

import flashlight

LIBRARIES = (torch, flashlight)


def plain(item):
    """An entry of a log without the library that it came from."""
    if isinstance(item, (torch.Tensor, flashlight.Tensor)):
        return item.detach().tolist()
    if isinstance(item, (bool, int, float, complex, str, type(None))):
        return item
    if isinstance(item, dict):
        return {plain(k): plain(v) for k, v in item.items()}
    if isinstance(item, (list, tuple)) and type(item) in (list, tuple):
        return [plain(i) for i in item]
    return str(item)


def _text(entry):
    return entry.replace("flashlight.", "torch.") if isinstance(entry, str) else entry


def same(a, b, rtol=1e-6, atol=1e-7):
    """Whether two entries are equal; floating-point numbers nearly."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y, rtol, atol) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k], rtol, atol) for k in a)
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (
            a == b
            or (math.isnan(a) and math.isnan(b))
            or math.isclose(a, b, rel_tol=rtol, abs_tol=atol)
        )
    if isinstance(a, complex):
        return same([a.real, a.imag], [b.real, b.imag], rtol, atol)
    return _text(a) == _text(b)


class Log:
    """What a script has seen: values, texts of errors and of warnings."""

    def __init__(self):
        self.entries = []

    def __call__(self, *items):
        self.entries.append([plain(i) for i in items])

    def fails(self, call):
        """Log the type and text of the exception that a call raises."""
        try:
            result = call()
        except Exception as e:
            self(type(e).__name__, str(e))
        else:
            self("no error")
            return result

    def warns(self, call):
        """Log the warnings that a call gives; its result comes back."""
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            result = call()
        # PyTorch's C++ adds the line of its source.
        texts = [str(w.message).split(" (Triggered internally at")[0] for w in seen]
        self([[w.category.__name__, text] for w, text in zip(seen, texts)])
        return result


def run_script(script, lib):
    """The entries that ``script(lib, log, fails)`` logs."""
    log = Log()
    lib.manual_seed(0)
    script(lib, log, log.fails)
    return log.entries


def compare_scripts(script):
    """Run ``script(lib, log, fails)`` with each library and compare what it logs.

    ``log(*items)`` notes values, ``fails(call)`` the exception that a call raises,
    ``log.warns(call)`` its warnings.
    """
    expected, actual = (run_script(script, lib) for lib in LIBRARIES)
    assert expected, "the script logged nothing"
    for i, (a, e) in enumerate(zip(actual, expected)):
        assert same(a, e), f"entry {i}:\n  ours  {a}\n  torch {e}"
    assert len(actual) == len(expected)


class Scripts(list):
    """The scripts of a test file: ``@script`` adds one, ``@script.each`` runs all."""

    def __call__(self, f):
        self.append(f)
        return f

    def each(self, test):
        of_each = pytest.mark.parametrize("program", self, ids=lambda f: f.__name__)
        return pytest.mark.parity(of_each(test))


def line_outcome(setup, library, text):
    """What a line gives after ``setup``: of an expression its value, of statements `r`.

    The library is ``T`` (and ``torch``) to both; a line of statements begins with "!".
    """
    names = {"T": library, "torch": library, "np": numpy}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(setup, names)
        try:
            if text.startswith("!"):
                names["r"] = None
                exec(text[1:], names)
                value = names["r"]
            else:
                value = eval(text, names)
            said = repr(value)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
    return re.sub(r"0x[0-9a-f]+", "0x", said.replace("flashlight", "torch"))
