"""Side by side with torch: ``python -m benchmarks [WHAT...]``.

WHAT is overhead, steps, writes, memory; all of them if there is none.

Each figure is measured on both in turns, several times in one process, and printed as
the ratio flashlight / torch (below 1: flashlight is faster), median, with its least
and greatest. Nothing here passes or fails.
"""

import argparse
import statistics
import subprocess
import sys
import time

import torch

import flashlight

ENGINES = {"flashlight": flashlight, "torch": torch}


def seconds(run, least=0.05):
    """The time of one call of run, from as many as take `least` seconds."""
    n = 1
    while True:
        begin = time.perf_counter()
        for _ in range(n):
            run()
        spent = time.perf_counter() - begin
        if spent >= least:
            return spent / n
        n = max(2 * n, int(1.2 * n * least / max(spent, 1e-9)))


def compare(name, make, rounds=9):
    """Prints the ratio of make(flashlight)'s runs to make(torch)'s, paired."""
    runs = {k: make(t) for k, t in ENGINES.items()}
    for run in runs.values():
        run()
    pairs = [[seconds(runs[k]) for k in ENGINES] for _ in range(rounds)]
    ratios = [a / b for a, b in pairs]
    ours, theirs = (statistics.median(p[i] for p in pairs) * 1e6 for i in (0, 1))
    print(
        f"{name:32} {statistics.median(ratios):6.2f}"
        f"  [{min(ratios):5.2f}, {max(ratios):5.2f}]"
        f"  {ours:11.2f} {theirs:11.2f}",
        flush=True,
    )


def overhead():
    """Calls that have next to nothing to compute: recorded, never read."""

    def of(function, *shape):
        def make(t):
            x, y = t.ones(*shape), t.ones(*shape)
            return lambda: function(t, x, y)

        return make

    ops = {
        "a + b": lambda t, x, y: x + y,
        "a * 2": lambda t, x, y: x * 2,
        "a += b": lambda t, x, y: x.__iadd__(y),
        "exp": lambda t, x, y: t.exp(x),
        "relu": lambda t, x, y: t.relu(x),
        "a == b": lambda t, x, y: x == y,
        "sum": lambda t, x, y: x.sum(),
        "reshape": lambda t, x, y: x.reshape(1, 1),
        "x[0]": lambda t, x, y: x[0],
        "cat": lambda t, x, y: t.cat([x, y]),
    }
    for name, function in ops.items():
        compare(name, of(function, 1))

    def mm(t):
        x, y = t.ones(1, 1), t.ones(1, 1)
        return lambda: x @ y

    def recorded(t):
        x = t.ones(1, requires_grad=True)
        return lambda: x * x

    def chain(t):
        x = t.ones(1, requires_grad=True)

        def run():
            y = x
            for _ in range(20):
                y = y * x
            y.sum().backward()
            x.grad = None

        return run

    compare("a @ b", mm)
    compare("a * a, on the tape", recorded)
    compare("20 products and backward", chain)


def mlp(t):
    t.manual_seed(0)
    model = t.nn.Sequential(t.nn.Linear(784, 256), t.nn.ReLU(), t.nn.Linear(256, 10))
    optimizer = t.optim.SGD(model.parameters(), lr=0.01)
    x, y = t.randn(64, 784), t.randint(0, 10, (64,))

    def step():
        optimizer.zero_grad()
        loss = t.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def mlp_adam(t):
    t.manual_seed(0)
    model = t.nn.Sequential(t.nn.Linear(784, 256), t.nn.ReLU(), t.nn.Linear(256, 10))
    optimizer = t.optim.AdamW(model.parameters())
    x, y = t.randn(64, 784), t.randint(0, 10, (64,))

    def step():
        optimizer.zero_grad()
        loss = t.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def digits(t):
    """A step of examples/digits.py's network on 8 x 8 images, batch 64."""
    t.manual_seed(0)
    nn = t.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.25)),
        *(nn.Linear(64 * 16, 128), nn.ReLU(), nn.Linear(128, 10)),
    )
    optimizer = t.optim.AdamW(model.parameters(), lr=1e-3)
    x, y = t.randn(64, 1, 8, 8), t.randint(0, 10, (64,))

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


STEPS = {
    "MLP 784-256-10, batch 64, SGD": mlp,
    "MLP 784-256-10, batch 64, AdamW": mlp_adam,
    "digits CNN, batch 64, AdamW": digits,
}


def steps():
    for name, make in STEPS.items():
        compare(name, make)


def writes():
    """1,000 writes of a part of 10^7 elements, or reads, while a view of it lives:
    none copies it. Then one write of nearly all.
    """

    def of(step, times=1000, shape=(10**7,)):
        def make(t):
            x = t.zeros(*shape)
            view = x[1:]
            view.sum().item()
            row, one = t.ones(shape[-1]), t.ones(())

            def run():
                for i in range(times):
                    step(x, i, one if len(shape) == 1 else row)
                return view.view(-1)[0].item()

            return run

        return make

    def number(x, i, _):
        x[i] = 3.0

    def tensor(x, i, one):
        x[i] = one

    def pair(x, i, _):
        x[i, 5] = 3.0

    def slice_number(x, i, _):
        x[i : i + 10] = 3.0

    def slice_step(x, i, _):
        x[i : i + 40 : 4] = 3.0

    def flat(x, i, _):
        x.view(-1)[i] = 3.0

    def add(x, i, _):
        x[i : i + 10].add_(1)

    def add_assign(x, i, _):
        x[i : i + 10] += 1

    def add_one(x, i, _):
        x[i] += 1

    def fill(x, i, _):
        x[i].fill_(3.0)

    def item(x, i, _):
        x[i].item()

    def to_float(x, i, _):
        float(x[i])

    def most(x, i, _):
        x[1:] += 1

    compare("x[i] = 3", of(number), rounds=5)
    compare("x[i] = tensor", of(tensor), rounds=5)
    compare("x[i, 5] = 3, of rows of 1,000", of(pair, shape=(10**4, 1000)), rounds=5)
    compare("x[i] = 3, rows of 1,000", of(number, shape=(10**4, 1000)), rounds=5)
    compare("x[i] = row of 1,000", of(tensor, shape=(10**4, 1000)), rounds=5)
    compare("x[i] = 3, rows of 5,000", of(number, shape=(2000, 5000)), rounds=5)
    compare("x[i] += 1, rows of 1,000", of(add_one, shape=(10**4, 1000)), rounds=5)
    compare("x[i] += 1, rows of 5,000", of(add_one, shape=(2000, 5000)), rounds=5)
    compare("x[i : i + 10] = 3", of(slice_number), rounds=5)
    compare("x[i : i + 40 : 4] = 3", of(slice_step), rounds=5)
    compare("x.view(-1)[i] = 3", of(flat), rounds=5)
    compare("x[i].fill_(3)", of(fill), rounds=5)
    compare("x[i] += 1", of(add_one), rounds=5)
    compare("x[i : i + 10].add_(1)", of(add), rounds=5)
    compare("x[i : i + 10] += 1", of(add_assign), rounds=5)
    compare("x[i].item()", of(item), rounds=5)
    compare("float(x[i])", of(to_float), rounds=5)
    compare("x[1:] += 1", of(most, times=4), rounds=5)


# VmHWM and not ru_maxrss: that one keeps the peak of the process that forked.
PEAK = """
import re, sys
name, index, threads = sys.argv[1:]
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
t = __import__(name)
t.set_num_threads(int(threads))
sys.modules["torch"], sys.modules["flashlight"] = t, t
from benchmarks import __main__ as benchmarks
t.ones(1).sum().item()
open("/proc/self/clear_refs", "w").write("5")
before = peak()
step = list(benchmarks.STEPS.values())[int(index)](t)
for _ in range(30):
    step()
print(peak() / 1024, (peak() - before) / 1024)
"""


def memory():
    """Peak memory of 30 steps, a process each (Linux): the whole process's, and
    what lies above that of the import, which holds what is loaded when first used.
    """
    for index, name in enumerate(STEPS):
        ours, theirs = (
            [
                float(x)
                for x in subprocess.check_output(
                    [sys.executable, "-c", PEAK, engine, str(index), "1"], text=True
                ).split()[-2:]
            ]
            for engine in ENGINES
        )
        for what, a, b in zip(("whole", "above import"), ours, theirs):
            print(f"{name:32} {a / b:6.2f}  {a:9.1f} MiB {b:9.1f} MiB  {what}")


WHAT = {"overhead": overhead, "steps": steps, "writes": writes, "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=list(WHAT))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    for t in ENGINES.values():
        t.set_num_threads(args.threads)
    print(f"{'':32} {'ratio':>6}  {'[least, most]':14}  {'flashlight':>11} torch, us")
    for what in args.what:
        WHAT[what]()


if __name__ == "__main__":
    main()
