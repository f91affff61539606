"""Samples for every row of the operator table, and torch as the judge of each.

A row's samples are those of PyTorch's own OpInfo entries for the function of that
name; EXTRA has those of rows that PyTorch has no entry for. Values cross as bytes,
so that strides, offsets and NaN payloads stay what they were.
"""

import functools
import itertools

import torch
from torch.testing._internal.common_methods_invocations import op_db

import flashlight
from flashlight import _C

DTYPES = {
    d: getattr(torch, d)
    for d in (
        "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64"
    ).split()
}


def rows():
    """Full name -> _op_info of every row, with its base name added."""
    table = {}
    for schema in _C._schemas:
        full = schema.split("(")[0]
        table[full] = dict(_C._op_info(full), name=full.split(".")[0], schema=schema)
    return table


@functools.cache
def entries():
    """Base name of an op -> its OpInfo entries (several for variants)."""
    found = {}
    for info in op_db:
        if info.name.startswith(("masked.", "sparse.", "signal.")):
            continue  # other functions of the same last name
        names = {info.name, info.aten_name, *(a.name for a in info.aliases)}
        for name in names:
            found.setdefault(name.removeprefix("nn.functional."), []).append(info)
            found.setdefault(name.replace(".", "_"), []).append(info)
            found.setdefault(name.split(".")[-1], []).append(info)
    return {k: list({id(i): i for i in v}.values()) for k, v in found.items()}


def to_ours(x):
    """A torch argument, or a structure of them, as flashlight's."""
    if isinstance(x, torch.Tensor):
        return tensor_to_ours(x)
    if isinstance(x, torch.dtype):
        return getattr(flashlight, str(x).removeprefix("torch."))
    if isinstance(x, torch.device):
        return flashlight.device(str(x))
    if isinstance(x, (torch.memory_format, torch.layout)):
        return getattr(flashlight, str(x).removeprefix("torch."))
    if isinstance(x, torch.Size):
        return flashlight.Size(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(to_ours(i) for i in x))
    if isinstance(x, (list, tuple)):
        return type(x)(to_ours(i) for i in x)
    if isinstance(x, dict):
        return {k: to_ours(v) for k, v in x.items()}
    if isinstance(x, slice):
        return slice(to_ours(x.start), to_ours(x.stop), to_ours(x.step))
    return x


def error_like(theirs):
    """The class that an error of ours must have where torch raises `theirs`."""
    linalg = isinstance(theirs, torch.linalg.LinAlgError)
    return flashlight.linalg.LinAlgError if linalg else type(theirs)


def tensor_to_ours(t):
    conj, neg = t.is_conj(), t.is_neg()
    plain = t.detach()
    plain = plain.conj() if conj else plain
    plain = plain._neg_view() if neg else plain
    data = bytes(plain.untyped_storage())
    flat = _C._from_bytes(data, to_ours(t.dtype))
    ours = flat.as_strided(tuple(t.size()), t.stride(), t.storage_offset())
    ours = ours.detach()
    if conj:
        ours = ours.conj()
    if neg:
        ours = ours._neg_view()
    return ours.requires_grad_(t.requires_grad)


def to_theirs(t):
    """A flashlight tensor's value as torch's (contiguous)."""
    data = bytearray(_C._to_bytes(t.detach().contiguous().resolve_conj()))
    dtype = getattr(torch, str(t.dtype).split(".")[-1])
    if not data:
        return torch.empty(tuple(t.shape), dtype=dtype)
    return torch.frombuffer(data, dtype=dtype).reshape(tuple(t.shape))


def flat(x):
    """The tensors in a result, in order."""
    if isinstance(x, (torch.Tensor, flashlight.Tensor)):
        return [x]
    if isinstance(x, (list, tuple)):
        return [t for i in x for t in flat(i)]
    if isinstance(x, dict):
        return [t for i in x.values() for t in flat(i)]
    return []


def rest(x):
    """What is not a tensor in a result, in order."""
    if isinstance(x, (torch.Tensor, flashlight.Tensor)):
        return []
    if isinstance(x, (list, tuple)):
        return [t for i in x for t in rest(i)]
    if isinstance(x, (torch.dtype, flashlight.dtype)):
        return [str(x)]
    return [x]


# Rows that say where elements are, of which equal ones may stand in any order: the
# position of `dim` among their arguments.
TIES = {"sort": 1, "argsort": 1, "kthvalue": 2, "median": 1, "nanmedian": 1}


def picked(name, args, kwargs):
    """For a row in TIES: what indices of its result pick. None for others."""
    if name not in TIES or args[0].dim() == 0:
        return None
    at = TIES[name]
    dim = kwargs.get("dim", args[at] if len(args) > at else -1)

    def pick(indices):
        x = args[0].detach()
        if indices.dim() < x.dim():
            indices = indices.unsqueeze(dim)
        return x.gather(dim, indices)

    return pick


def same(ours, theirs, tolerance, what, pick=None):
    """Same sizes, dtypes and values, relative to the largest value there is.

    `pick` makes values of indices, where only what they point at is promised.
    """
    assert rest(ours) == rest(theirs), what
    ours, theirs = flat(ours), flat(theirs)
    assert len(ours) == len(theirs), what
    for a, b in zip(ours, theirs):
        assert tuple(a.shape) == tuple(b.shape), f"{what}: shape"
        assert str(a.dtype) == str(b.dtype), f"{what}: {a.dtype}, {b.dtype}"
        assert a.requires_grad == b.requires_grad, f"{what}: requires_grad"
        a, b = to_theirs(a), b.detach().resolve_conj().resolve_neg()
        if not b.numel():
            continue
        if pick is not None and b.dtype == torch.int64 and not a.equal(b):
            a, b = pick(a), pick(b)
        rtol = tolerance * {torch.float16: 300, torch.bfloat16: 3000}.get(b.dtype, 1)
        scale = 1.0
        if b.dtype.is_floating_point or b.dtype.is_complex:
            finite = b[torch.isfinite(b)].abs().double()
            scale = max(1.0, finite.max().item() if finite.numel() else 1.0)
        torch.testing.assert_close(
            a, b, rtol=rtol, atol=rtol * scale, equal_nan=True, msg=lambda m: what + m
        )


def dotted(module, name):
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


# Functions whose samples come with the arguments in another order.
REORDERED = {"einsum": lambda f: lambda tensors, equation: f(equation, tensors)}


def callables(info, name):
    """(ours, torch's) for an OpInfo entry or a name: the public function or method."""
    if info is not None and info.name in REORDERED:
        return tuple(map(REORDERED[info.name], public(None, name)))
    return public(info, name)


def public(info, name):
    if info is not None and info.name.startswith("__"):
        name = info.name
        return getattr(flashlight.Tensor, name, None), getattr(torch.Tensor, name)
    if info is not None and info.name == "where":
        # Its samples begin with `self`.
        return tuple(
            lambda x, condition, other, t=t: t.where(condition, x, other)
            for t in (flashlight, torch)
        )
    for place in filter(None, (name, info and info.name)):
        for o, t in (
            (flashlight, torch),
            (flashlight.Tensor, torch.Tensor),
            (_C._nn, torch._C._nn),
            (_C._linalg, torch._C._linalg),
        ):
            ours, theirs = dotted(o, place), dotted(t, place)
            if ours is not None and theirs is not None:
                return ours, theirs
    return None, None


def native(row, form="{}"):
    """(ours, torch's) native function of a row, or its in-place form."""
    name, module = form.format(row["name"]), row["module"]
    for o, t in (
        (getattr(_C, f"_{module}", None), getattr(torch._C, f"_{module}", None)),
        (flashlight.Tensor, torch.Tensor) if form != "{}" else (flashlight, torch),
    ):
        if module and hasattr(o, name) and hasattr(t, name):
            return getattr(o, name), getattr(t, name)
        if not module and hasattr(t, name):
            return getattr(o, name), getattr(t, name)
    return None, None


class Case:
    """One call, of torch's arguments; each use makes fresh copies."""

    def __init__(self, ours, theirs, args, kwargs):
        self.ours, self.theirs, self.args, self.kwargs = ours, theirs, args, kwargs

    def __str__(self):
        def show(x):
            if isinstance(x, torch.Tensor):
                grad = "g" if x.requires_grad else ""
                stride = "" if x.is_contiguous() else f"/{tuple(x.stride())}"
                return f"{str(x.dtype)[6:]}{grad}{list(x.shape)}{stride}"
            if isinstance(x, (list, tuple)):
                return "(" + ", ".join(map(show, x)) + ")"
            return repr(x)

        words = [show(a) for a in self.args]
        words += [f"{k}={show(v)}" for k, v in self.kwargs.items()]
        return "(" + ", ".join(words) + ")"


def cases(full, dtype, requires_grad=False):
    """Calls of the public function of that row's name (any overload of it)."""
    row = rows_cached()[full]
    for make in EXTRA.get(full, ()):
        if make.only and not make.only(dtype):
            continue
        via, args, kwargs = make(dtype)
        ours, theirs = callables(None, row["name"])
        if via:
            ours, theirs = via(flashlight), via(torch)
        if requires_grad:
            for t in flat([args, kwargs]):
                if t.dtype.is_floating_point or t.dtype.is_complex:
                    t.requires_grad_()
        yield Case(ours, theirs, args, kwargs)
    for info in entries().get(row["name"], ()):
        if dtype not in info.dtypes:
            continue
        ours, theirs = callables(info, row["name"])
        if ours is None:
            continue
        grad = requires_grad and info.supports_autograd
        torch.manual_seed(3)
        for sample in info.sample_inputs("cpu", dtype, requires_grad=grad):
            args = (sample.input, *sample.args)
            yield Case(ours, theirs, args, sample.kwargs)
            if row["method"] and ours is not getattr(flashlight.Tensor, row["name"], 0):
                method = getattr(torch.Tensor, row["name"], None)
                if method is not None and isinstance(sample.input, torch.Tensor):
                    mine = getattr(flashlight.Tensor, row["name"])
                    yield Case(mine, method, args, sample.kwargs)


@functools.cache
def rows_cached():
    return rows()


def hits(full, call):
    """Whether `call` passes through that row. What fails elsewhere is another's."""
    _C._observe_ops(True)
    try:
        call()
    except Exception:
        if full in _C._observed_ops():
            raise
    finally:
        seen = _C._observed_ops()
        _C._observe_ops(False)
    return full in seen


def t(*shape, low=-2.0, high=2.0, seed=0):
    """A maker of one tensor argument, by dtype."""

    def make(dtype):
        g = torch.Generator().manual_seed(seed + sum(shape))
        x = torch.rand(shape, generator=g, dtype=torch.float64) * (high - low) + low
        return x.to(dtype)

    return make


def case(*args, via=None, only=None, **kwargs):
    """A case for EXTRA: callables among the arguments are makers of tensors.

    `via(t)` gives the function to call, of torch and of flashlight alike, where it
    has another name than the row; `only(dtype)` says for which dtypes there is one.
    """

    def make(dtype):
        def build(x):
            if isinstance(x, (list, tuple)):
                return type(x)(build(i) for i in x)
            return x(dtype) if callable(x) and not isinstance(x, type) else x

        named = {k: build(v) for k, v in kwargs.items()}
        return via, tuple(build(a) for a in args), named

    make.only = only
    return make


def backward_of(function, *args, only=None):
    """A case of the row that differentiates `function(t, *args)` by its first one."""

    def via(t):
        def run(x, *rest):
            x = x.detach().requires_grad_()
            out = function(t, x, *rest)
            out = out if isinstance(out, t.Tensor) else out[0]
            return t.autograd.grad(out, x, t.ones_like(out))

        return run

    return case(*args, via=via, only=only or inexact)


def floats(dtype):
    return dtype.is_floating_point


def real(dtype):
    return not dtype.is_complex


def wide(dtype):
    return dtype in (torch.float32, torch.float64)


def inexact(dtype):
    return dtype.is_floating_point or dtype.is_complex


def not_bool(dtype):
    return dtype != torch.bool


def product(*args, via):
    """A case of a product of matrices, which takes no bools."""
    return case(*args, via=via, only=not_bool)


def mask(*shape):
    """A maker of a mask, whatever the dtype."""
    return lambda dtype: t(*shape)(torch.float32) > 0


def operator_of(name):
    return lambda t: getattr(t.Tensor, name)


def clamp_of(t):
    return t.clamp


def div_of(t):
    return t.div


# Rows that PyTorch's tables have no samples for. torch has the function of that name.
EXTRA = {
    "convolution": [
        case(
            *(t(2, 4, 5, 5), t(4, 2, 3, 3), t(4)),
            *([2, 1], [1, 1], [1, 2], transposed, [int(transposed), 0], 2),
            only=wide,
        )
        for transposed in (False, True)
    ],
    "_convolution_input": [
        backward_of(lambda t, x, w: t.conv2d(x, w), t(2, 3, 5, 5), t(4, 3, 3, 3))
    ],
    "_convolution_weight": [
        backward_of(lambda t, w, x: t.conv2d(x, w), t(4, 3, 3, 3), t(2, 3, 5, 5))
    ],
    "_to_copy": [case(t(3, 2), via=lambda t: lambda x: x.to(t.float16))],
    **{
        f"__{name}__.{kind}": [case(t(3, 2), x, via=operator_of(f"__{name}__"))]
        for name in ("and", "or", "xor", "lshift", "rshift")
        for kind, x in (("Tensor", t(3, 2, low=0)), ("Scalar", 1))
    },
    **{
        f"bitwise_{name}.Scalar_Tensor": [case(5, t(3, 2, low=0))]
        for name in ("and", "or", "xor", "left_shift", "right_shift")
    },
    "clamp": [case(t(3, 2), -1, 1), case(t(3, 2), min=0.5), case(t(3, 2), max=1)],
    "clip": [case(t(3, 2), -1, 1), case(t(3, 2), max=0.5)],
    "_clamp": [
        case(t(3, 2), t(3, 2, low=-1, high=0), t(2, low=0, high=1), via=clamp_of)
    ],
    "masked_fill.Tensor": [case(t(3, 2), mask(3, 2), t())],
    "rsub.Scalar": [case(t(3, 2), 2), case(t(3, 2), 2, 3)],
    "_div_floor": [case(t(3, 2), t(3, 2, seed=1), rounding_mode="floor", via=div_of)],
    "_div_trunc": [case(t(3, 2), t(3, 2, seed=1), rounding_mode="trunc", via=div_of)],
    "_softmax": [case(t(3, 2), 1, False), case(t(3, 2), 0, False)],
    "_log_softmax": [case(t(3, 2), 1, False), case(t(3, 2), 0, False)],
    "_prelu_kernel": [
        case(t(3, 2), t(2, seed=3), via=lambda t: t.prelu),
    ],
    "threshold_backward": [
        case(t(3, 2), t(3, 2, seed=1), 0, via=lambda t: t.ops.aten.threshold_backward)
    ],
    "where": [case(t(3, 2))],
    "where.Scalar": [case(mask(3, 2), 1, 2.5)],
    "where.ScalarSelf": [case(mask(3, 2), 1, t(3, 2))],
    "where.ScalarOther": [case(mask(3, 2), t(3, 2), 1)],
    "_neg_view": [case(t(3, 2))],
    "_conj": [case(t(3, 2), via=lambda t: lambda x: x.conj())],
    "detach": [case(t(3, 2))],
    "value_selecting_reduction_backward": [
        backward_of(lambda t, x: t.max(x, 1), t(3, 4), only=floats),
        backward_of(lambda t, x: t.min(x, 0, True), t(3, 4), only=floats),
        backward_of(lambda t, x: t.max(x, 0), t(), only=floats),
    ],
    "_linalg_svd": [case(t(4, 3), via=lambda t: t.linalg.svdvals, only=wide)],
    "_linalg_solve": [
        case(t(2, 3, 3), t(3, 2), via=lambda t: t.linalg.solve, only=wide)
    ],
    "_solve_triangular": [
        case(
            t(2, 3, 3),
            t(3, 2),
            upper=u,
            via=lambda t: t.linalg.solve_triangular,
            only=wide,
        )
        for u in (False, True)
    ],
    "linalg_pinv": [case(t(4, 3), 1e-5, only=wide)],
    "linalg_pinv.atol_rtol_float": [
        case(t(4, 3), only=wide),
        case(t(4, 3), atol=1e-3, rtol=0.1, only=wide),
    ],
    "slogdet": [case(t(2, 3, 3), only=wide)],
    "matrix_power": [case(t(3, 3), n, only=wide) for n in (0, 1, 2, 5, -2)],
    "inverse": [case(t(3, 3), only=wide)],
    "_tied": [case(t(3, 2), t(4, 2), 0.0, via=lambda t: t.cdist, only=wide)],
    "_norm_backward": [
        backward_of(lambda t, x, p=p: t.linalg.vector_norm(x, p, 1), t(3, 4))
        for p in (1, 0.5, 1.5, 3, -1, float("inf"), float("-inf"))
    ],
    "norm.Scalar": [
        case(t(3, 4), p, via=lambda t: t.ops.aten.norm, only=inexact) for p in (1, 2, 3)
    ],
    "norm.ScalarOpt_dim": [
        case(t(3, 4), 1, [0], True, via=lambda t: t.ops.aten.norm, only=inexact)
    ],
    "_euclidean_dist": [
        case(t(30, 3), t(4, 3), via=lambda t: t.cdist, only=wide),
        case(t(2, 2, 3), t(1, 27, 3), via=lambda t: t.cdist, only=wide),
    ],
    "ger": [case(t(3), t(4))],
    "chain_matmul": [case(t(3, 2), t(2, 5), t(5, 4), only=not_bool)],
    "linalg_matrix_power": [case(t(3, 3), n, only=wide) for n in (0, 1, 2, 5, -2)],
    "_cumsum_backward": [backward_of(lambda t, x: t.cumsum(x, 1), t(3, 4))],
    "_cumprod_backward": [
        backward_of(lambda t, x: t.cumprod(x, 1), t(3, 5)),
        backward_of(lambda t, x: t.cumprod(x * x.real.gt(0.5), 0), t(4, 3)),
    ],
    "_logcumsumexp_backward": [
        backward_of(lambda t, x: t.logcumsumexp(x, 1), t(3, 5), only=wide)
    ],
    "cummaxmin_backward": [
        backward_of(lambda t, x: t.cummax(x, 1), t(3, 5), only=floats),
        backward_of(lambda t, x: t.cummin(x, 0), t(3, 5), only=floats),
    ],
    "_between": [case(t(3, 4), 0.3, 1, via=lambda t: t.quantile, only=wide)],
    "_pick": [case(t(3, 4), 0.3, 1, via=lambda t: t.quantile, only=wide)],
    "_unique2": [
        case(t(3, 4, low=0, high=4), True, i, c, via=lambda t: t.unique, only=real)
        for i in (False, True)
        for c in (False, True)
    ],
    "unique_dim": [
        case(t(4, 2, high=1), True, True, True, d, via=lambda t: t.unique, only=real)
        for d in (0, 1)
    ],
    "isin.Tensor_Scalar": [case(t(3, 4), 1, invert=i, only=wide) for i in (False, True)]
    + [case(t(3, 4), 1, only=lambda d: d == torch.int64)],
    "isin.Scalar_Tensor": [case(1, t(3, 4), only=lambda d: d == torch.int64)],
    "bucketize.Scalar": [
        case(x, t(5, low=0, high=4, seed=1), via=lambda t: t.bucketize, only=wide)
        for x in (1, 2.5, -3.0)
    ],
    "searchsorted.Scalar": [
        case(t(5, low=0, high=4, seed=1), x, right=True, only=wide) for x in (1, 2.5)
    ],
    "_prod_backward": [
        backward_of(lambda t, x: t.prod(x, 1), t(3, 5)),
        backward_of(lambda t, x: t.prod(x), t(2, 4)),
        backward_of(lambda t, x: t.prod(x * x.real.gt(0.5), 0), t(4, 3)),
    ],
    "_matmul": [
        product(t(2, 3, 4), t(4, 5), via=lambda t: t.matmul),
        product(t(2, 3, 4), t(2, 4, 5), via=lambda t: t.matmul),
        product(t(3, 4), t(3, 2, 4, 5), via=lambda t: t.matmul),
        product(t(3, 1, 3, 4), t(2, 4, 1), via=lambda t: t.matmul),
        product(t(2, 3, 0), t(0, 5), via=lambda t: t.matmul),
        product(t(4), t(2, 4, 5), via=lambda t: t.matmul),
        product(t(2, 3, 4), t(4), via=lambda t: t.matmul),
    ],
    "linalg_matmul": [case(t(2, 3, 4), t(4, 5), only=not_bool)],
    "_linear": [
        product(t(3, 4), t(5, 4), t(5), via=lambda t: t.nn.functional.linear),
        product(t(2, 3, 4), t(5, 4), t(5), via=lambda t: t.nn.functional.linear),
        product(t(0, 4), t(5, 4), t(5), via=lambda t: t.nn.functional.linear),
    ],
    "slice_backward": [
        case(t(2, 2), (5, 2), 0, 0, 3, 2, via=lambda t: t.ops.aten.slice_backward)
    ],
}


def take(iterator, n):
    return itertools.islice(iterator, n) if n else iterator
