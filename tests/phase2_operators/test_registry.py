"""Every row of the operator table against torch: a walk over the registry.

Value (all dtypes), gradient, double gradient, in-place form, out= form and errors,
on PyTorch's own samples. A row that no sample reaches fails.
"""

import math
import re
from pathlib import Path

import pytest
import torch
from registry import (
    DTYPES,
    FUNCTIONAL,
    Case,
    aliases_kept,
    arguments,
    callables,
    cases,
    entries,
    error_like,
    flat,
    hits,
    native,
    picked,
    public_function,
    rows,
    same,
    take,
    to_ours,
)

import flashlight
from flashlight.nn._reduction import get_enum

ROWS = rows()
NAMES = sorted({r["name"] for r in ROWS.values()})
# Tests that do not pass yet: one that begins to is an error until its line goes.
NOT_YET = set((Path(__file__).parent / "not_yet.txt").read_text().split())
NOT_IN_MLX = (torch.complex32,)
FORWARD, GRADIENT = 1e-5, 1e-4
# torch's own float64 values of these are off by up to 1e-6 (test_special.py has
# exact ones).
INEXACT = {"special_airy_ai"} | {
    f"special_bessel_{k}" for k in ("j0", "j1", "y0", "y1")
}
COARSE = 2e3
SOME = 5  # samples of a row, unless --full

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore"),
]


def each(what, names):
    """Parameters of a test, the ones not done yet as strict failures."""
    marks = pytest.mark.xfail(strict=True, reason="not yet")
    return pytest.mark.parametrize(
        "name",
        [
            pytest.param(n, marks=[marks] if f"{what}:{n}" in NOT_YET else [])
            for n in names
        ],
    )


@pytest.fixture
def limit(request):
    return None if request.config.getoption("--full") else SOME


def seeded(run, t):
    t.manual_seed(7)
    return run()


# Rows of kernels that have no form for complex128, and say so.
WITHOUT_COMPLEX128 = {r["name"] for r in ROWS.values() if not r["complex128"]}


def lacks_complex128(error):
    """Whether the error is that of a row (it may be a part) without such a form."""
    found = re.fullmatch(r'"(\w+)" not implemented for \'ComplexDouble\'', str(error))
    return (
        isinstance(error, NotImplementedError)
        and found is not None
        and found[1] in WITHOUT_COMPLEX128
    )


def reach(full, dtype, limit, requires_grad=False):
    """The cases of that dtype that pass through the row: (case, our result)."""
    n = 0
    for case in cases(full, dtype, requires_grad):
        args, kwargs = to_ours(case.args), to_ours(case.kwargs)
        out = []

        def call():
            out.append(seeded(lambda: case.ours(*args, **kwargs), flashlight))

        try:
            reached = hits(full, call)
        except Exception as mine:
            theirs = outcome(case.theirs, case.args, case.kwargs, torch)
            if isinstance(theirs, Exception):  # no sample of this function
                assert isinstance(mine, error_like(theirs)), f"{full}{case}: {mine!r}"
                continue
            if any(x.dtype in NOT_IN_MLX for x in flat(theirs)):
                assert "MLX" in str(mine), f"{full}{case}: {mine!r}"
                continue
            if lacks_complex128(mine):
                continue
            raise
        if reached:
            yield case, args, kwargs, out[0]
            n += 1
            if limit and n >= limit:
                return


@each("value", ROWS)
def test_value(name, limit):
    seen = 0
    for kind, dtype in DTYPES.items():
        few = limit and (limit if kind in ("float32", "int64") else 2)
        for case, _, _, ours in reach(name, dtype, few):
            theirs = seeded(lambda: case.theirs(*case.args, **case.kwargs), torch)
            pick = picked(ROWS[name]["name"], case.args, case.kwargs)
            ours, theirs = case.defined(ours), case.defined(theirs)
            coarse = COARSE if name in INEXACT and dtype == torch.float64 else 1
            same(ours, theirs, FORWARD * coarse, f"{name}{case}: ", pick)
            seen += 1
    assert seen, f"{name}: no sample reaches this row"


@each("every_sample", NAMES)
def test_every_sample_is_taken(name, limit):
    """Whatever overload a sample needs: a name is there with all of them."""
    for info in entries().get(name, ()):
        mine, torchs = callables(info, name)
        if mine is None or torch.float32 not in info.dtypes:
            continue
        for sample in info.sample_inputs("cpu", torch.float32):
            args = arguments(info, sample)
            torchs(*args, **sample.kwargs)
            mine(*to_ours(args), **to_ours(sample.kwargs))


MIXED = [
    torch.bool,
    torch.uint8,
    torch.int64,
    torch.float16,
    torch.float32,
    torch.float64,
    torch.complex64,
    torch.complex128,
]


def mixed(args):
    """The same two tensors in all pairs of dtypes, the second without dimensions too.

    One that has no dimensions, or is a number, decides only by its category.
    """
    first, second, *others = args
    for a in MIXED:
        for b in MIXED:
            x, y = first.detach().to(a), second.detach().to(b)
            yield (x, y, *others)
            yield (x, torch.ones((), dtype=b), *others)
            yield (torch.ones((), dtype=a), y, *others)


@each("promotion", [r for r in ROWS if ROWS[r]["promotes"]])
def test_promotion(name):
    """The dtype of the result of tensors of different dtypes."""
    for case in cases(name, torch.float32):
        two = [isinstance(a, torch.Tensor) and a.numel() > 1 for a in case.args[:2]]
        if two != [True, True]:
            continue
        mine = (to_ours(case.args), to_ours(case.kwargs))
        if not hits(name, lambda: case.ours(*mine[0], **mine[1])):
            continue
        for args in mixed(case.args):
            if torch.result_type(args[0], args[1]) in NOT_IN_MLX:
                continue  # an error that names the dtype
            ours = outcome(case.ours, to_ours(args), to_ours(case.kwargs), flashlight)
            theirs = outcome(case.theirs, args, case.kwargs, torch)
            what = f"{name}{Case(None, None, args, case.kwargs)}: "
            if any(x.dtype in NOT_IN_MLX for x in flat(theirs)):
                assert "MLX" in str(ours), what + f"{ours!r}"
                continue
            if isinstance(theirs, Exception) or isinstance(ours, Exception):
                assert isinstance(ours, error_like(theirs)), (
                    what + f"{ours!r} for {theirs!r}"
                )
                continue
            a, b = flat(ours)[0].dtype, flat(theirs)[0].dtype
            assert str(a) == str(b), what + f"{a} for {b}"
        return


SPECIAL = [math.nan, math.inf, -math.inf, -0.0]


def strewn(args):
    """The same arguments, special values strewn over the first float tensor."""
    for i, x in enumerate(args):
        if isinstance(x, torch.Tensor) and x.dtype.is_floating_point and x.numel():
            values = x.detach().clone().reshape(-1)
            step = max(1, x.numel() // 8)
            for k, at in enumerate(range(0, x.numel(), step)):
                values[at] = SPECIAL[k % len(SPECIAL)]
            return (*args[:i], values.reshape(x.shape), *args[i + 1 :])
    return None


def outcome(function, args, kwargs, t):
    try:
        return seeded(lambda: function(*args, **kwargs), t)
    except (RuntimeError, ValueError, IndexError, TypeError) as e:
        return e


# Rows for which NaN and infinities are the affair of the LAPACK beneath: torch's
# (MKL) ends the process in the first three, and its factors are its own in the last.
LAPACKS = {"_linalg_eig", "linalg_eig", "linalg_eigvals", "linalg_ldl_factor_ex"}


def of_its_own(row):
    """Sums whose order an algorithm chooses: what infinities cancel is up to it."""
    return row in LAPACKS or row.startswith(("fft_", "_fft_")) or row == "stft"


@each("special", [r for r in ROWS if not of_its_own(r)])
def test_special_values(name, limit):
    """NaN, infinities and -0.0: what comes out is what torch gives, or its error."""
    for case in take(cases(name, torch.float32), limit and 3 * limit):
        args = strewn(case.args)
        if args is None:
            continue
        mine = (to_ours(args), to_ours(case.kwargs))
        try:
            reached = hits(name, lambda: case.ours(*mine[0], **mine[1]))
        except Exception:
            reached = True  # it raised there: below, for comparison
        if not reached:
            continue
        ours = outcome(case.ours, to_ours(args), to_ours(case.kwargs), flashlight)
        theirs = outcome(case.theirs, args, case.kwargs, torch)
        what = f"{name}{case} with special values: "
        if isinstance(theirs, Exception) or isinstance(ours, Exception):
            assert isinstance(ours, error_like(theirs)), (
                what + f"{ours!r} for {theirs!r}"
            )
        else:
            pick = picked(ROWS[name]["name"], args, case.kwargs)
            ours, theirs = case.defined(ours), case.defined(theirs)
            same(ours, theirs, FORWARD, what, pick)


def cotangents(outs, t):
    """Fixed, uneven gradients for these results."""
    made = []
    for k, o in enumerate(outs):
        n = o.numel()
        v = torch.linspace(-1, 1.5, max(n, 1), dtype=torch.float64)[:n] + 0.1 * k
        v = v.reshape(tuple(o.shape)).to(getattr(torch, str(o.dtype).split(".")[-1]))
        made.append(v if t is torch else to_ours(v))
    return made


def derivatives(t, out, inputs, may_lack=False):
    """First and second derivatives of a fixed function of the result.

    The second ones are None where torch has none; ours may be only if `may_lack`.
    """
    outs = [o for o in flat(out) if o.requires_grad]
    if not outs or not inputs:
        return None
    try:
        first = t.autograd.grad(
            outs, inputs, cotangents(outs, t), create_graph=True, allow_unused=True
        )
    except RuntimeError as e:
        if "not implemented" not in str(e):
            raise
        return None  # in PyTorch too: the other one gives None as well
    used = [g for g in first if g is not None and g.requires_grad]
    second = None
    if used:
        try:
            second = t.autograd.grad(
                used,
                inputs,
                cotangents(used, t),
                allow_unused=True,
                materialize_grads=True,
            )
        except RuntimeError as e:
            # PyTorch's own, of some derivatives; where it has none, ours may say so.
            if t is not torch and not (may_lack and isinstance(e, NotImplementedError)):
                raise
    return first, second


@each("gradient", ROWS)
def test_gradient(name, limit):
    for dtype in (torch.float64, torch.complex64, torch.complex128):
        few = limit and (limit if dtype == torch.float64 else 3)
        for case, args, kwargs, ours in reach(name, dtype, few, requires_grad=True):
            theirs = seeded(lambda: case.theirs(*case.args, **case.kwargs), torch)
            ours, theirs = case.defined(ours), case.defined(theirs)
            coarse = COARSE if name in INEXACT and dtype == torch.float64 else 1
            same(ours, theirs, FORWARD * coarse, f"{name}{case}: ")
            mine = [x for x in flat([args, kwargs]) if x.requires_grad]
            torchs = [x for x in flat([case.args, case.kwargs]) if x.requires_grad]
            expected = derivatives(torch, theirs, torchs)
            lacks = expected is not None and expected[1] is None
            got = derivatives(flashlight, ours, mine, may_lack=lacks)
            assert (got is None) == (expected is None), f"{name}{case}: no gradient"
            if expected is None:
                continue
            for order in (0, 1):
                what = f"{name}{case}: derivative {order + 1}: "
                if order and expected[1] is None and got[1] is not None:
                    continue  # torch has no second derivative there, we have
                if got[order] is None:
                    # Ours sees that it is zero.
                    assert all(not g.any() for g in expected[order] or ()), what
                    continue
                a = [None if g is None else g.detach() for g in got[order] or ()]
                b = [None if g is None else g.detach() for g in expected[order] or ()]
                same(a, b, GRADIENT * 10**order, what)


# In-place forms that calls under another name reach.
IN_PLACE = {"_index_put": "index_put_", "_conj_written": "conj_physical_"}


@each("in_place", [r for r in ROWS if ROWS[r]["inplace"]])
def test_in_place(name, limit):
    seen, (mine, torchs) = 0, native(ROWS[name], IN_PLACE.get(name, "{}_"))
    assert mine is not None and torchs is not None, f"{name}_: not there"
    for dtype in (torch.float32, torch.int64):
        for case, args, kwargs, _ in reach(name, dtype, limit):
            if not isinstance(case.args[0], torch.Tensor) or not case.direct:
                continue
            a, b = args[0].clone(), case.args[0].clone()

            def both(function, x, rest, kwargs, t):
                try:
                    return None, seeded(lambda: function(x, *rest, **kwargs), t)
                except (RuntimeError, TypeError, IndexError, ValueError) as e:
                    return e, None

            theirs = both(torchs, b, case.args[1:], case.kwargs, torch)
            ours = both(mine, a, args[1:], kwargs, flashlight)
            what = f"{name}_{case}: "
            assert type(ours[0]) is type(theirs[0]), f"{what}{ours[0]!r} {theirs[0]!r}"
            if theirs[0] is not None:
                continue
            assert ours[1] is a, what
            same(a, b, FORWARD, what)
            assert a._version == b._version, what
            seen += 1
    assert seen, f"{name}: no sample reaches the in-place form"


# PyTorch's out= form of these reduces the first element alone, or has no factor.
OUT_IS_WRONG = {"binary_cross_entropy", "fft_ihfft2", "fft_ihfftn"}


def out_cases(name, dtype, limit):
    """Cases whose arguments the op's own out= form takes."""
    mine_native = native(ROWS[name])[0]
    for case, args, kwargs, result in reach(name, dtype, limit):
        if "out" in case.kwargs or not flat(result) or not case.direct:
            continue
        if name in FUNCTIONAL and case.ours is public_function(name):
            continue  # whose arguments are not the op's
        words = case.kwargs.keys() - {"requires_grad"}  # of any that makes one
        if not all(f" {k}" in ROWS[name]["schema"] for k in words):
            continue  # another overload's
        if "reduction=" in ROWS[name]["schema"] and case.ours != mine_native:
            # nn.functional's word, "mean" if none, is a number to the op itself.
            number = get_enum(kwargs.get("reduction", "mean"))
            kwargs["reduction"] = number
            case.kwargs = {**case.kwargs, "reduction": number}
        yield case, args, kwargs, result


def outs(t, result, other=None):
    """What out= takes for that result: a tensor or some; `other`: place -> dtype."""
    made = [
        t.zeros(tuple(x.shape), dtype=getattr(t, (other or {}).get(i) or dtype_name(x)))
        for i, x in enumerate(flat(result))
    ]
    return made[0] if isinstance(result, flashlight.Tensor) else tuple(made)


def dtype_name(x):
    return str(x.dtype).split(".")[-1]


WITH_OUT = [r for r in ROWS if ROWS[r]["out"]]


@each("out", WITH_OUT)
def test_out(name, limit):
    seen, (mine_native, torchs_native) = 0, native(ROWS[name])
    for dtype in (torch.float32, torch.int64, torch.complex64):
        if dtype.is_complex and seen:
            break  # asked of rows for complex numbers alone
        for case, args, kwargs, result in out_cases(name, dtype, limit):
            mine = outs(flashlight, result)
            form = {} if name in OUT_IS_WRONG else {"out": outs(torch, result)}
            what = f"{name}{case}: out="
            theirs = seeded(
                lambda: torchs_native(*case.args, **case.kwargs, **form), torch
            )
            ours = seeded(lambda: mine_native(*args, **kwargs, out=mine), flashlight)
            assert all(x is y for x, y in zip(flat(ours), flat(mine))), what
            pick = picked(ROWS[name]["name"], case.args, case.kwargs)
            ours, theirs = case.defined(ours), case.defined(theirs)
            same(ours, theirs, FORWARD, what, pick)
            seen += 1
    assert seen, f"{name}: no sample reaches the out= form"


OTHERS = ["float64", "float32", "float16", "int64", "complex64", "bool"]
# PyTorch words these errors by more than the two dtypes; ours are of its type.
OUT_TEXTS = {"diag", "heaviside", "median.dim", "nanmedian.dim"}
# PyTorch computes in the dtype of out=, and has no loop for complex numbers.
OUT_NOT_COMPLEX = {"bernoulli", "var.dim", "std.dim"}
# ... or draws other numbers.
OUT_DRAWN = {"normal.Tensor_float", "normal.float_Tensor", "normal.Tensor_Tensor"}


@each("out_dtype", WITH_OUT)
def test_out_of_other_dtypes(name):
    """Cast, or refused, as torch does; each result of its own."""
    mine_native, torchs_native = native(ROWS[name])
    for dtype in (torch.float32, torch.int64, torch.complex64):
        case, args, kwargs, result = next(out_cases(name, dtype, None), [None] * 4)
        if case:
            break
    assert case, f"{name}: no sample reaches the out= form"
    for k, x in enumerate(flat(result)):
        for other in OTHERS:
            if other == dtype_name(x):
                continue
            if other == "complex64" and name in OUT_NOT_COMPLEX:
                continue
            form = {**case.kwargs, "out": outs(torch, result, {k: other})}
            theirs = outcome(torchs_native, case.args, form, torch)
            form = {**kwargs, "out": outs(flashlight, result, {k: other})}
            ours = outcome(mine_native, args, form, flashlight)
            what = f"{name}{case}: out= {k} of {other}: {ours!r} for {theirs!r}"
            if isinstance(theirs, Exception) or isinstance(ours, Exception):
                assert type(ours) is error_like(theirs), what
                alike = str(ours).split("\n")[0] == str(theirs).split("\n")[0]
                assert alike or name in OUT_TEXTS, what
            elif name not in OUT_DRAWN | OUT_IS_WRONG:
                ours, theirs = case.defined(ours), case.defined(theirs)
                # What was computed in the result's dtype has that one's digits.
                wide = 1e4 if other == "float64" else 1
                same(ours, theirs, FORWARD * wide, what)


def named(name):
    return [i for i in entries().get(name, ()) if i.error_inputs_func is not None]


@each("errors", [n for n in NAMES if named(n)])
def test_errors(name):
    for info in named(name):
        mine, torchs = callables(info, name)
        if mine is None:
            continue
        for error in info.error_inputs("cpu"):
            sample = error.sample_input
            args = (sample.input, *sample.args)
            if any(x.is_meta for x in flat([args, sample.kwargs])):
                continue  # there is one device, without a meta beside it
            try:
                with aliases_kept():  # before torch resizes an out= and then fails
                    ours = (to_ours(args), to_ours(sample.kwargs))
            except TypeError as e:
                assert "MLX has no such type" in str(e), f"{name}: {e}"
                continue  # a sample that cannot be there
            try:
                torchs(*args, **sample.kwargs)
            except Exception as e:
                expected = e
            else:
                continue
            with pytest.raises(Exception) as caught:
                mine(*ours[0], **ours[1])
            if "MLX has no such type" in str(caught.value):
                continue  # asked first, of the result's dtype
            what = f"{name}: {caught.value!r} for {expected!r}"
            assert type(caught.value) is error_like(expected), what
            ours, theirs = str(caught.value), str(expected)
            if re.search(error.error_regex, theirs):
                assert re.search(error.error_regex, ours), what
            else:  # the table is not of the text that torch has
                assert ours == theirs, what
