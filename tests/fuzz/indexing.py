"""Reads and writes by indices of every kind, mixed in every order; their operators."""

import torch

from .writer import is_float, is_number, names_twice, overlap

SHAPES = [
    (3,),
    (2, 3),
    (3, 4),
    (2, 3, 2),
    (2, 1, 3),
    (),
    (0, 3),
    (4, 2),
    (5,),
    (1, 2, 3),
]
DTYPES = ["float64"] * 4 + ["float32"] * 2 + ["int64", "complex64", "bool"]


def new(w):
    if w.chance(0.25):
        d = w.rng.choice(["int64", "bool", "uint8", "int32"])
        return w.tensor([d], SHAPES)
    return w.tensor(DTYPES, SHAPES, grad=0.5)


# --- an index ----------------------------------------------------------------------


def _integers(w, n, wrong, distinct):
    """A nested list of indices into n elements; and its shape."""
    shape = w.rng.choice([(), (1,), (2,), (3,), (2, 1), (2, 2), (1, 3), (0,)])
    count = 1
    for s in shape:
        count *= s
    if wrong:
        values = [n + 2] * count
    elif distinct and count <= n:
        values = [i - n * w.chance(0.3) for i in w.rng.sample(range(n), count)]
    elif distinct or not n:
        shape, values = (0,), []
    else:
        values = [w.rng.randrange(-n, n) for _ in range(count)]

    def nest(sizes):
        if not sizes:
            return values.pop()
        return [nest(sizes[1:]) for _ in range(sizes[0])]

    return nest(shape)


def _slice(w, n):
    start = w.rng.choice(["", str(w.rng.randint(-n - 1, n + 1))])
    stop = w.rng.choice(["", "", str(w.rng.randint(-n - 1, n + 1))])
    return f"{start}:{stop}{w.rng.choice(['', '', ':2', ':1'])}"


def index(w, t, distinct=False):
    """The text between the brackets."""
    parts, d, ellipsis, advanced = [], 0, False, 0
    while d < t.dim() and w.chance(0.85):
        n = t.shape[d]
        kind = w.rng.choice(
            ["int", "slice", "slice", "None", "...", "tensor", "tensor", "list"]
            + ["mask", "bool", "full"]
        )
        # A write has been done in part when an index is found wrong.
        wrong = w.chance(0.01) and not distinct
        if distinct and advanced and kind in ("tensor", "list", "mask"):
            kind = "slice"  # pairs of indices may name an element twice
        if kind == "int":
            if not n:
                continue
            parts.append(str(n + 1 if wrong else w.rng.randrange(-n, n)))
        elif kind in ("slice", "full"):
            parts.append(":" if kind == "full" else _slice(w, n))
        elif kind == "None":
            parts.append("None")
            continue
        elif kind == "bool":
            if w.chance(0.8):
                continue
            parts.append(str(w.chance(0.7)))
            advanced += 1
            continue
        elif kind == "...":
            if ellipsis:
                continue
            ellipsis = True
            parts.append("...")
            # The rest counts from the end.
            d += w.rng.randint(0, t.dim() - d)
            continue
        elif kind == "mask":
            dims = w.rng.randint(1, t.dim() - d)
            shape = tuple(t.shape[d : d + dims])
            if 0 in shape:
                continue
            values = w.literal(shape, "bool")
            # Of a write, PyTorch says that it may not be before it minds the dtype.
            old = w.chance(0.05) and not distinct
            dtype = "torch.uint8" if old else "torch.bool"
            as_list = dims == 1 and w.chance(0.3)
            mask = f"torch.tensor({values}, dtype={dtype})"
            parts.append(values if as_list else mask)
            d += dims
            advanced += 1
            continue
        else:
            indices = _integers(w, n, wrong, distinct)
            advanced += 1
            flat = isinstance(indices, list) and str(indices).count("[") == 1
            if kind == "list" and (flat or isinstance(indices, list) and not distinct):
                parts.append(str(indices))
            else:
                dtype = w.rng.choice(["int64", "int64", "int64", "int32"])
                parts.append(f"torch.tensor({indices}, dtype=torch.{dtype})")
        d += 1
    if t.dim() == 0 and not parts:
        parts = [
            w.rng.choice(["...", "None", "True", "False", "()", "torch.tensor(True)"])
        ]
    return ", ".join(parts) or "..."


# --- lines -------------------------------------------------------------------------


def read(w):
    x = w.any()
    return f"{w.new} = {x}[{index(w, w.tensors[x])}]"


def read_by(w):
    """By a tensor of the program."""
    x = w.any(lambda t: t.dim())
    # PyTorch says of an index that may not be saved before it says that it is wrong.
    i = w.any(lambda t: not is_number(t) and not t.is_inference())
    if not x or not i:
        return None
    before = w.rng.choice(["", "", ":, ", "..., ", "None, "])
    if w.tensors[i].dtype != torch.bool and w.tensors[i].numel():
        n = max(w.tensors[x].shape[0], 1)
        i = f"{i} % {n}" if w.chance(0.95) else i
    return f"{w.new} = {x}[{before}{i}]"


def mask_of_itself(w):
    x = w.any(lambda t: not t.is_complex() and t.dtype != torch.bool)
    if not x:
        return None
    form = w.rng.choice(
        ["{n} = {x}[{x} > 0]", "{x}[{x} > 0] = 0.5", "{x}[{x} > 0] *= 2"]
        + ["{x}[{x} < 0] = {x}[{x} < 0] * 2", "{n} = {x}.masked_select({x} > 0)"]
        + ["{n} = {x}.nonzero()", "{n} = torch.where({x} > 0, {x}, 0)"]
        + ["{n}, *_ = torch.where({x} > 0)", "{n} = {x}.masked_fill({x} > 0, 2)"]
        + ["{n} = torch.argwhere({x})"]
    )
    if names_twice(w.tensors[x]) and "[" in form and "=" in form[5:]:
        return None
    return form.format(x=x, n=w.new)


def _value_sizes(w, shape):
    """Sizes that broadcast to the shape; seldom ones that do not."""
    sizes = [1 if w.chance(0.25) else n for n in shape]
    if w.chance(0.3):
        sizes = sizes[w.rng.randint(0, len(sizes)) :]
    elif w.chance(0.1):
        sizes = [1] + sizes
    if w.chance(0.02):
        sizes = [7] + sizes
    return tuple(sizes)


def _written(w, x, text):
    """The shape that an index shows, None where it is wrong."""
    try:
        return eval(f"x[{text}]", {"torch": torch, "x": w.tensors[x].detach()}).shape
    except Exception:
        return None


def _writable(w):
    return w.any(lambda t: not names_twice(t))


def write(w):
    x = _writable(w)
    if not x:
        return None
    t = w.tensors[x]
    if w.chance(0.35):
        value = w.rng.choice(["0", "1.5", "True", "-2", "torch.tensor(3)"])
        return f"{x}[{index(w, t, distinct=True)}] = {value}"
    text = index(w, t, distinct=True)
    shape = _written(w, x, text)
    if shape is None:
        return f"{x}[{text}] = 1"
    # At indices PyTorch writes to expanded tensors too: what is last is not defined.
    spread = any(n > 1 and s == 0 for n, s in zip(t.shape, t.stride()))
    if spread and any(part in text for part in ("[", "tensor", "True", "False")):
        return None
    if w.chance(0.4):
        y = w.any()
        if overlap(t, w.tensors[y]) or not _castable(w.tensors[y], t):
            return None
        if w.tensors[y].requires_grad and not is_number(t):
            return None  # PyTorch lets integers require a gradient where it fills
        return f"{x}[{text}] = {y}"
    operator = w.rng.choice(["=", "=", "+=", "*="])
    sizes = _value_sizes(w, shape)
    if operator == "=" and 0 not in sizes and sizes and w.chance(0.2):
        dtype = "float64" if is_number(t) else "int64"
        values = w.literal(sizes, dtype)
        return f"{x}[{text}] = torch.tensor({values}, dtype=torch.{dtype})"
    if t.dtype == torch.bool:
        return None
    grad = ", requires_grad=True" if is_number(t) and w.chance(0.3) else ""
    dtype = str(t.dtype) if w.chance(0.95) else "torch.int64"
    grad = grad if dtype == str(t.dtype) else ""
    return f"{x}[{text}] {operator} torch.ones({sizes}, dtype={dtype}{grad})"


def _castable(a, b):
    if is_number(b) or not is_number(a):
        return True
    if a.is_complex() or b.dtype == torch.bool:
        return False
    return not a.numel() or bool(
        a.detach().isfinite().all() and a.detach().abs().max() < 100
    )


def put(w):
    x = _writable(w)
    if not x or not w.tensors[x].dim():
        return None
    t = w.tensors[x]
    n = t.shape[0]
    if not n or t.dtype == torch.bool:
        return None
    # Where elements are one, sums add up as often as there are names for them.
    accumulate = w.chance(0.5) and 0 not in t.stride()
    count = w.rng.randint(1, n if not accumulate else 4)
    if accumulate:
        i = [w.rng.randrange(-n, n) for _ in range(count)]
    else:
        i = w.rng.sample(range(n), count)
    sizes = _value_sizes(w, (count, *t.shape[1:]))
    value = f"torch.full({sizes}, 2, dtype={t.dtype})"
    method = w.rng.choice(["index_put_", "index_put_", "index_put"])
    line = f"{x}.{method}((torch.tensor({i}),), {value}, accumulate={accumulate})"
    return line if method[-1] == "_" else f"{w.new} = {line}"


def _index_along(w, t, d, count):
    n = t.shape[d]
    return [w.rng.randrange(n) for _ in range(count)] if n else []


def along(w):
    """index_select, index_add and their family."""
    x = _writable(w)
    if not x or not w.tensors[x].dim():
        return None
    t = w.tensors[x]
    d = w.rng.randrange(t.dim())
    n = t.shape[d]
    if not n or t.dtype == torch.bool:
        return None
    name = w.rng.choice(
        ["index_select", "index_select", "index_add", "index_copy", "index_fill"]
        + ["index_add_", "index_copy_", "index_fill_", "take_along_dim", "index_reduce"]
    )
    count = w.rng.randint(1, n)
    # To copy to the same place twice is not defined.
    distinct = "copy" in name
    i = w.rng.sample(range(n), count) if distinct else _index_along(w, t, d, count)
    # Of others, which text an index out of bounds has hangs on the sizes.
    if name in ("index_copy", "index_fill") and w.chance(0.04):
        i[0] = n + 2
    i = f"torch.tensor({i})"
    sizes = list(t.shape)
    sizes[d] = count
    if w.chance(0.02):
        sizes[d] += 1
    grad = ", requires_grad=True" if is_number(t) and w.chance(0.3) else ""
    source = f"torch.full({tuple(sizes)}, 2, dtype={t.dtype}{grad})"
    d = d if w.chance(0.5) else d - t.dim()
    if name == "index_select":
        return f"{w.new} = {x}.index_select({d}, {i})"
    if name == "take_along_dim":
        shape = tuple(count if k == d % t.dim() else 1 for k in range(t.dim()))
        return f"{w.new} = {x}.take_along_dim({i}.view({shape}), {d})"
    if name.startswith("index_fill"):
        call = f"{x}.{name}({d}, {i}, {w.rng.choice([0, 1, 2.5])})"
    elif name == "index_reduce":
        if t.is_complex():
            return None
        how = w.rng.choice(["prod", "amax", "amin", "mean"])
        source = source.replace(grad, "") if grad else source
        call = f"{x}.detach().index_reduce({d}, {i}, {source}, '{how}')"
    else:
        more = w.rng.choice(["", ", alpha=2"]) if "add" in name else ""
        call = f"{x}.{name}({d}, {i}, {source}{more})"
    return call if name[-1] == "_" else f"{w.new} = {call}"


def gathered(w):
    """gather, scatter and their family."""
    x = _writable(w)
    if not x or not w.tensors[x].dim() or not w.tensors[x].numel():
        return None
    t = w.tensors[x]
    if t.dtype == torch.bool:
        return None
    d = w.rng.randrange(t.dim())
    sizes = [w.rng.randint(1, n) for n in t.shape]
    name = w.rng.choice(
        ["gather", "gather", "scatter", "scatter_", "scatter_add", "scatter_add_"]
        + ["scatter_reduce", "scatter_value", "scatter_mul"]
    )
    n = t.shape[d]

    def nest(k, i):
        if k == len(sizes):
            return w.rng.randrange(n) if not unique else (i + shift) % n
        return [nest(k + 1, j if k == d else i) for j in range(sizes[k])]

    # Two values for one place are not defined.
    unique = name in ("scatter", "scatter_")
    shift = w.rng.randrange(n)
    indices = f"torch.tensor({nest(0, 0)})"
    grad = ", requires_grad=True" if is_number(t) and w.chance(0.3) else ""
    # scatter_reduce has a derivative only where the source has the sizes of the index.
    larger = tuple(s + w.chance(0.2 * (name != "scatter_reduce")) for s in sizes)
    source = f"torch.full({larger}, 2, dtype={t.dtype}{grad})"
    d = d if w.chance(0.5) else d - t.dim()
    if name == "gather":
        return f"{w.new} = {x}.gather({d}, {indices})"
    if name == "scatter_value":
        return f"{w.new} = {x}.scatter({d}, {indices}, {w.rng.choice([1, 2.5])})"
    if name == "scatter_mul":
        how = w.rng.choice(["add", "multiply"])
        return f"{x}.detach().scatter_({d}, {indices}, 2, reduce='{how}')"
    if name == "scatter_reduce":
        if t.is_complex():
            return None
        # A mean of integers is that of a sum that has wrapped around.
        hows = ["sum", "prod", "amax", "amin"] + ["mean"] * is_float(t)
        how = w.rng.choice(hows)
        self = f", include_self={w.chance(0.5)}"
        return f"{w.new} = {x}.scatter_reduce({d}, {indices}, {source}, '{how}'{self})"
    call = f"{x}.{name}({d}, {indices}, {source})"
    return call if name[-1] == "_" else f"{w.new} = {call}"


def flat(w):
    """take, put_, masked_scatter_, masked_fill_ and where."""
    x = _writable(w)
    if not x:
        return None
    t = w.tensors[x]
    n = t.numel()
    if not n or t.dtype == torch.bool:
        return None
    name = w.rng.choice(["take", "put_", "masked_scatter", "masked_fill", "where"])
    name = w.rng.choice([name, "masked_select", "fill_diagonal_", "unravel_index"])
    if name == "take":
        i = _integers(w, n, w.chance(0.02), False)
        return f"{w.new} = {x}.take(torch.tensor({i}, dtype=torch.int64))"
    if name == "put_":
        i = w.rng.sample(range(n), w.rng.randint(1, n))
        value = f"torch.full(({len(i)},), 2, dtype={t.dtype})"
        return f"{x}.put_(torch.tensor({i}), {value}, accumulate={w.chance(0.4)})"
    if name == "fill_diagonal_":
        return f"{x}.fill_diagonal_(2)" if t.dim() > 1 else None
    if name == "unravel_index":
        i = [w.rng.randrange(n) for _ in range(3)]
        shape = tuple(t.shape)
        return (
            shape and f"{w.new}, *_ = torch.unravel_index(torch.tensor({i}), {shape})"
        )
    mask = w.literal(_value_sizes(w, t.shape), "bool")
    mask = f"torch.tensor({mask}, dtype=torch.bool)"
    forms = {
        "masked_scatter": f"{w.new} = {x}.masked_scatter({mask}, {x} * 2)",
        "masked_fill": f"{x}.masked_fill_({mask}, 2)",
        "masked_select": f"{w.new} = {x}.masked_select({mask})",
        "where": f"{w.new} = torch.where({mask}, {x}, {x} * 2)",
    }
    return forms[name]


def view(w):
    """Indices of what does not lie contiguously."""
    x = w.any(lambda t: t.dim())
    if not x:
        return None
    t = w.tensors[x]
    forms = ["{x}.transpose(0, -1)", "{x}[1:]", "{x}[..., ::2]", "{x}.unsqueeze(0)"]
    forms += ["{x}.expand(2, *{x}.shape)", "{x}.flatten()", "{x}.select(0, 0)"]
    forms += ["{x}.detach()", "{x} * 1", "{x}.clone()", "{x}.diagonal()"]
    form = w.rng.choice(forms)
    if "select" in form and not t.shape[0] or "diagonal" in form and t.dim() < 2:
        return None
    return f"{w.new} = {form.format(x=x)}"


def backward(w):
    x = w.any(lambda t: t.requires_grad)
    if not x:
        return None
    y = w.any(lambda t: t.requires_grad) or x
    form = w.rng.choice(
        ["({x} * {x}).abs().sum().backward(retain_graph=True)"]
        + ["{x}.abs().sum().backward()", "{x}.backward(torch.ones_like({x}))"]
        + ["{n} = torch.autograd.grad({x}.abs().sum(), {y}, allow_unused=True)[0]*1"]
        + ["{n} = torch.autograd.grad(({x} * {x}).sum().abs(), {y}, create_graph=True)"]
    )
    form += "[0]*1" if form.endswith("create_graph=True)") else ""
    return form.format(x=x, y=y, n=w.new)


def pointwise(w):
    x = w.any(is_float)
    if not x:
        return None
    form = w.rng.choice(
        ["{x}.sin()", "{x} * 2", "{x}.sum(0)", "{x}.add_(1)", "{x} > 0"]
    )
    if "sum(0)" in form and not w.tensors[x].dim():
        return None
    if form == "{x}.add_(1)":
        return None if names_twice(w.tensors[x]) else form.format(x=x)
    return f"{w.new} = {form.format(x=x)}"


MAKERS = [
    (1, new),
    (6, read),
    (1.5, read_by),
    (1.5, mask_of_itself),
    (6, write),
    (1.5, put),
    (2.5, along),
    (2.5, gathered),
    (2, flat),
    (2, view),
    (3, backward),
    (1, pointwise),
]
