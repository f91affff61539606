"""``python -m fuzz --kind views --programs 20000``, in tests/."""

import argparse
import collections
import os
import subprocess
import sys
import time
from pathlib import Path

from .kinds import KINDS, MIXED


def arguments():
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--kind", choices=[*KINDS, MIXED, "all"], default="all")
    parser.add_argument("--programs", type=int, default=1000, help="of each kind")
    parser.add_argument("--seed", type=int, help="of the first program; else the clock")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--failures", type=int, default=10, help="stop after so many")
    parser.add_argument(
        "--plain", action="store_true", help="without the engine's own kernels"
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def work(args):
    """Run the programs here; a line on stdout for each."""
    import flashlight

    from .machine import disagreement, report, shortest
    from .writer import write_program

    failures = 0
    for seed in range(args.seed, args.seed + args.programs):
        print("program", seed, flush=True)
        lines, expected = write_program(args.kind, seed)
        if disagreement(flashlight, lines, expected) is None:
            print("agrees", flush=True)
            continue
        lines = shortest(flashlight, lines)
        text = report(flashlight, lines).replace("\n", "\n  ")
        print(f"differs\n  {text}", flush=True)
        failures += 1
        if failures == args.failures:
            break
    print("done", flush=True)


class Worker:
    """A process that runs some of the programs."""

    def __init__(self, kind, seed, programs, failures, plain):
        command = [sys.executable, "-m", "fuzz", "--worker", "--kind", kind]
        command += ["--seed", str(seed), "--programs", str(programs)]
        command += ["--failures", str(failures)] + (["--plain"] if plain else [])
        # Programs are small: threads would only be in each other's way.
        environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        environment["FLASHLIGHT_KERNELS"] = "0" if plain else "1"
        self.kind, self.end = kind, seed + programs
        self.rest = failures, plain
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=Path(__file__).parent.parent,
        )

    def results(self):
        """How many programs agreed, and a text for each that did not."""
        agreed, texts, current, other = 0, [], None, []
        done = False
        for line in self.process.stdout:
            word, *rest = line.split(" ", 1)
            if word == "program":
                current = rest[0].strip()
            elif line == "agrees\n":
                agreed += 1
            elif line == "differs\n":
                texts.append(f"--kind {self.kind} --seed {current} --programs 1\n")
            elif line == "done\n":
                done = True
            elif line.startswith("  ") and texts:
                texts[-1] += line
            else:
                other.append(line)
        code = self.process.wait()
        if not done and current and pytorch_ends(self.kind, int(current)):
            # Nothing can be said of that program; on with those after it.
            print(f"PyTorch ends: --kind {self.kind} --seed {current}", flush=True)
            agreed, after = agreed + 1, int(current) + 1
            if after < self.end:
                more = Worker(self.kind, after, self.end - after, *self.rest).results()
                agreed, texts = agreed + more[0], texts + more[1]
        elif not done:
            ended = f"--kind {self.kind} --seed {current} --programs 1\n"
            texts.append(f"{ended}ended with {code}:\n{''.join(other[-30:])}")
        return agreed, texts


def pytorch_ends(kind, seed):
    """Whether the process ends when PyTorch alone runs that program."""
    program = "import sys; from fuzz.writer import write_program as w; "
    program += "w(sys.argv[1], int(sys.argv[2]))"
    run = subprocess.run(
        [sys.executable, "-c", program, kind, str(seed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parent.parent,
    )
    return run.returncode < 0


def fuzz(kinds, seed, programs, jobs=1, failures=10, plain=False):
    """For each kind, how many programs agreed and texts of those that did not."""
    found = collections.OrderedDict()
    for kind in kinds:
        share = -(-programs // jobs)
        workers = [
            Worker(kind, seed + i, min(share, programs - i), failures, plain)
            for i in range(0, programs, share)
        ]
        results = [w.results() for w in workers]
        found[kind] = sum(r[0] for r in results), [t for r in results for t in r[1]]
    return found


def clock():
    """A seed that no run has had."""
    return time.time_ns() // 1_000_000 % 10**10


def main():
    args = arguments()
    if args.worker:
        return work(args)
    kinds = [*KINDS, MIXED] if args.kind == "all" else [args.kind]
    seed = clock() if args.seed is None else args.seed
    started = time.time()
    found = fuzz(kinds, seed, args.programs, args.jobs, args.failures, args.plain)
    for kind, (agreed, texts) in found.items():
        for text in texts:
            print(text)
        kernels = ", kernels off" if args.plain else ""
        print(f"{kind}{kernels}: {agreed} of {args.programs} programs agree", end="")
        print(f", seed {seed}")
    print(f"{time.time() - started:.0f} s")
    return int(any(texts for _, texts in found.values()))


if __name__ == "__main__":
    sys.exit(main())
