"""Small graphs give what MLX gives for them, bit for bit (exp, sin, cos: nearly).

The same programs run in two processes, one of them without kernels of ours.
"""

import ast
import os
import subprocess
import sys

import pytest

PROGRAMS = '''
import random
import sys

import flashlight as torch

r = random.Random(int(sys.argv[1]))
SPECIAL = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1.0, -2.5, 1e-30]
BIG = [2**31 - 1, -(2**31), 0, 1, -1, 7, 2**20]
UNARY = ["neg", "abs", "square", "log", "log1p", "sqrt", "rsqrt", "tanh"]
UNARY += ["floor", "ceil", "logical_not", "isnan", "relu", "sigmoid"]
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum", "pow", "eq", "ne", "lt"]
BINARY += ["le", "gt", "ge", "logical_and", "logical_or"]
DTYPES = [torch.float32, torch.float64, torch.int64, torch.int32, torch.bool]


def leaf(shape):
    dtype = r.choice(DTYPES)
    count = 1
    for n in shape:
        count *= n
    if dtype == torch.bool:
        values = [r.random() < 0.5 for _ in range(count)]
    elif dtype.is_floating_point:
        values = [r.choice(SPECIAL + [r.gauss(0, 3)]) for _ in range(count)]
    else:
        values = [r.choice(BIG) for _ in range(count)]
    return torch.tensor(values, dtype=dtype).reshape(shape)


def look(x):
    """The same elements in another shape, or some of them."""
    kind = r.randrange(5)
    if kind == 0 and x.dim() > 1:
        return x.transpose(0, x.dim() - 1)
    if kind == 1:
        return x.reshape(-1)
    if kind == 2 and x.dim():
        return x[r.randrange(x.shape[0])]
    if kind == 3:
        return x.unsqueeze(0).expand(2, *x.shape)
    return x


def program():
    shape = r.choice([(), (1,), (5,), (3, 4), (2, 1, 3), (40, 30)])
    pool = [leaf(shape), leaf(shape), leaf(())]
    for _ in range(8):
        try:
            kind = r.randrange(5)
            x, y = r.choice(pool), r.choice(pool)
            if kind == 0:
                z = getattr(torch, r.choice(UNARY))(x)
            elif kind == 1:
                z = getattr(torch, r.choice(BINARY))(x, y)
            elif kind == 2:
                z = look(x)
            elif kind == 3:
                z = torch.where(x > y, x, y)
            else:
                z = x.to(r.choice(DTYPES[:2] if x.dtype != torch.bool else DTYPES))
        except (RuntimeError, NotImplementedError) as e:
            print(type(e).__name__)
        else:
            if z.numel() <= 4000:
                pool.append(z)
    for z in pool:
        print(z.dtype, tuple(z.shape), bytes(torch._C._to_bytes(z.contiguous())).hex())


for _ in range(int(sys.argv[2])):
    program()
'''


def output(seed, count, **environment):
    return subprocess.run(
        [sys.executable, "-c", PROGRAMS, str(seed), str(count)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


@pytest.mark.parametrize("seed", range(3))
def test_small_graphs_are_those_of_mlx(seed, request):
    count = 5000 if request.config.getoption("--full") else 300
    with_kernels = output(seed, count)
    without = output(seed, count, FLASHLIGHT_KERNELS="0")
    assert len(with_kernels) > 3 * count
    assert len(with_kernels) == len(without)
    for a, b in zip(with_kernels, without):
        assert a == b


NEARLY = """
import flashlight as torch
x = torch.tensor([0.04 * i - 20 for i in range(999)])
for f in (torch.exp, torch.sin, torch.cos):
    print(f(x).tolist())
"""


def test_functions_that_mlx_approximates():
    results = []
    for setting in ("0", "1"):
        out = subprocess.check_output(
            [sys.executable, "-c", NEARLY],
            env={**os.environ, "FLASHLIGHT_KERNELS": setting},
            text=True,
        )
        results.append([ast.literal_eval(line) for line in out.splitlines()])
    assert len(results[0]) == 3
    for a, b in zip(*results):
        assert a == pytest.approx(b, rel=1e-6, abs=1e-6)
