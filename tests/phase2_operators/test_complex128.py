"""Rows and complex128: those without a form for it say so, the others agree with torch.

Values and gradients of the rows that have one are in the walk over the registry.
"""

import pytest
import torch
from registry import cases, flat, hits, rows, same, to_ours

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

ROWS = rows()
WITHOUT = sorted(name for name, row in ROWS.items() if not row["complex128"])


def widened(x):
    """The same arguments, float64 tensors as complex128."""
    if isinstance(x, torch.Tensor):
        return x.to(torch.complex128) if x.dtype == torch.float64 else x
    if isinstance(x, (list, tuple)):
        return type(x)(map(widened, x))
    if isinstance(x, dict):
        return {k: widened(v) for k, v in x.items()}
    return x


@pytest.mark.parametrize("name", WITHOUT)
def test_a_row_without_a_form_is_an_error(name):
    """... or is reached with the real numbers that an op makes of complex ones."""
    for case in cases(name, torch.float64):
        args, kwargs = widened(case.args), widened(case.kwargs)
        if not any(t.dtype == torch.complex128 for t in flat([args, kwargs])):
            continue
        ours = []

        def call():
            ours.append(case.ours(*to_ours(args), **to_ours(kwargs)))

        try:
            hits(name, call)
        except Exception:
            return
        if ours:
            torch.manual_seed(7)
            theirs = case.theirs(*args, **kwargs)
            assert [str(t.dtype) for t in flat(ours)] == [
                str(t.dtype) for t in flat(theirs)
            ]
            return


def tensors(t):
    real = t.linspace(-2, 3, 24, dtype=t.float64).reshape(2, 3, 4)
    return t.complex(real, real.flip(0) * 0.5), t.complex(real.exp(), -real)


PROGRAMS = {
    "arithmetic": lambda t, a, b: (a * b - a / b + 2j * a) ** 2,
    "one real": lambda t, a, b: (a.real * b + b.imag).exp(),
    "functions": lambda t, a, b: t.log(a.sin() + b.sqrt().tanh()),
    "conj": lambda t, a, b: a.conj() * b + a.conj().imag * b.mH.mT,
    "abs": lambda t, a, b: (a * b).abs() + a.angle(),
    "matmul": lambda t, a, b: (a @ b.mT).sum(0) @ a[0],
    "mixed": lambda t, a, b: a * b.to(t.complex64) + b.real.float(),
    "einsum": lambda t, a, b: t.einsum("bij,bkj->bik", a, b.conj()),
    "indexing": lambda t, a, b: a[:, [0, 2]] * b[a.real > 0].sum(),
    "joined": lambda t, a, b: t.stack([t.cat([a, b]), t.cat([b, b])]).roll(1, 0) ** 2,
    "reduced": lambda t, a, b: a.mean((0, 2)) + b.prod(1).sum() - a.var() + b.std(),
    "norm": lambda t, a, b: t.linalg.vector_norm(a, 3) + t.linalg.norm(b[0]),
    "parts written": lambda t, a, b: _written(t, a * 1, b),
    "view_as": lambda t, a, b: t.view_as_complex(t.view_as_real(a * b).cumsum(1)),
    "where": lambda t, a, b: (
        t.where(a.real > 0, a, 1j).masked_fill(b.real > 2, 2j).exp()
    ),
    "cumprod": lambda t, a, b: a.cumprod(1) + b.cumsum(2).flip(1),
    "addmm": lambda t, a, b: t.addmm(a[0], b[0, :, :3], a[1], alpha=2j, beta=0.5),
    "to float": lambda t, a, b: (a * b).to(t.complex64).abs(),
}


def _written(t, z, b):
    z.imag.mul_(b.real)
    z[0] = b[1]
    z.real[1, 0] += 3
    return z * z


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_and_their_gradients(name):
    found = []
    for t in (flashlight, torch):
        a, b = (x.requires_grad_() for x in tensors(t))
        out = PROGRAMS[name](t, a, b)
        first = t.autograd.grad(
            out, (a, b), t.ones_like(out) * 0.5, create_graph=True, allow_unused=True
        )
        first = [g for g in first if g is not None]
        again = [(g * g.conj()).real.sum() for g in first]
        second = t.autograd.grad(
            sum(again), (a, b), allow_unused=True, materialize_grads=True
        )
        found.append([x.detach() for x in (out, *first, *second)])
    width = 1e5 if found[1][0].dtype == torch.float32 else 1
    same(*found, 1e-7 * width, f"{name}: ")


def test_gradcheck():
    """Finite differences in complex128, batched gradients too."""
    a = flashlight.randn(2, 3, dtype=flashlight.complex128, requires_grad=True)
    b = flashlight.randn(3, 2, dtype=flashlight.complex128, requires_grad=True)

    def run(x, y):
        return (x @ y).exp() / (1 + x[:, :2] * y[:2].conj())

    assert flashlight.autograd.gradcheck(run, (a, b), check_batched_grad=True)
    assert flashlight.autograd.gradgradcheck(run, (a, b))


def test_a_wrong_batched_gradient_is_seen():
    class Wrong(flashlight.autograd.Function):
        calls = 0

        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            Wrong.calls += 1
            # Right for the finite differences, wrong later.
            return grad if Wrong.calls <= 4 else grad * Wrong.calls

    x = flashlight.ones(2, dtype=flashlight.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="while testing batched gradient"):
        flashlight.autograd.gradcheck(Wrong.apply, (x,), check_batched_grad=True)


ERRORS = {
    "mm": lambda t, z: z @ t.ones(2, 2, dtype=t.float64),
    "addmm": lambda t, z: t.addmm(z, z.real, z.real),
    "index_put": lambda t, z: t.index_put(z, (t.tensor([0]),), z.real[:1]),
    "scatter": lambda t, z: z.scatter(0, t.zeros(1, 2, dtype=t.int64), z.real),
    "lt": lambda t, z: z < z,
    "max": lambda t, z: z.max(),
    "sort": lambda t, z: z.sort(),
    "floor_divide": lambda t, z: z // z,
    "remainder": lambda t, z: z % z,
    "sign": lambda t, z: z.sign(),
    "clamp": lambda t, z: z.clamp(0, 1),
    "alpha": lambda t, z: t.add(z, z, alpha=True),
    "isclose": lambda t, z: t.isclose(z, z.real),
    "isposinf": lambda t, z: t.isposinf(z),
    "bitwise": lambda t, z: z & z,
    "imag": lambda t, z: z.real.imag,
    "arange": lambda t, z: t.arange(3, dtype=t.complex128),
    "nansum": lambda t, z: z.nansum(),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    found = []
    for t in (flashlight, torch):
        z = t.ones(2, 2, dtype=t.complex128)
        with pytest.raises(Exception) as caught:
            ERRORS[name](t, z)
        found.append((type(caught.value).__name__, str(caught.value)))
    assert found[0] == found[1]
