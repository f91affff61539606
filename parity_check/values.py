"""A sample of calls of each row of the operator table, compared with torch.

The samples and the judge are those of the tests of the operators.
"""

import sys
import warnings
from pathlib import Path

import torch

TESTS = Path(__file__).parents[1] / "tests" / "phase2_operators"
TOLERANCE = 1e-5
UNDEFINED = ("empty", "empty_like", "new_empty", "empty_strided")


def check(samples):
    """{row: None if its calls agree, else what was wrong; or "no sample"}."""
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    import registry

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {row: _check_row(registry, row, samples) for row in registry.rows()}


def _check_row(registry, row, samples):
    import flashlight

    name = registry.rows_cached()[row]["name"]
    if name in UNDEFINED:
        return "no sample"  # whose values mean anything
    seen = 0
    for dtype in (torch.float32, torch.int64, torch.complex64):
        for case in registry.cases(row, dtype):
            args, kwargs = registry.to_ours(case.args), registry.to_ours(case.kwargs)
            out = []

            def call():
                flashlight.manual_seed(7)
                out.append(case.ours(*args, **kwargs))  # noqa: B023

            try:
                if not registry.hits(row, call):
                    continue
                torch.manual_seed(7)
                theirs = case.theirs(*case.args, **case.kwargs)
                pick = registry.picked(name, case.args, case.kwargs)
                registry.same(out[0], theirs, TOLERANCE, f"{row}{case}: ", pick)
            except Exception as error:  # whatever it is, the row is wrong
                return f"{type(error).__name__}: {str(error)[:200]}"
            seen += 1
            if seen >= samples:
                return None
    return None if seen else "no sample"
