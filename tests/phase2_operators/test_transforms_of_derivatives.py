"""Transforms of every differentiable row: a walk over the registry.

The tangents of `jvp` are those of torch; `vmap` of a vjp is the vjps of its entries,
stacked, for a batch of the cotangents alone and for one of all operands.
"""

import pytest
import torch
from registry import cases, flat, hits, rows, same, to_ours
from test_transforms_of_rows import RANDOM, agree, entries_of, replaced

import flashlight

ROWS = rows()
WRITTEN = "its samples write to storages, which transforms refuse"
# What does not hold, and why: a line that is no longer true is an error.
NOT_YET = {
    "jvp": {
        "gradient.tensorarrayint": "float32 coordinates give that many digits",
        "triangular_solve": "torch's sees what A has outside of its triangle",
        **{r: WRITTEN for r in ROWS if ROWS[r]["name"].startswith("_fused_ad")},
        **{r: WRITTEN for r in ROWS if ROWS[r]["name"] == "_fused_sgd_"},
    },
    "vmap_of_vjp": {},
}
INEXACT = {"logcumsumexp"}  # torch's is off by 1e-6 in float64
NAMES = [
    r
    for r in ROWS
    if ROWS[r]["derivative"] != "not_differentiable"
    and ROWS[r]["name"] != "set_"
    and r not in RANDOM
]
SOME, MOST = 1, 8  # samples of a row; with --full

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


def each(what):
    """Rows as parameters of a test, the ones that fail as strict failures."""

    def marks(name):
        reason = NOT_YET[what].get(name)
        return [pytest.mark.xfail(strict=True, reason=reason)] if reason else []

    return pytest.mark.parametrize(
        "name", [pytest.param(n, marks=marks(n)) for n in NAMES]
    )


@pytest.fixture
def limit(request):
    return MOST if request.config.getoption("--full") else SOME


def has_gradient(x):
    return x.dtype.is_floating_point or x.dtype.is_complex


def of_leaves(t, call, args, kwargs, defined, writes):
    """What `call` computes, as a function of the tensors that require gradients.

    If it writes, then to copies: these are leaves.
    """
    found = flat([args, kwargs])
    leaves = [x for x in found if x.requires_grad]

    def function(*given):
        new = iter([x.clone() if writes else x for x in given])
        all_of_them = iter([next(new) if x.requires_grad else x for x in found])
        t.manual_seed(7)
        out = call(*replaced(args, all_of_them), **replaced(kwargs, all_of_them))
        return tuple(y for y in flat(defined(out)) if has_gradient(y))

    return function, tuple(x.detach() for x in leaves)


def reached(name, dtype, limit):
    """(what, ours, our leaves, torch's, torch's leaves) of the row's cases."""
    n, writes = 0, "!)" in ROWS[name]["schema"]
    for case in cases(name, dtype, True):
        rest = case.defined, writes
        theirs = of_leaves(torch, case.theirs, case.args, case.kwargs, *rest)
        mine = to_ours((case.args, case.kwargs))
        ours = of_leaves(flashlight, case.ours, *mine, *rest)
        if not ours[1]:
            continue
        try:
            if not hits(name, lambda: ours[0](*ours[1])):
                continue
        except (RuntimeError, ValueError, TypeError, IndexError):
            continue  # a sample of an error, or of another row of that name
        yield f"{name}{case}: ", *ours, *theirs
        n += 1
        if n >= limit:
            return


def uneven(x, seed):
    n = x.numel()
    v = torch.linspace(-1.0, 1.5, max(n, 1), dtype=torch.float64)[:n]
    v = (v + 0.3 * seed).sin().reshape(tuple(x.shape))
    kind = getattr(torch, str(x.dtype).split(".")[-1])
    return (v + 0.5j * v.cos()).to(kind) if kind.is_complex else v.to(kind)


@each("jvp")
def test_jvp(name, limit):
    for what, ours, our_leaves, theirs, leaves in reached(name, torch.float64, limit):
        tangents = tuple(uneven(x, k) for k, x in enumerate(leaves))
        try:
            expected = torch.func.jvp(theirs, leaves, tangents)
        except RuntimeError:
            continue  # torch has no forward mode there, or refuses the sample
        got = flashlight.func.jvp(ours, our_leaves, to_ours(tangents))
        digits = 1e-1 if name in INEXACT else 1e-4
        same(got[1], expected[1], digits, what)


@each("vmap_of_vjp")
def test_vmap_of_vjp(name, limit):
    for what, ours, leaves, _, _ in reached(name, torch.float64, limit):
        n = len(leaves)

        def vjp(*given, ours=ours, n=n):
            return flashlight.func.vjp(ours, *given[:n])[1](given[n:])

        v = [to_ours(uneven(y, k)) for k, y in enumerate(ours(*leaves))]
        given = (*leaves, *v)
        for batched in ([False] * n + [True] * len(v), [True] * len(given)):
            try:
                expected = [
                    vjp(*(entries_of(x)[k] if b else x for x, b in zip(given, batched)))
                    for k in range(2)
                ]
            except RuntimeError:
                break  # not a function of leaves that has one
            stacked = [
                flashlight.stack(entries_of(x)) if b else x
                for x, b in zip(given, batched)
            ]
            dims = tuple(0 if b else None for b in batched)
            got = flashlight.vmap(vjp, dims, randomness="same")(*stacked)
            for a, *b in zip(got, *expected, strict=True):
                agree(a, flashlight.stack(b), f"{what}batched {batched}")


# Where the derivative is not one number: ties, zeros, the borders of what is clamped.
EDGES = {"zeros": torch.zeros_like, "ones": torch.ones_like, "ties": torch.round}
EDGE_OPS = (
    "abs amax amin clamp.Tensor cumsum fmax fmin logit max maximum min minimum "
    "polar pow.Tensor_Scalar pow.Tensor_Tensor prelu prod relu sgn sqrt "
    "xlogy.Tensor"
).split()


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", EDGE_OPS)
def test_jvp_at_edges(name, edge, limit):
    for what, ours, _, theirs, leaves in reached(name, torch.float64, limit):
        at = tuple(EDGES[edge](x) for x in leaves)
        tangents = tuple(uneven(x, k) for k, x in enumerate(leaves))
        expected = torch.func.jvp(theirs, at, tangents)
        got = flashlight.func.jvp(ours, to_ours(at), to_ours(tangents))
        same(got[1], expected[1], 1e-4, what + edge)
