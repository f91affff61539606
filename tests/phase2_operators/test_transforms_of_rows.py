"""Every row under vmap and in forward mode: a walk over the registry.

A batched call equals the calls of its entries, stacked; a derivative along tangents
equals what the gradient (which test_registry.py compares with torch's) gives.
"""

import itertools

import pytest
import torch
from registry import cases, flat, hits, rows, to_ours

import flashlight
import flashlight.autograd.forward_ad as forward_ad

ROWS = rows()
# How many values there are, or what they are, is told by the values of the entries:
# not the same for each. PyTorch's vmap refuses them too.
DYNAMIC = {
    "nonzero",
    "argwhere",
    "masked_select",
    "_unique2",
    "unique_consecutive",
    "unique_dim",
    "allclose",
    "equal",
    "is_nonzero",
    "item",
    "_local_scalar_dense",
    "bincount",
    "histogram",
    "histogramdd",
    "nonzero_static",
}
RANDOM = {r for r in ROWS if "Generator" in ROWS[r]["schema"] or "dropout" in r}
RANDOM |= {"_times_slope", "rrelu", "fractional_max_pool2d", "fractional_max_pool3d"}
# What PyTorch's vmap refuses as well: writes of one entry's values into what all
# share, backward passes inside (samples that call an op through one), masks, out=.
REFUSED = (
    "is not possible because there exists a Tensor `other`",
    "doesn't match the broadcast shape",
    "inside of a function being transformed by a functorch transform",
    "backward() called inside a functorch transform",
    "dynamic shape",
    "the fallback path doesn't work on out=",
    "inside of a function transform other than by an in-place op",
    "please provide an explicit positive num_classes argument",
)
# Rows whose gradient cannot be differentiated.
ONCE = {"_ctc_loss", "ctc_loss.IntList", "ctc_loss.Tensor", "segment_reduce"}
# Rows whose gradient is not the transpose of their tangents, in PyTorch
# (test_transforms_of_derivatives.py compares these).
STATED = {"max_unpool2d", "max_unpool3d", "embedding", "cholesky", "linalg_cholesky"}
STATED |= {"linalg_cholesky_ex", "linalg_eigh"}
HALVES = (flashlight.float16, flashlight.bfloat16)
SOME, MOST = 2, 8  # samples of a row; with --full

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def limit(request):
    return MOST if request.config.getoption("--full") else SOME


def tensors(tree):
    return [x for x in flat(tree) if isinstance(x, flashlight.Tensor)]


def replaced(tree, new):
    """A tree with the tensors of an iterator in place of its own."""
    if isinstance(tree, (flashlight.Tensor, torch.Tensor)):
        return next(new)
    if isinstance(tree, (list, tuple)) and type(tree) in (list, tuple):
        return type(tree)(replaced(x, new) for x in tree)
    if isinstance(tree, dict):
        return {k: replaced(v, new) for k, v in tree.items()}
    return tree


def reached(name, dtype, limit, requires_grad=False):
    """Cases of a row: a function of its tensors, and these."""
    n = 0
    for case in cases(name, dtype, requires_grad):
        args, kwargs = to_ours(case.args), to_ours(case.kwargs)
        found = tensors([args, kwargs])
        if not found:
            continue

        def function(*given, case=case, args=args, kwargs=kwargs):
            new = iter(given)
            out = case.ours(*replaced(args, new), **replaced(kwargs, new))
            return [
                x for x in flat(case.defined(out)) if isinstance(x, flashlight.Tensor)
            ]

        try:
            if not hits(name, lambda: function(*found)):
                continue
        except (RuntimeError, ValueError, TypeError, IndexError):
            continue  # a sample of an error, or of another row of that name
        yield case, function, found
        n += 1
        if n >= limit:
            return


def entries_of(x):
    """Two tensors that an op takes as well as x."""
    if x.dtype.is_floating_point or x.dtype.is_complex:
        return [x.clone(), x * 0.5]
    return [x.clone(), x.clone()]


def batches(found):
    """Which of the tensors are batched: all, and each alone."""
    n = len(found)
    yield (True,) * n
    if n > 1:
        for k in range(min(n, 3)):
            yield tuple(i == k for i in range(n))


def agree(a, b, what, tolerance=2e-5):
    assert (
        a.dtype == b.dtype and a.shape == b.shape
    ), f"{what}: {a.dtype} {tuple(a.shape)} for {b.dtype} {tuple(b.shape)}"
    close = flashlight.allclose(
        a.double() if not a.is_complex() else a,
        b.double() if not b.is_complex() else b,
        rtol=tolerance,
        atol=tolerance,
        equal_nan=True,
    )
    assert close, f"{what}: {a} for {b}"


def of_each(function, found, batched):
    """The results of the entries, one after another; None if there are none."""
    rows_ = []
    for k in range(2):
        given = [entries_of(x)[k] if b else x for x, b in zip(found, batched)]
        try:
            rows_.append(function(*given))
        except (RuntimeError, ValueError):
            return None  # half of it is not in the op's domain
    for a, b in zip(*rows_):
        if a.shape != b.shape:
            return None
    return [flashlight.stack(pair) for pair in zip(*rows_)]


@pytest.mark.parametrize("name", [r for r in ROWS if r not in RANDOM])
def test_vmap(name, limit):
    if ROWS[name]["name"] in DYNAMIC:
        return
    for case, function, found in reached(name, torch.float32, limit):
        for batched in batches(found):
            expected = of_each(function, found, batched)
            if not expected:
                continue
            given = [
                flashlight.stack(entries_of(x)) if b else x
                for x, b in zip(found, batched)
            ]
            dims = tuple(0 if b else None for b in batched)
            what = f"{name}{case}, batched {batched}"
            try:
                ours = flashlight.vmap(lambda *g: tuple(function(*g)), dims)(*given)
            except RuntimeError as e:
                writes = "!)" in ROWS[name]["schema"]
                if writes and "doesn't have storage" in str(e):
                    continue
                if any(text in str(e) for text in REFUSED):
                    continue
                raise
            assert len(ours) == len(expected), what
            for a, b in zip(ours, expected):
                agree(a, b, what)


def inner(a, b):
    """The real inner product of two tensors."""
    if not a.is_complex():
        return (a * b).sum().item()
    return (a * b.conj()).real.sum().item()


def uneven(x, seed):
    n = x.numel()
    v = flashlight.linspace(-1.0, 1.5, max(n, 1), dtype=flashlight.float64)[:n]
    v = (v + 0.3 * seed).sin().reshape(x.shape)
    return (v + 0.5j * v.cos()).to(x.dtype) if x.is_complex() else v.to(x.dtype)


@pytest.mark.parametrize(
    "name",
    [
        r
        for r in ROWS
        if ROWS[r]["derivative"] != "not_differentiable"
        and ROWS[r]["name"] != "set_"
        and r not in STATED
    ],
)
def test_forward_mode(name, limit):
    """<v, J t> = <J^T v, t> for fixed tangents t and cotangents v."""
    for case, function, found in reached(name, torch.float64, limit, True):
        what = f"{name}{case}"
        leaves = [x for x in found if x.requires_grad]
        if not leaves:
            continue
        flashlight.manual_seed(5)
        outs = [y for y in function(*found) if y.requires_grad]
        if not outs:
            continue
        if any(y.dtype in HALVES for y in outs):
            continue
        v = [uneven(y, k) for k, y in enumerate(outs)]
        try:
            grads = flashlight.autograd.grad(outs, leaves, v, allow_unused=True)
        except RuntimeError as e:
            assert "is not implemented" in str(e)
            continue
        tangents = [uneven(x, 10 + k) for k, x in enumerate(leaves)]
        expected = sum(inner(g, t) for g, t in zip(grads, tangents) if g is not None)
        flashlight.manual_seed(5)
        with forward_ad.dual_level():
            along = iter(tangents)
            given = [
                forward_ad.make_dual(x.detach(), next(along)) if x.requires_grad else x
                for x in found
            ]
            try:
                duals = [forward_ad.unpack_dual(y).tangent for y in function(*given)]
            except NotImplementedError as e:
                # Gradients that have none themselves, in PyTorch too.
                assert "derivative for" in str(e) and name in ONCE, what
                continue
        differentiable = [y.requires_grad for y in _again(function, found)]
        duals = [d for d, is_one in zip(duals, differentiable) if is_one]
        got = sum(inner(d, w) for d, w in zip(duals, v) if d is not None)
        size = sum(abs(inner(d, d)) for d in duals if d is not None) ** 0.5
        for d, y in zip(duals, outs):
            assert d is None or d.shape == y.shape, what
        assert abs(got - expected) <= 1e-6 * (
            1 + abs(expected) + size
        ), f"{what}: {got} for {expected}"


def _again(function, found):
    flashlight.manual_seed(5)
    return function(*found)


def test_batches_are_of_use():
    assert list(itertools.islice(batches([1, 2]), 3)) == [
        (True, True),
        (True, False),
        (False, True),
    ]
