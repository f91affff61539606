"""Nobody has to ask for evaluation: memory of loops that never read a value.

Each program runs in a process of its own and prints its peak resident memory above
what it had before the loop, in MiB.
"""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

# On Linux ru_maxrss starts from what the process that forked had.
PEAK = """
import pathlib, re, resource, sys
import flashlight as torch
status = pathlib.Path("/proc/self/status")
def rss():
    if status.exists():
        return int(re.search(r"VmHWM:\\s*(\\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
"""


def peak(program, *args):
    run = subprocess.run(
        [sys.executable, "-c", PEAK + program, *map(str, args)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(run.stdout.split()[-1])


TRAIN = """
w = torch.zeros(64, 64, requires_grad=True)
x = torch.ones(256, 64)
(x @ w).sum().item()
before = rss()
for i in range(int(sys.argv[1])):
    y = (x @ w) * 0.5 - 1
    loss = (y * y).mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
    w.grad = None
    if sys.argv[2] == "read":
        loss.item()
loss.item()
print(rss() - before)
"""


def test_a_loop_that_never_reads_needs_no_more_than_one_that_does():
    never, always = peak(TRAIN, 10_000, "never"), peak(TRAIN, 10_000, "read")
    # Of the process: what is recorded and not yet run is bounded, not free.
    assert never <= 1.2 * always + 8, (never, always)


def test_a_loop_does_not_keep_the_graph_of_the_last_step():
    short, long = peak(TRAIN, 1_000, "never"), peak(TRAIN, 4_000, "never")
    assert long <= 1.2 * short + 8, (short, long)


INPLACE = """
params = [torch.zeros(64, 1024, 256) for _ in range(16)]  # 1 GiB
for p in params:
    p.add_(1)
sum(p[0, 0, 0].item() for p in params)
before = rss()
for _ in range(3):
    for p in params:
        p.mul_(0.5).add_(1)
total = sum(p[0, 0, 0].item() for p in params)
assert total == 16 * 1.875, total
print(rss() - before)
"""


def test_updates_in_place_need_no_second_copy():
    assert peak(INPLACE) <= 256
