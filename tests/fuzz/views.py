"""Views of every kind, writes through them and out= on aliases."""

import torch

from .writer import (
    SHAPES,
    is_float,
    is_leaf,
    is_number,
    names_twice,
    overlap,
    places,
    shares,
)

DTYPES = ["float64"] * 4 + ["float32"] * 2 + ["complex64", "int64", "int32", "bool"]


def new(w):
    if w.chance(0.15):
        shape, kind = w.rng.choice(SHAPES), w.rng.choice(["int64", "float32"])
        grad = f", requires_grad={w.chance(0.5)}" if kind == "float32" else ""
        made = w.rng.choice(["zeros", "ones"])
        return f"{w.new} = torch.{made}({shape}, dtype=torch.{kind}{grad})"
    if w.chance(0.1):
        sizes, strides = w.rng.choice(
            [((2, 3), (1, 2)), ((2, 2), (4, 1)), ((3,), (2,))]
        )
        return f"{w.new} = torch.zeros(9)[1:].as_strided({sizes}, {strides}).clone()"
    return w.tensor(DTYPES, grad=0.4)


# --- expressions of views ----------------------------------------------------------


def _slice(w, n):
    start = w.rng.choice(["", "", str(w.rng.randint(-n - 1, n + 1))])
    stop = w.rng.choice(["", "", str(w.rng.randint(-n - 1, n + 1))])
    step = w.rng.choice(["", "", "", ":2", ":1", ":3"])
    return f"{start}:{stop}{step}"


def basic_index(w, x, t):
    parts, d = [], 0
    while d < t.dim() and w.chance(0.8):
        n = t.shape[d]
        if w.chance(0.2):
            parts.append("None")
            continue
        if w.chance(0.35) and n:
            wrong = w.chance(0.02)
            parts.append(str(n + 3 if wrong else w.rng.randrange(-n, n)))
        else:
            parts.append(_slice(w, n))
        d += 1
    if w.chance(0.2):
        parts.insert(w.rng.randint(0, len(parts)) if d < t.dim() else 0, "...")
        if parts[0] == "..." and d >= t.dim() and len(parts) > 1:
            parts = parts[1:]
    return f"{x}[{', '.join(parts) or '...'}]"


def _factors(w, n):
    """Sizes of n elements."""
    found = [s for s in ((n,), (1, n), (n, 1), (2, n // 2), (n // 2, 2)) if s]
    return w.rng.choice([s for s in found if s[0] * (s[1] if len(s) > 1 else 1) == n])


def reshaped(w, x, t):
    sizes = list(_factors(w, t.numel()))
    if w.chance(0.3) and t.numel():
        sizes[w.rng.randrange(len(sizes))] = -1
    if w.chance(0.03):
        sizes[0] = 5
    return f"{x}.{w.rng.choice(['view', 'view', 'reshape'])}({tuple(sizes)})"


def one_dim(w, x, t):
    # Of none, unflatten's text has a trace of PyTorch's C++.
    d = w.dim(t)
    form = w.rng.choice(
        ["{x}.squeeze({d})", "{x}.unsqueeze({u})", "{x}.select({d}, {i})"]
        + ["{x}.narrow({d}, {i}, 1)", "{x}.flatten({d})", "{x}.unfold({d}, {k}, {s})"]
        + ["{x}.select({d}, {i})", "{x}.narrow({d}, 0, {k})", "{x}.unfold({d}, 2, 1)"]
        + ["{x}.unflatten({d}, (1, -1))", "{x}.unflatten({d}, (-1, 1))"]
    )
    n = t.shape[d] if -t.dim() <= d < t.dim() else 1
    if "unflatten" in form and not -t.dim() <= d < t.dim():
        return None
    return form.format(
        x=x,
        d=d,
        u=w.rng.randint(-t.dim() - 1, t.dim()),
        i=w.rng.randint(-n, n - 1) if n else 0,
        k=w.rng.randint(0 if w.chance(0.1) else 1, max(n, 1)),
        s=w.rng.randint(1, 2),
    )


def two_dims(w, x, t):
    a, b = w.dim(t), w.dim(t)
    name = w.rng.choice(
        ["transpose", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis"]
        + ["diagonal", "permute"]
    )
    if name == "diagonal":
        if t.dim() < 2:
            return None
        return f"{x}.diagonal({w.rng.randint(-1, 1)}, {a}, {b})"
    if name == "permute":
        order = w.rng.sample(range(t.dim()), t.dim())
        return f"{x}.permute({', '.join(map(str, order)) or '()'})"
    return f"{x}.{name}({a}, {b})"


def strided(w, x, t):
    """as_strided within the storage, sometimes beyond it."""
    total = t.untyped_storage().nbytes() // t.element_size()
    offset = w.rng.choice([t.storage_offset(), 0, 1])
    sizes, strides, last = [], [], offset
    for _ in range(w.rng.randint(0, 2)):
        sizes.append(w.rng.randint(1, 3))
        strides.append(w.rng.choice([0, 1, 1, 2, 3]))
        last += (sizes[-1] - 1) * strides[-1]
    if last >= total and not w.chance(0.03):
        return None
    return f"{x}.as_strided({tuple(sizes)}, {tuple(strides)}, {offset})"


def expanded(w, x, t):
    if w.chance(0.3):
        y = w.any(lambda o: o.dim() >= t.dim() and is_float(o))
        return y and is_float(t) and f"{x}.expand_as({y})"
    sizes = [w.rng.choice([n, -1]) if n != 1 else w.rng.randint(1, 3) for n in t.shape]
    extra = [2] * w.rng.randint(0, 1)
    name = w.rng.choice(["{x}.expand({s})", "torch.broadcast_to({x}, {s})"])
    return name.format(x=x, s=tuple(extra + sizes))


def no_arguments(w, x, t):
    forms = ["{x}.view_as({x})", "{x}.detach()", "{x}.data", "{x}.flatten()"]
    forms += ["{x}.squeeze()", "{x}.positive()", "{x}.T", "{x}.mT", "{x}.ravel()"]
    forms += ["torch.atleast_1d({x})", "torch.atleast_3d({x})", "{x}.real", "{x}[...]"]
    forms += ["{x}.contiguous()", "{x}.conj()", "{x}.t()", "{x}.adjoint()"]
    forms += ["{x}.clone()", "{x}.reshape_as({x})", "{x}.H", "torch.atleast_2d({x})"]
    form = w.rng.choice(forms)
    if t.dim() != 2 and (".T" in form or ".H" in form) and not w.chance(0.1):
        return None  # deprecated of other dimensions
    if t.dtype == torch.bool and "positive" in form:
        return None
    return form.format(x=x)


def complex_parts(w, x, t):
    if t.is_complex():
        forms = ["torch.view_as_real({x})", "{x}.real", "{x}.imag", "{x}.conj()"]
        forms += [
            "torch.view_as_real({x}.resolve_conj())",
            "{x}.mH",
            "{x}.resolve_neg()",
        ]
        forms += ["{x}.conj().imag"]
        return w.rng.choice(forms).format(x=x)
    if t.dtype == torch.float32 and t.dim() and t.shape[-1] == 2:
        return f"torch.view_as_complex({x})"
    return None


def other_dtype(w, x, t):
    """The same bytes.

    Not of truth values, for which bytes other than 0 and 1 are bad; those of floats are
    not looked at, as their last bits may differ.
    """
    if t.dtype == torch.bool or t.is_conj() or t.is_neg():
        return None
    dtypes = ["int64", "int32", "int16", "uint8"]
    if is_number(t):
        dtypes += ["float64", "float32"]
        return f"{x}.view(torch.{w.rng.choice(dtypes)}).view({t.dtype})"
    return f"{x}.view(torch.{w.rng.choice(dtypes)})"


def formatted(w, x, t):
    if t.dim() == 4 and w.chance(0.8):
        form = w.rng.choice(
            ["{x}.contiguous(memory_format=torch.channels_last)"]
            + ["{x}.to(memory_format=torch.channels_last)"]
            + ["{x}.clone(memory_format=torch.channels_last)", "{x} + 1"]
            + ["torch.zeros_like({x}, memory_format=torch.channels_last)"]
            + ["{x}.clone(memory_format=torch.contiguous_format)"]
        )
        return form.format(x=x)
    if t.dim() == 3:
        return f"{x}.unsqueeze({w.rng.randint(0, 3)})"
    form = w.rng.choice(["{x}.clone(memory_format={f})", "torch.ones_like({x})"])
    formats = ["torch.preserve_format", "torch.contiguous_format"]
    return form.format(x=x, f=w.rng.choice(formats))


EXPRESSIONS = [
    *[basic_index] * 5,
    *[reshaped] * 2,
    *[one_dim] * 4,
    *[two_dims] * 4,
    *[strided] * 2,
    expanded,
    *[no_arguments] * 3,
    *[complex_parts] * 2,
    other_dtype,
    formatted,
]


def expression(w, x):
    while True:
        made = w.rng.choice(EXPRESSIONS)(w, x, w.tensors[x])
        if made:
            return made


# --- lines -----------------------------------------------------------------------


def view(w):
    return f"{w.new} = {expression(w, w.any())}"


def several(w):
    x = w.any(lambda t: t.dim())
    if not x:
        return None
    d = w.dim(w.tensors[x])
    n = w.tensors[x].shape[d] if d <= 0 or d < w.tensors[x].dim() else 1
    form = w.rng.choice(
        ["{x}.split(1, {d})", "{x}.chunk(2, {d})", "{x}.unbind({d})"]
        + ["torch.tensor_split({x}, 2, {d})", "{x}.split([{k}, {m}], {d})"]
        + ["{x}.split(2, dim={d})", "torch.tensor_split({x}, [1], dim={d})"]
        + ["{x}.hsplit(1)", "{x}.unsafe_split(1, {d})", "{x}.unsafe_chunk(2, {d})"]
        + [
            "torch.broadcast_tensors({x}, {x}[..., :1])",
            "{x}.split_with_sizes([{n}], {d})",
        ]
        + ["torch.atleast_2d({x}, {x})", "{x}.tensor_split([0, 1], {d})"]
    )
    k = w.rng.randint(0, n)
    return w.several(form.format(x=x, d=d, k=k, m=n - k, n=n))


def arithmetic(w):
    x = w.any()
    t = w.tensors[x]
    forms = ["{x} * 2", "{x} + 1", "-{x}", "{x} * {y}", "{x} + {y}", "{x}.sum()"]
    forms += ["torch.cat([{x}, {x}])"]
    if not t.is_inference():  # PyTorch's is a view of what nobody has, outside the mode
        forms += ["torch.stack([{x}, {x}])"]
    if t.numel() or not t.is_complex():  # that of nothing has strides of its own
        forms += ["{x}.abs()"]
    if is_float(t):
        forms += ["{x}.sin()", "{x}.float()", "{x}.double()", "{x} > 0", "{x}.tanh()"]
    form = w.rng.choice(forms)
    if t.dtype == torch.bool and "-" in form:
        return None
    return f"{w.new} = " + form.format(x=x, y=w.fitting(t) or x)


def _target(w, x):
    """The tensor or an expression of a view of it."""
    return expression(w, x) if w.chance(0.4) else x


def _shown(w, target):
    """The tensor of an expression, or None where it is an error."""
    try:
        return eval(target, {"torch": torch, **w.tensors})
    except Exception:
        return None


def _twice(w, target):
    """Whether a write to the expression is not defined."""
    t = _shown(w, target)
    return t is not None and names_twice(t)


def write(w):
    x = w.any()
    target = _target(w, x)
    if _twice(w, target):
        return None
    t = _shown(w, target)
    t = w.tensors[x] if t is None else t
    forms = ["{x}.zero_()", "{x}.fill_(1)", "{x}.mul_(2)", "{x}.add_(1)", "{x} += 1"]
    forms += ["{x}.neg_()", "{x}[...] = 2", "{x} *= 2", "{x}.copy_({x})", "{x}.abs_()"]
    forms += ["{x}.mul_({x})", "{x}.masked_fill_({x} == 1, 3)", "{x}.sub_({x})"]
    if is_float(t):
        forms += ["{x}.sin_()", "{x}.tanh_()", "{x}.clamp_(-1, 1)", "{x}.relu_()"]
        forms += ["{x}.square_()", "{x}.sigmoid_()", "{x}.fill_(0.5)", "{x}.div_(2)"]
    if t.is_complex():
        forms += ["{x}.conj_physical_()", "{x}.mul_(1j)", "{x}.fill_(1 + 2j)"]
    form = w.rng.choice(forms)
    assigns = "=" in form and "==" not in form and "[" not in form
    if assigns and not target.isidentifier():
        target = f"{target}[...]"
    return form.format(x=target)


def write_part(w):
    """x[...] = v."""
    x = w.any(lambda t: not names_twice(t))
    if not x:
        return None
    place = basic_index(w, x, w.tensors[x])
    if w.chance(0.4):
        return f"{place} = {w.rng.choice([0, 1, 2.5, True])}"
    if w.chance(0.5):
        return f"{place} {w.rng.choice(['+=', '*='])} 2"
    y = w.any()
    if overlap(w.tensors[x], w.tensors[y]) or not _castable(w, y, x):
        return None
    if w.tensors[y].requires_grad and not is_number(w.tensors[x]):
        return None  # PyTorch lets integers require a gradient where it fills
    return f"{place} = {y}"


def _castable(w, y, x):
    """Whether the values of y have a defined meaning in the dtype of x."""
    a, b = w.tensors[y], w.tensors[x]
    if is_number(b) or not is_number(a) or b.dtype == torch.bool:
        return not (b.dtype == torch.bool and a.numel() and bool(a.isnan().any()))
    if a.is_complex() or not a.numel():
        return not a.is_complex()
    return bool(a.detach().isfinite().all()) and a.detach().abs().max() < 100


def write_other(w):
    x = w.any()
    t = w.tensors[x]
    y = w.fitting(t)
    target = _target(w, x)
    if not y or _twice(w, target) or not _castable(w, y, x):
        return None
    if not target == x == y:
        if overlap(t, w.tensors[y]) or (target != x and shares(t, w.tensors[y])):
            return None
    forms = ["{x}.copy_({y})", "{x}.add_({y})", "{x}.mul_({y})", "{x}.sub_({y})"]
    forms += ["{x}.copy_({y})", "{x}.add_({y}, alpha=2)", "{x}.addcmul_({y}, {y})"]
    form = w.rng.choice(forms)
    bools = torch.bool in (t.dtype, w.tensors[y].dtype)
    if bools and ("sub" in form or "alpha" in form or "addcmul" in form):
        return None
    return form.format(x=target, y=y)


def _extent(t):
    """The elements from the first of a tensor to the last, in memory."""
    if not t.numel():
        return 0
    return 1 + sum((n - 1) * s for n, s in zip(t.shape, t.stride()))


def into_out(w):
    """out= is a tensor or a view, perhaps of an operand."""
    z = w.any(lambda t: not t.requires_grad)
    if not z:
        return None
    target = _target(w, z)
    if _twice(w, target):
        return None
    x = w.any(lambda t: not t.requires_grad)
    y = w.fitting(w.tensors[x])
    forms = ["torch.add({x}, {y}, out={z})", "torch.mul({x}, {y}, out={z})"]
    forms += ["torch.neg({x}, out={z})", "torch.eq({x}, {y}, out={z})"]
    elementwise = w.rng.choice(forms)
    alone = ["torch.cumsum({x}, 0, out={z})", "torch.sum({x}, 0, out={z})"]
    alone += ["torch.stack([{x}, {x}], out={z})", "torch.cat([{x}, {x}], out={z})"]
    form = w.rng.choice([elementwise, elementwise, *alone])
    if torch.bool in [w.tensors[n].dtype for n in (x, y or x, z)]:
        return None
    out = w.tensors[z]
    for n in sorted({x, y or x}):
        same = target == z == n
        if overlap(out, w.tensors[n]) and not same:
            return None
        if not is_number(out) and is_number(w.tensors[n]):
            return None
        # PyTorch resizes out before it finds that memory is shared, or not at all;
        # or that the dtype is wrong.
        if form in alone and shares(out, w.tensors[n]):
            return None
        if form in alone and w.tensors[n].is_complex() and not out.is_complex():
            return None
    shown = _shown(w, target)
    operands = [w.tensors[n] for n in {x, y or x}]
    if shown is not None and any(shares(out, t) for t in operands):
        # What is resized may overlap then; of what has gaps PyTorch does not ask.
        dense = shown.numel() == _extent(shown)
        if not dense or any(t.shape != shown.shape for t in operands):
            return None
    if shown is not None and not _can_grow(w, shown):
        if form in alone or any(t.shape != shown.shape for t in operands):
            return None
    if form in alone and (shown is None or 0 in shown.stride() or not shown.numel()):
        return None
    # A part of complex numbers would be resized to half a number.
    if shown is not None and out.is_complex() and not shown.is_complex():
        return None
    if form in alone and not w.tensors[x].dim():
        return None
    line = form.format(x=x, y=y, z=target)
    if w.tensors[z].is_conj() or w.tensors[z].is_neg():
        return None
    return line


def through_numpy(w):
    """Memory that numpy and DLPack see, too: what one side writes, the other shows."""
    x = w.any(lambda t: t.numel())
    if not x:
        return None
    target = _target(w, x)
    if _twice(w, target):
        return None
    shown = _shown(w, target)
    form = w.rng.choice(
        ["{x}.detach().numpy()[...] = {v}", "{x}.detach().numpy()[...] *= 2"]
        + ["{n} = torch.from_numpy({x}.detach().numpy())"]
        + ["{n} = torch.as_tensor({x}.numpy(force=True))"]
        + ["{n} = torch.from_dlpack({x}.detach())"]
        + ["{n} = torch.from_numpy({x}.detach().numpy()[..., :1])"]
    )
    if shown is not None and not shown.numel():
        return None
    if "dlpack" in form and shown is not None and shown.is_neg():
        return None  # PyTorch's shows the numbers without the minus
    repeats = shown is not None and 0 in shown.stride()
    if "*=" in form and (repeats or shown is None or shown.dtype == torch.bool):
        return None
    return form.format(x=target, n=w.new, v=w.rng.choice([0, 1, 2]))


def in_place_view(w):
    x = w.any()
    t = w.tensors[x]
    a, b = w.dim(t), w.dim(t)
    form = w.rng.choice(
        ["{x}.transpose_({a}, {b})", "{x}.squeeze_()", "{x}.unsqueeze_({u})"]
        + ["{x}.swapaxes_({a}, {b})", "{x}.squeeze_({a})", "{x}.detach_()"]
        + ["{x}.swapdims_({a}, {b})", "{x}.t_()", "{x}.as_strided_({s}, {st}, {o})"]
    )
    return form.format(
        x=x,
        a=a,
        b=b,
        u=w.rng.randint(-t.dim() - 1, t.dim()),
        s=tuple(t.shape[:1]),
        st=(1,) if t.dim() else (),
        o=t.storage_offset(),
    )


def _alone(w, t):
    """Whether nothing but its name holds a tensor."""
    others = [o for o in w.tensors.values() if o is not t]
    return not t.requires_grad and not any(shares(t, o) for o in others)


def _can_grow(w, t):
    """Whether its storage may have more bytes.

    PyTorch has changed the sizes when it finds that it may not, and frees what another
    storage still shows.
    """
    own = t.untyped_storage()
    return own.resizable() and not any(
        shares(t, o) and o.untyped_storage()._cdata != own._cdata
        for o in w.tensors.values()
    )


def storage(w):
    """Other bytes under a tensor."""
    x, y = w.any(), w.any()
    t, o = w.tensors[x], w.tensors[y]
    forms = []
    # Some of PyTorch's nodes ask a saved tensor for sizes and dtype, some know them.
    # What a view or an inference tensor then is, no rule says.
    alike = (t.shape, t.dtype) == (o.shape, o.dtype)
    free = _alone(w, t) and not t._is_view()
    if (alike or free) and not t.is_inference():
        forms += [
            "{x}.data = {y}",
            "{x}.data = {y}.data",
            "{x}.data = {y}.clone().data",
        ]
    if t.dtype == o.dtype or w.chance(0.05):
        forms += ["{x}.set_({y})", "{x}.set_({y})"]
        # It keeps the strides of a tensor that is as large: of an empty storage, or
        # beyond the end of one.
        plain = t.stride() == torch.empty(t.shape).stride()
        # Bytes of what was rounded are not the same to the last.
        rounded = t.dtype != o.dtype and (is_float(o) or o.is_complex())
        if o.numel() and plain and not t.is_conj() and not rounded:
            forms += ["{x}.set_({y}.untyped_storage())"]
        if t.dtype == o.dtype:
            forms += ["{x}.set_({y}.untyped_storage(), {o}, {s}, {st})"]
    # The error counts what holds them.
    if x != y and _alone(w, t) and _alone(w, o):
        forms += ["torch.utils.swap_tensors({x}, {y})"] * 3
    # A storage has no parts of its elements.
    part = any(
        shares(t, other) and t.element_size() < other.element_size()
        for other in w.tensors.values()
    )
    # New bytes are not defined: they are all written to at once.
    room = t.untyped_storage().nbytes() // t.element_size() - t.storage_offset()
    if not names_twice(t) and not part and room >= 0:
        if _can_grow(w, t):
            forms += ["{x}.resize_({s}).zero_()", "{x}.resize_as_({y}).zero_()"]
        forms += ["{x}.resize_({s})"] if o.numel() <= room else []
    if not forms:
        return None
    form = w.rng.choice(forms)
    if form == "{x}.set_({y}.untyped_storage())" and o.dtype == torch.bool != t.dtype:
        return None
    return form.format(
        x=x, y=y, o=o.storage_offset(), s=tuple(o.shape), st=tuple(o.stride())
    )


def scattered(w):
    """What a view would show after a write, as a new tensor; and index_put_."""
    x = w.any(lambda t: t.dim())
    if not x:
        return None
    t = w.tensors[x]
    d = w.rng.randrange(t.dim())
    if not t.shape[d]:
        return None
    i = w.rng.randrange(t.shape[d])
    form = w.rng.choice(
        ["torch.select_scatter({x}, {x}.select({d}, {i}) * 2, {d}, {i})"]
        + ["torch.slice_scatter({x}, {x}.narrow({d}, {i}, 1) * 2, {d}, {i}, {j})"]
        + ["{x}.index_select({d}, torch.tensor([{i}]))", "{x}.narrow_copy({d}, {i}, 1)"]
        + ["torch.as_strided_scatter({x}, {x} * 2, {x}.shape, {x}.stride(), {o})"]
    )
    if t.is_complex() and t.requires_grad and "_scatter" in form:
        return None  # PyTorch has no derivative there
    if t.requires_grad and "as_strided" in form:
        return None  # PyTorch's gradient counts what was overwritten
    if "as_strided" in form and len(set(places(t))) < t.numel():
        return None
    return f"{w.new} = " + form.format(x=x, d=d, i=i, j=i + 1, o=t.storage_offset())


def flags(w):
    x = w.any()
    forms = ["{x}.requires_grad_()", "{x}.requires_grad_(False)", "{x}.retain_grad()"]
    return w.rng.choice(forms).format(x=x)


def backward(w):
    x = w.any(lambda t: t.requires_grad)
    if not x:
        return None
    y = w.any(lambda t: t.requires_grad and is_leaf(t)) or x
    form = w.rng.choice(
        ["{x}.sum().backward()", "({x} * {x}).sum().backward(retain_graph=True)"]
        + ["{x}.backward(torch.ones_like({x}), retain_graph=True)"]
        + ["{n} = torch.autograd.grad({x}.abs().sum(), {y}, allow_unused=True)[0]*1"]
        + ["({x} * {x}.detach()).abs().sum().backward(retain_graph=True)"]
    )
    return form.format(x=x, y=y, n=w.new)


def forget(w):
    return f"del {w.any()}" if len(w.names) > 4 else None


MAKERS = [
    (1, new),
    (8, view),
    (2, several),
    (2, arithmetic),
    (3, write),
    (3, write_part),
    (3, write_other),
    (1.5, into_out),
    (1.5, through_numpy),
    (1, in_place_view),
    (1.5, storage),
    (0.5, scattered),
    (0.7, flags),
    (1.5, backward),
    (0.5, forget),
]
