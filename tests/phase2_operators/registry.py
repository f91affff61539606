"""Samples for every row of the operator table, and torch as the judge of each.

A row's samples are those of PyTorch's own OpInfo entries for the function of that
name; the modules samples_*.py have those of rows that PyTorch has no entry for.
Values cross as bytes, so that strides, offsets and NaN payloads stay what they were.
"""

import contextlib
import functools
import importlib
import itertools
from pathlib import Path

import torch
from torch.testing._internal.common_methods_invocations import op_db

import flashlight
from flashlight import _C

DTYPES = {
    d: getattr(torch, d)
    for d in (
        "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 "
        "complex128"
    ).split()
}


def rows():
    """Full name -> _op_info of every row, with its base name added."""
    table = {}
    for schema in _C._schemas:
        full = schema.split("(")[0]
        table[full] = dict(_C._op_info(full), name=full.split(".")[0], schema=schema)
    return table


# Entries of functions that have only their last name in common with another.
NAMESAKES = {"linalg.vander", "nn.functional.unfold"}


@functools.cache
def entries():
    """Base name of an op -> its OpInfo entries (several for variants)."""
    found, last = {}, {}
    for info in op_db:
        if info.name.startswith(("masked.", "sparse.", "signal.")):
            continue  # other functions of the same last name
        if info.name in NAMESAKES:
            found.setdefault(info.name.replace(".", "_"), []).append(info)
            continue
        names = {info.name, info.aten_name, *(a.name for a in info.aliases)}
        for name in names:
            found.setdefault(name.removeprefix("nn.functional."), []).append(info)
            found.setdefault(name.replace(".", "_"), []).append(info)
            last.setdefault(name.split(".")[-1], []).append(info)
    for name, infos in last.items():
        found.setdefault(name, infos)  # unless torch.name has an entry of its own
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


# Storages and tensors that have been copied, while aliases are to stay aliases.
SHARED = None


@contextlib.contextmanager
def aliases_kept():
    """Tensors of one storage that cross within are of one storage in ours, too.

    One that crosses twice is one tensor.
    """
    global SHARED
    SHARED = {}
    try:
        yield
    finally:
        SHARED = None


def tensor_to_ours(t):
    if SHARED is None:
        return fresh_tensor(t)
    if id(t) not in SHARED:
        SHARED[id(t)] = fresh_tensor(t)
    return SHARED[id(t)]


def fresh_tensor(t):
    conj, neg = t.is_conj(), t.is_neg()
    plain = t.detach()
    plain = plain.conj() if conj else plain
    plain = plain._neg_view() if neg else plain
    storage = plain.untyped_storage()
    key = storage.data_ptr(), t.dtype
    flat = SHARED.get(key) if SHARED is not None else None
    if flat is None:
        # A clone: a storage whose memory numpy has seen resizes no more.
        data = torch.empty(0, dtype=torch.uint8).set_(storage).clone()
        data = data.numpy().tobytes()
        flat = _C._from_bytes(data, to_ours(t.dtype))
        if SHARED is not None and data:
            SHARED[key] = flat
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


# Tolerances relative to float32's.
WIDTH = {
    torch.float16: 300,
    torch.bfloat16: 3000,
    torch.float64: 1e-4,
    torch.complex128: 1e-4,
}


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
        rtol = tolerance * WIDTH.get(b.dtype, 1)
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
REORDERED = {
    "einsum": lambda f: lambda tensors, equation: f(equation, tensors),
    **{
        f"nn.functional.{name}": lambda f: lambda weight, i, **kwargs: f(
            i, weight, **kwargs
        )
        for name in ("embedding", "embedding_bag")
    },
}


# Functions whose results have any values at all.
UNFILLED = {
    "empty",
    "empty_like",
    "empty_permuted",
    "empty_strided",
    "new_empty",
    "new_empty_strided",
}


def filled(t, function):
    """`function`, its result's values zero."""

    def call(*args, **kwargs):
        out = function(*args, **kwargs)
        with t.no_grad():
            return out.zero_()

    return call


def both_filled(name, ours, theirs):
    if name in UNFILLED and ours is not None:
        return filled(flashlight, ours), filled(torch, theirs)
    return ours, theirs


def callables(info, name):
    """(ours, torch's) for an OpInfo entry or a name: the public function or method."""
    if info is not None and info.name in REORDERED:
        found = public(info if name in FUNCTIONAL else None, name)
        return tuple(map(REORDERED[info.name], found))
    return both_filled(name, *public(info, name))


# Functions of nn.functional that take other arguments than the op of that name, or
# check them first; samples are the function's.
FUNCTIONAL = {
    "alpha_dropout",
    "batch_norm",
    "dropout",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "group_norm",
    "instance_norm",
    *(
        f"{kind}_pool{n}d"
        for kind in ("max", "adaptive_max", "adaptive_avg", "fractional_max")
        for n in (1, 2, 3)
    ),
    *(f"max_unpool{n}d" for n in (1, 2, 3)),
}


def public_function(name):
    return getattr(flashlight.nn.functional, name)


# Functions whose first argument is not `self`, with which their samples begin.
SELF_FIRST = {"where", "polygamma", "special.polygamma"}


def arguments(info, sample):
    """The arguments of a sample, in the order of the function's."""
    args = (sample.input, *sample.args)
    return (args[1], args[0], *args[2:]) if info.name in SELF_FIRST else args


def second_first(method):
    """`method` as a function that it is the second argument's of."""
    return lambda first, second, *rest: method(second, first, *rest)


def public(info, name):
    if info is not None and info.variant_test_name == "in_place":
        name += "_"
        return getattr(flashlight.Tensor, name, None), getattr(torch.Tensor, name)
    if info is not None and name in FUNCTIONAL:
        return tuple(getattr(t.nn.functional, name) for t in (flashlight, torch))
    if info is not None and info.name.startswith("__"):
        name = info.name
        return getattr(flashlight.Tensor, name, None), getattr(torch.Tensor, name)
    places = (name, info and info.name)
    if info is not None and info.name.startswith("nn.functional."):
        places = places[::-1]  # the namesake elsewhere takes other arguments
    for place in filter(None, places):
        for o, t in (
            (flashlight, torch),
            (flashlight.Tensor, torch.Tensor),
            (_C._nn, torch._C._nn),
            (_C._linalg, torch._C._linalg),
            (_C._special, torch._C._special),
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
        if hasattr(t, name) and (hasattr(o, name) or not module):
            return both_filled(name, getattr(o, name), getattr(t, name))
    if not module and hasattr(torch, name):  # torch.celu_ is no method
        return getattr(flashlight, name), getattr(torch, name)
    return None, None


class Case:
    """One call, of torch's arguments; each use makes fresh copies."""

    def __init__(
        self, ours, theirs, args, kwargs, defined=lambda out: out, direct=True
    ):
        self.ours, self.theirs, self.args, self.kwargs = ours, theirs, args, kwargs
        self.defined = defined  # what of a result is: eigenvectors have no sign
        self.direct = direct  # these arguments are the op's own

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
    """Calls of the public function of that row's name (any overload of it).

    The judge of one is torch, or torch's plain formula where torch is wrong.
    """
    plainly = collected("CORRECTED").get(rows_cached()[full]["name"])
    for case in cases_as_they_are(full, dtype, requires_grad):
        if plainly:
            case.theirs = plainly(case.theirs)
        yield case


def cases_as_they_are(full, dtype, requires_grad):
    row = rows_cached()[full]
    for make in collected("EXTRA").get(full, ()):
        if make.only and not make.only(dtype):
            continue
        via, args, kwargs = make(dtype)
        ours, theirs = callables(None, row["name"])
        if via:
            ours, theirs = via(flashlight), via(torch)
        if requires_grad:
            rest = {k: v for k, v in kwargs.items() if k not in make.constant}
            for t in flat([args, rest]):
                if t.dtype.is_floating_point or t.dtype.is_complex:
                    t.requires_grad_()
        yield Case(ours, theirs, args, kwargs, direct=make.direct)
    for info in entries().get(row["name"], ()):
        if dtype not in info.dtypes:
            continue
        ours, theirs = callables(info, row["name"])
        if ours is None:
            continue
        grad = requires_grad and info.supports_autograd
        torch.manual_seed(3)
        for sample in info.sample_inputs("cpu", dtype, requires_grad=grad):
            args = arguments(info, sample)
            defined = sample.output_process_fn_grad
            yield Case(ours, theirs, args, sample.kwargs, defined)
            if "Scalar " in row["schema"]:
                yield from with_numbers(ours, theirs, args, sample.kwargs)
            if row["method"] and ours is not getattr(flashlight.Tensor, row["name"], 0):
                method = getattr(torch.Tensor, row["name"], None)
                if method is not None and isinstance(args[0], torch.Tensor):
                    mine = getattr(flashlight.Tensor, row["name"])
                    both = both_filled(row["name"], mine, method)
                    if info.name in SELF_FIRST:
                        both = tuple(map(second_first, both))
                    yield Case(*both, args, sample.kwargs, defined)


def with_numbers(ours, theirs, args, kwargs):
    """The same calls with a number for each tensor that has no dimensions."""
    tried = [
        ((*args[:i], x.detach().item(), *args[i + 1 :]), kwargs)
        for i, x in enumerate(args)
        if isinstance(x, torch.Tensor) and x.dim() == 0
    ] + [
        (args, {**kwargs, k: x.detach().item()})
        for k, x in kwargs.items()
        if isinstance(x, torch.Tensor) and x.dim() == 0
    ]
    for args, kwargs in tried:
        try:
            out = theirs(*args, **kwargs)
        except (RuntimeError, TypeError, AttributeError):
            continue  # torch takes no number there
        if all(str(x.dtype).removeprefix("torch.") in DTYPES for x in flat(out)):
            yield Case(ours, theirs, args, kwargs)


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


@functools.cache
def collected(what):
    """What the modules samples_<family>.py beside this one hold under that name.

    EXTRA: full name -> makers of cases, for rows that PyTorch's tables have none for;
    torch has the function of that name. CORRECTED: name -> a function of torch's
    function that gives the one to judge by, each with what torch's own does wrong.
    """
    found = {}
    for path in sorted(Path(__file__).parent.glob("samples_*.py")):
        held = getattr(importlib.import_module(path.stem), what, {})
        for name, made in held.items():
            assert name not in found, f"{name}: {what} in two modules"
            found[name] = made
    return found


def take(iterator, n):
    return itertools.islice(iterator, n) if n else iterator
