"""Nobody has to ask for evaluation: memory of loops that never read a value.

Each program runs in a process of its own and prints its peak resident memory above
what it had before the loop, in MiB.
"""

import re
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


STEADY = """
import gc
gc.disable()  # nothing may wait for it
x = torch.zeros(1000, 100)
w = torch.ones(10, requires_grad=True)
class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2
    @staticmethod
    def backward(ctx, grad):
        return grad * 2 * ctx.saved_tensors[0]
def allocate(i):
    torch.empty(1 + i % 5000)
def compute(i):
    y = torch.ones(100) + i
    y *= y.view(10, 10)[3].sum()
def write(i):
    x[i % 1000] = float(i)
    x[i % 1000, 3:5] += x[(i + 1) % 1000, :2]
def train(i):
    y = Twice.apply(w) * w
    y.register_hook(lambda grad: grad)
    y.sum().backward()
    w.grad = None
def fail(i):
    try:
        w @ Twice.apply(x[0])
    except RuntimeError:
        pass
def share(i):
    y = torch.ones(100)
    a = y.numpy()
    a[3] = i
    z = torch.from_numpy(a)
    z += 1
    torch.from_dlpack(y)[:2].mul_(2)
step = globals()[sys.argv[1]]
steps = int(sys.argv[2])
for i in range(steps // 10):
    step(i)
before = rss()
for i in range(steps):
    step(i)
print(rss() - before)
"""


@pytest.mark.parametrize(
    "step", ["allocate", "compute", "write", "share", "train", "fail"]
)
def test_steps_leave_nothing_behind(step):
    steps = 20_000 if step == "train" else 100_000
    # A tensor object that each step left would be 10 MiB and more.
    assert peak(STEADY, step, steps) < 3


LEAKS = """
torch._C._set_leak_warnings(True)
def program():  # its names go before the interpreter does
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU())
    optimizer = torch.optim.AdamW(model.parameters())
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2
        @staticmethod
        def backward(ctx, grad):
            return grad * 2
    for _ in range(3):
        x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
        loss = Twice.apply(model(x)).square().mean()
        loss.register_hook(lambda grad: grad * 1)
        loss.grad_fn.register_hook(lambda grads, outputs: None)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    kept = model(torch.ones(4))  # a graph that is there at the end
    node = kept.grad_fn
    storage, device = x.untyped_storage(), torch.device("cpu")
if sys.argv[1] == "program":
    program()
print("done")
"""


def leaked(what):
    run = subprocess.run(
        [sys.executable, "-c", PEAK + LEAKS, what], capture_output=True, text=True
    )
    assert run.returncode == 0 and run.stdout == "done\n", run.stderr
    return re.findall(r"leaked \d+ \w+", run.stderr)


def test_a_program_leaks_no_object():
    """At its end the binding counts what is left: only dtypes and the like, which are
    there once, and as many as after an import."""
    singletons = leaked("nothing")
    assert [text.split()[-1] for text in singletons] == [
        "instances",
        "types",
        "functions",
    ]
    assert leaked("program") == singletons
