"""Run PyTorch's own test files on flashlight: tools/torch_tests.py [--files a,b].

scripts/fetch-torch-tests brings them. FOLDER/files has them (test_NAME.py), and
FOLDER/baseline/test_NAME.txt the ids of those that pass under real torch here; where
it is missing it is made first, by running the file under real torch. Only those ids
count, and each must pass: one that crashes, hangs, is skipped or is not run has failed.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build/torch_tests"
SERVED = ("-m", "flashlight", "run")
stopping = threading.Event()


class Run:
    """One test file, in as many processes as it takes.

    After a test that crashes or hangs a new process goes on with the rest.
    """

    def __init__(self, file, ids=None, runner=SERVED, limit=60):
        self.file, self.runner, self.limit = pathlib.Path(file).resolve(), runner, limit
        self.left = None if ids is None else list(ids)
        self.ended = {}  # id: (outcome, message)
        self.why = ""  # why it did not come to its end
        with tempfile.TemporaryDirectory(prefix="torch_tests_") as folder:
            self.folder = pathlib.Path(folder)
            while self.process():
                pass

    def process(self):
        """Run what is left; whether something is left then, and there is a point."""
        results, only = self.folder / "results", self.folder / "only"
        log, ini = self.folder / "log", self.folder / "pytest.ini"
        results.write_text("")
        ini.write_text("[pytest]\n")  # not the project's
        env = dict(
            os.environ,
            OMP_NUM_THREADS="1",
            PYTHONDONTWRITEBYTECODE="1",
            PYTHONPATH=os.pathsep.join([str(ROOT / "tools"), str(self.file.parent)]),
            PYTORCH_TESTING_DEVICE_ONLY_FOR="cpu",
            TMPDIR=str(self.folder),
            TORCH_TESTS_LIMIT=str(self.limit),
            TORCH_TESTS_RESULTS=str(results),
        )
        if self.left is not None:
            only.write_text("\n".join(self.left))
            env["TORCH_TESTS_ONLY"] = str(only)
        command = [sys.executable, *self.runner, "-m", "pytest", "-q", "--tb=line"]
        command += ["-p", "torch_tests_plugin", "-p", "no:cacheprovider"]
        command += ["--noconftest", "--disable-warnings", "-c", str(ini)]
        command += [f"--rootdir={self.file.parent}", str(self.file)]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            hangs = self.wait(process, results)
        before = len(self.ended)
        running, done, vacuous, cause = self.read(results)
        if vacuous:
            self.why = f"{' and '.join(vacuous)} of the served torch accept all"
            self.ended.clear()  # they prove nothing
            return False
        if running:
            how = "hangs" if hangs else f"ends the process: {process.returncode}"
            self.end(running, "hang" if hangs else "crash", how)
        elif not done or cause:
            last = log.read_text(errors="replace").strip()[-300:]
            self.why = cause or ("hangs: " if hangs else "") + last
        # Without progress the next process would end in the same way.
        return not done and len(self.ended) > before and bool(self.left)

    def wait(self, process, results):
        """Until it ends; True if it had to be ended, with all that it started."""
        hangs = False
        try:
            while process.poll() is None and not hangs:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
                if stopping.is_set():
                    raise SystemExit(143)
                # Collecting imports much, and takes longer than any test.
                idle = time.time() - results.stat().st_mtime
                hangs = idle > self.limit + (30 if results.stat().st_size else 300)
        finally:  # also where this program itself is ended
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return hangs

    def read(self, results):
        running, done, vacuous, cause = None, False, [], ""
        for line in results.read_text().splitlines():
            row = json.loads(line)
            if "start" in row:
                running = row["start"]
            elif "id" in row:
                running = None
                self.end(row["id"], row["outcome"], row["message"])
            elif "collected" in row:
                self.left = row["collected"]
            elif "not_collected" in row:
                cause = "not collected: " + row["not_collected"]
            elif "done" in row:
                done, vacuous = True, row["vacuous"]
        return running, done, vacuous, cause

    def end(self, name, outcome, message):
        self.ended[name] = outcome, message
        self.left.remove(name)

    def passed(self):
        return {
            name for name, (outcome, _) in self.ended.items() if outcome == "passed"
        }

    def failures(self, ids):
        """{id: (outcome, message)} of those of `ids` that did not pass."""
        not_run = "not run", self.why or "no such test"
        passed = self.passed()
        return {i: self.ended.get(i, not_run) for i in ids if i not in passed}


def baseline(folder, name):
    """The ids that count, or None: nobody has asked real torch."""
    file = folder / "baseline" / f"{name}.txt"
    return file.read_text().split("\n")[:-1] if file.is_file() else None


def make_baseline(folder, name, limit):
    """Ask real torch, twice: what passes once alone is no measure."""
    file = folder / "files" / f"{name}.py"
    first = Run(file, runner=(), limit=limit)
    ids = [i for i in first.ended if i in first.passed()]
    ids = [i for i in ids if i in Run(file, ids, (), limit).passed()] if ids else []
    if not ids:
        why = first.why or "none of its tests"
        raise SystemExit(f"{name} does not pass under real torch: {why}")
    target = folder / "baseline" / f"{name}.txt"
    target.parent.mkdir(exist_ok=True)
    target.write_text("".join(f"{i}\n" for i in ids))
    return ids


def full(name):
    return "test_" + name.removesuffix(".py").removeprefix("test_")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, default=FOLDER)
    parser.add_argument(
        "--files", help="as autograd,nn; without it, all that have a baseline"
    )
    parser.add_argument("--tests", default="", help="only ids with this in them")
    parser.add_argument("--jobs", type=int, default=2, help="files at the same time")
    parser.add_argument("--limit", type=float, default=60, help="seconds for a test")
    parser.add_argument("--show", type=int, default=20, help="failures to print a file")
    chosen = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    folder = chosen.folder.resolve()
    if not (folder / "files").is_dir():
        sys.exit(f"{folder}/files is not there: scripts/fetch-torch-tests brings it")
    if chosen.files:
        names = [full(name) for name in chosen.files.split(",")]
    else:
        names = sorted(file.stem for file in (folder / "baseline").glob("test_*.txt"))
    for name in names:
        if not (folder / "files" / f"{name}.py").is_file():
            sys.exit(f"no such file: {folder}/files/{name}.py")
    if not names:
        sys.exit("no file has a baseline yet; name some with --files")

    def measure(name):
        if stopping.is_set():
            raise SystemExit(143)
        ids = baseline(folder, name)
        if ids is None:
            ids = make_baseline(folder, name, chosen.limit)
        ids = [i for i in ids if chosen.tests in i]
        failures = Run(folder / "files" / f"{name}.py", ids, limit=chosen.limit)
        return name, ids, failures.failures(ids)

    passed = total = 0
    with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
        for name, ids, failures in pool.map(measure, names):
            print(f"{name:32} {len(ids) - len(failures):6} / {len(ids)}", flush=True)
            for i, (outcome, message) in list(failures.items())[: chosen.show]:
                print(f"    {outcome}: {i}: {message[:160]}", flush=True)
            passed, total = passed + len(ids) - len(failures), total + len(ids)
    print(f"{passed} passed of {total} that pass under real torch")
    return 0 if passed == total and total else 1


if __name__ == "__main__":
    sys.exit(main())
