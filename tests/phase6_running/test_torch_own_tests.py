"""PyTorch's own test files, under `python -m flashlight run`, and how they are run.

The files are PyTorch's, and no part of this project: scripts/fetch-torch-tests brings
them to build/torch_tests, or FLASHLIGHT_TORCH_TESTS names the folder.
"""

import importlib.util
import os
import pathlib
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = "indexing shape_ops sort_and_select type_promotion view_ops".split()
NAMED = os.environ.get("FLASHLIGHT_TORCH_TESTS")
FOLDER = pathlib.Path(NAMED or ROOT / "build/torch_tests").resolve()


def tool():
    path = ROOT / "tools/torch_tests.py"
    spec = importlib.util.spec_from_file_location("torch_tests", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


torch_tests = tool()


def expected_failures():
    """{id: reason}. An id that passes all the same is a failure, too."""
    listed = {}
    path = pathlib.Path(__file__).with_name("torch_tests_expected_failures.txt")
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            assert reason.strip(), f"without a reason: {line}"
            assert name not in listed, f"twice: {name}"
            listed[name] = reason.strip()
    return listed


def where_they_are():
    """A parameter for each file; where they are not, one that is skipped."""
    if NAMED or all((FOLDER / "baseline" / f"test_{f}.txt").is_file() for f in FILES):
        return FILES
    why = "PyTorch's test files are not here: scripts/fetch-torch-tests brings them"
    if (FOLDER / "files").is_dir():
        files = ",".join(FILES)
        why = f"not measured yet: python tools/torch_tests.py --files {files}"
    return [pytest.param("none", marks=pytest.mark.skip(reason=why))]


@pytest.mark.parity
@pytest.mark.integration
@pytest.mark.parametrize("file", where_they_are())
def test_what_passes_under_torch_passes(file):
    name = f"test_{file}"
    ids = torch_tests.baseline(FOLDER, name)
    assert ids, f"no ids for {name} in {FOLDER}/baseline"
    expected = {i for i in expected_failures() if i.startswith(f"{name}.py::")}
    assert expected <= set(ids), f"no such ids: {expected - set(ids)}"
    failed = torch_tests.Run(FOLDER / "files" / f"{name}.py", ids).failures(ids)
    wrong = [f"{o}: {i}: {m}" for i, (o, m) in failed.items() if i not in expected]
    wrong += [f"passes now, but is listed: {i}" for i in sorted(expected - set(failed))]
    assert not wrong, "\n".join(wrong)


def test_each_expected_failure_is_of_a_file_that_runs():
    files = {name.partition("::")[0] for name in expected_failures()}
    assert files <= {f"test_{file}.py" for file in FILES}


# --- the runner itself, on files made up for it -------------------------------------


def run(folder, text, ids=None, limit=60):
    path = folder / "test_made_up.py"
    path.write_text(textwrap.dedent(text))
    return torch_tests.Run(path, ids, limit=limit)


@pytest.mark.integration
def test_each_end_of_a_test_is_told(tmp_path):
    found = run(
        tmp_path,
        """
        import os, time, unittest
        import torch
        from torch.testing._internal.common_utils import TestCase
        from torch.testing._internal.common_methods_invocations import op_db

        class T(TestCase):
            def test_a_passes(self):
                assert torch.__version__.endswith("+flashlight")
                self.assertEqual(torch.ones(2) + 1, torch.full((2,), 2.0))
            def test_b_fails(self):
                self.assertEqual(torch.ones(2), torch.zeros(2))
            def test_c_ends_the_process(self):
                os._exit(7)
            def test_d_passes(self):
                pass
            def test_e_hangs(self):
                while True:
                    time.sleep(1)
            def test_f_is_skipped(self):
                self.skipTest("for no reason")
            @unittest.expectedFailure
            def test_g_is_expected_to_fail(self):
                self.fail()
            def test_h_uses_what_is_absent(self):
                op = next(op for op in op_db if op.name == "stft")
                with self.assertRaises(RuntimeError):
                    from torch._inductor import absent
                    absent()
            def test_i_passes(self):
                pass
        """,
        limit=3,
    )
    ends = {
        name.partition("::T::test_")[2][:1]: o for name, (o, _) in found.ended.items()
    }
    assert not found.why
    assert ends == {
        "a": "passed",
        "b": "failed",
        "c": "crash",
        "d": "passed",
        "e": "failed",
        "f": "skipped",
        "g": "expected failure",
        "h": "failed",
        "i": "passed",
    }
    messages = " ".join(message for _, message in found.ended.values())
    assert "ends the process: 7" in messages
    assert "longer than 3 s" in messages
    assert "has no torch._inductor.absent" in messages


@pytest.mark.integration
def test_what_does_not_run_has_not_passed(tmp_path):
    ids = ["test_made_up.py::test_there", "test_made_up.py::test_not_there"]
    found = run(tmp_path, "def test_there(): pass", ids).failures(ids)
    assert list(found.items()) == [(ids[1], ("not run", "no such test"))]
    found = run(tmp_path, "import a_module_that_is_not_there", ids).failures(ids)
    assert set(found) == set(ids)
    for outcome, message in found.values():
        assert outcome == "not run" and "a_module_that_is_not_there" in message


@pytest.mark.integration
def test_a_gradcheck_that_takes_all_proves_nothing(tmp_path):
    text = """
        import torch
        torch.autograd.gradcheck = lambda *args, **kwargs: True
        def test_one(): assert torch.autograd.gradcheck(None)
    """
    ids = ["test_made_up.py::test_one"]
    ((outcome, message),) = run(tmp_path, text, ids).failures(ids).values()
    assert outcome == "not run" and "gradcheck" in message
