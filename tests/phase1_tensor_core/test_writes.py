"""Small writes and reads, done where they are asked for: PyTorch's values.

That these are those of recorded writes is asked in tests/cpp/core too; here, with
every dtype, the conj and neg bits, autograd's bookkeeping and buffers that are shared.
"""

import os
import random
import subprocess
import sys

import pytest
import torch
from comparing import same

import flashlight

PROGRAMS = '''
import random
import sys

DTYPES = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64"
DTYPES = (DTYPES + " complex64 complex128").split()


def number(r, dtype, special=True):
    if dtype == "bool":
        return r.random() < 0.5
    if "int" in dtype:
        return r.randrange(100)
    x = r.choice([r.randrange(-8, 8) / 4, -0.0])
    if "complex" in dtype:
        return complex(x, r.randrange(-8, 8) / 4)
    return r.choice([x, x, float("inf"), float("nan")]) if special else x


def index(r, shape):
    """Ints, slices, None, an ellipsis; sometimes nothing is left."""
    parts = []
    for n in shape:
        kind = r.randrange(6)
        if kind < 2 and n:
            parts.append(r.randrange(-n, n))
        elif kind < 4:
            parts.append(slice(r.randrange(-1, n + 1), None, r.choice([1, 1, 2, 3])))
        elif kind == 4:
            parts.append(slice(None))
        else:
            parts.append(slice(0, r.randrange(n + 1)))
    for i, part in enumerate(parts):
        if r.random() < 0.15:
            parts = parts[:i] + [Ellipsis]
            break
    if r.random() < 0.1:
        parts.insert(0, None)
    return tuple(parts)


def view(r, x):
    kind = r.randrange(9)
    if kind == 0 and x.dim() > 1:
        return x.transpose(0, -1)
    if kind == 1 and x.is_contiguous():
        return x.view(-1)
    if kind == 2:
        return x.unsqueeze(r.randrange(-x.dim() - 1, x.dim() + 1))
    if kind == 3 and x.is_complex():
        return x.conj()
    if kind == 4 and x.is_complex():
        return r.choice([x.real, x.conj().imag])
    if kind == 5 and x.dim() == 2:
        return x.diagonal()
    return x[index(r, x.shape)]


def overlapping(x):
    if x.numel() < 3 or not x.is_contiguous():
        return x
    return x.as_strided((2, 2), (1, 1), x.storage_offset())


def program(t, r, log, with_overlap=False):
    dtype = r.choice(DTYPES)
    shapes = [(), (1,), (7,), (0, 3), (3, 4), (4, 1, 3), (2, 3, 2, 2), (60, 50)]
    shape = r.choice(shapes)
    count = 1
    for n in shape:
        count *= n
    values = [number(r, dtype) for _ in range(count)]
    x = t.tensor(values, dtype=getattr(t, dtype)).reshape(shape)
    pool, held = [x], []

    def of(y):
        return number(r, str(y.dtype).split(".")[-1], not x.is_complex())

    for _ in range(14):
        y = r.choice(pool)
        kind = r.randrange(11)
        try:
            if kind < 3:
                pool.append(view(r, y))
            elif kind == 3:
                y[index(r, y.shape)] = of(y)
            elif kind == 4:
                at = index(r, y.shape)
                n = y[at].numel()
                other = [number(r, dtype) for _ in range(n)]
                other = t.tensor(other, dtype=x.dtype).reshape(y[at].shape)
                y[at] = r.choice([other, other * 1, other.clone()])
            elif kind == 5:
                y[index(r, y.shape)] += of(y)
            elif kind == 6:
                y.fill_(of(y))
            elif kind == 7:
                a, b = r.choice(pool), r.choice(pool)
                if not with_overlap:
                    a, b = a.clone(), b.clone()
                at = index(r, y.shape)
                y[at].mul_(a) if r.random() < 0.5 else y.copy_(b)
            elif kind == 8:
                held.append(r.choice([y.detach(), y + y, y.clone()]))
            elif kind == 9:
                z = overlapping(y)
                log.append(z.tolist())
                if with_overlap:
                    pool.append(z)
            elif y.numel():
                log.append(y.reshape(-1)[r.randrange(y.numel())].item())
        except (RuntimeError, NotImplementedError, TypeError, IndexError) as e:
            log.append(type(e).__name__)
        if r.random() < 0.2:
            log.append(r.choice(pool).tolist())
    for z in pool + held:
        log.append([str(z.dtype), tuple(z.shape), z.tolist()])
        log.append(z._version)
'''
exec(PROGRAMS)


def unsigned(x):
    """Signs of zero in products of complex numbers are not asked for here."""
    if isinstance(x, (list, tuple)):
        return [unsigned(y) for y in x]
    if isinstance(x, complex):
        return complex(unsigned(x.real), unsigned(x.imag))
    return x + 0.0 if isinstance(x, float) else x


def entries(t, seed):
    log = []
    program(t, random.Random(seed), log)  # noqa: F821
    return [repr(unsigned(e)).replace("flashlight.", "torch.") for e in log]


@pytest.mark.parametrize("seed", range(12))
def test_random_reads_and_writes(seed, request):
    for n in range(2000 if request.config.getoption("--full") else 60):
        a, b = (entries(t, f"{seed} {n}") for t in (flashlight, torch))
        assert a == b, (seed, n)


def test_the_recorded_form_gives_the_same():
    run = """
import flashlight as t
for n in range(400):
    log = []
    program(t, random.Random(f"plain {n}"), log, with_overlap=True)
    print(log)
"""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAMS + run],
            env={**os.environ, "FLASHLIGHT_KERNELS": setting},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for setting in "01"
    ]
    assert len(outputs[0]) == 400
    for a, b in zip(*outputs):
        assert a == b


OVERLAPS = {
    "rows": lambda t, y: y[1:].add_(y[:-1]),
    "a copy": lambda t, y: y[:-1].copy_(y[1:]),
    "a transpose": lambda t, y: y.t().add_(y),
    "out=": lambda t, y: t.exp(y[1:], out=y[:2]),
    "out= and a number": lambda t, y: t.add(y[1:], 1, out=y[:-1]),
    "elements": lambda t, y: y.view(-1)[2:].sub_(y.view(-1)[:-2]),
    # What PyTorch lets through: the same elements, others, and what is not dense.
    "itself": lambda t, y: y.mul_(y),
    "other rows": lambda t, y: y[0].mul_(y[1]),
    "a step": lambda t, y: y.view(-1)[::2].mul_(2),
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_operands_that_overlap_what_is_written_to(name):
    seen = []
    for t in (flashlight, torch):
        y = t.arange(9.0).reshape(3, 3).clone()
        try:
            OVERLAPS[name](t, y)
        except RuntimeError as e:
            seen.append([str(e), y.tolist()])
        else:
            seen.append(["no error", y.tolist()])
    assert seen[0] == seen[1]


RESIZED = {
    "sum of two": lambda t, x, y, out: t.add(x, x, out=out),
    "function": lambda t, x, y, out: t.exp(y, out=out),
    "joined": lambda t, x, y, out: t.cat([y, y], out=out),
    "stacked": lambda t, x, y, out: t.stack([x, x], out=out),
    "product": lambda t, x, y, out: t.mm(x, x.t(), out=out),
    "sums so far": lambda t, x, y, out: t.cumsum(y, 1, out=out),
    "sum": lambda t, x, y, out: t.sum(y, 2, out=out),
    "choice": lambda t, x, y, out: t.where(x > 0, x, x, out=out),
    "triangle": lambda t, x, y, out: t.tril(x, out=out),
    "diagonal": lambda t, x, y, out: t.diagonal_copy(y, 0, 0, 1, out=out),
    "repeated": lambda t, x, y, out: t.expand_copy(x, (2, 4, 3), out=out),
    "turned": lambda t, x, y, out: t.transpose_copy(y, 1, 3, out=out),
}


@pytest.mark.filterwarnings("ignore:An output with one or more elements")
@pytest.mark.parametrize("name", RESIZED)
def test_a_resized_out_lies_as_in_pytorch(name):
    seen = []
    for t in (flashlight, torch):
        x = t.arange(12.0).reshape(3, 4).t()
        y = t.arange(120.0).reshape(2, 3, 4, 5)
        y = y.contiguous(memory_format=t.channels_last)
        for size in (0, 2):
            out = t.empty(size)
            RESIZED[name](t, x, y, out)
            seen.append([tuple(out.shape), out.stride(), out.tolist()])
    assert same(seen[:2], seen[2:])
