"""Function transforms, one inside another: every expression keeps the shape of its
variable, so that all of them fit into each other."""

from .writer import is_float

SHAPES = [(2, 3), (3,), (2, 2), (), (1, 3), (2,), (2, 1, 2)]
_VARIABLES = "xyzuvw"


def new(w):
    # Of a float32 without dimensions, PyTorch's tangents come to be float64.
    return w.tensor(["float64"], SHAPES, grad=0.4)


class Expression:
    """Text of an expression of a variable, of the variable's shape."""

    def __init__(self, writer, dims, depth):
        self.w, self.dims, self.depth = writer, dims, depth

    def choice(self, options):
        return self.w.rng.choice(options)

    def outer(self, level):
        """Something without dimensions of what is outside."""
        names = [n for n in self.w.names if is_float(self.w.tensors[n])]
        around = [f"{v}.sum()" for v in _VARIABLES[:level]]
        captured = [f"{n}.mean()" for n in names[-2:]]
        return self.choice(around + captured + ["0.5"])

    def step(self, x, level, dims):
        """An expression of x's shape."""
        smooth = [
            f"({x}.tanh() * 2).sin()",  # of large numbers it is ill-conditioned
            f"({x} * 0.5).exp()",
            f"{x}.tanh()",
            f"({x} * {x})",
            f"({x} * 2 + 1)",
            f"({x} * {self.outer(level)})",
            f"({x} + {self.outer(level)})",
            f"({x} / ({x}.square() + 1))",
            f"({x}.detach() * {x})",
            f"{x}.clone().mul_({x})",
            f"torch.where({x} > 0.05, {x}.tanh(), {x} * 3)",
        ]
        if dims:
            smooth += [
                f"{x}.cumsum(-1)",
                f"{x}.softmax(0)",
                f"{x}.flip(0)",
                f"({x} * {x}.sum(0, keepdim=True))",
                f"({x} - {x}.mean(-1, keepdim=True))",
                f"torch.stack([{x}, {x} * 2])[1]",
                f"torch.cat([{x}[1:], {x}[:1]])",
                f"(lambda a: (a.__setitem__(0, a[-1] * 3), a)[1])({x} * 1)",
                f"(lambda a: (a[..., 0].mul_(2), a)[1])({x} * 1)",
                f"{x}.unsqueeze(0).transpose(0, -1).transpose(0, -1)[0]",
            ]
        if dims == 2:
            smooth += [f"({x} @ {x}.t() @ {x})", f"{x}.t().contiguous().t()"]
        return self.choice(smooth)

    def of(self, x, level, dims, depth):
        if depth and self.w.chance(0.6):
            inner = self.transform(x, level, dims, depth - 1)
            if inner:
                return inner
        return self.step(x, level, dims)

    def body(self, level, dims, depth):
        """A few steps, of the variable of that level."""
        x = _VARIABLES[level]
        text = self.of(x, level, dims, depth)
        for _ in range(self.w.rng.randint(0, 1)):
            name = f"{x}{x}"
            text = f"(lambda {name}: {self.step(name, level, dims)})({text})"
        return text

    def transform(self, x, level, dims, depth):
        """A transform of a function, called with x; of x's shape."""
        if level >= len(_VARIABLES) - 1:
            return None
        v = _VARIABLES[level + 1] if level >= 0 else _VARIABLES[0]
        at = level + 1
        F = "torch.func"
        kinds = ["grad", "grad", "jvp", "vjp", "value"] + ["vmap"] * (2 * (dims > 0))
        kind = self.choice(kinds)
        if kind == "vmap":
            inner = self.body(at, dims - 1, depth)
            d = self.w.rng.randrange(dims)
            return f"torch.vmap(lambda {v}: {inner}, {d}, {d})({x})"
        inner = self.body(at, dims, depth)
        if kind == "grad":
            return f"{F}.grad(lambda {v}: ({inner}).sum())({x})"
        if kind == "value":
            call = f"{F}.grad_and_value(lambda {v}: ({inner}).sum())({x})"
            return f"(lambda p: p[0] * p[1])({call})"
        if kind == "jvp":
            part = self.w.rng.randrange(2)
            return f"{F}.jvp(lambda {v}: {inner}, ({x},), ({x} * 0.5,))[{part}]"
        return f"{F}.vjp(lambda {v}: {inner}, {x})[1]({x}.sin())[0]"


def _operand(w):
    return w.any(lambda t: is_float(t) and 0 < t.numel() <= 6)


def seen(expression):
    """Its value alone: by which nodes a transform gets there is its own affair."""
    return f"({expression}).detach().clone(memory_format=torch.contiguous_format)"


def _transform(w):
    name = _operand(w)
    if name is None:
        return None
    dims = w.tensors[name].dim()
    return Expression(w, dims, 2).transform(name, -1, dims, w.rng.randint(0, 2))


def transformed(w):
    text = _transform(w)
    return text and f"{w.new} = {seen(text)}"


def jacobian(w):
    name = _operand(w)
    if name is None or w.tensors[name].dim() > 2:
        return None
    dims = w.tensors[name].dim()
    inner = Expression(w, dims, 1).body(0, dims, w.rng.randint(0, 1))
    kind = w.rng.choice(["jacrev", "jacfwd", "hessian"])
    if kind == "hessian":
        inner = f"({inner}).sum()"
    return f"{w.new} = {seen(f'torch.func.{kind}(lambda x: {inner})({name})')}.sum(0)"


def gradient(w):
    """Of a transform, by a leaf outside of it."""
    text = _transform(w)
    leaf = w.any(lambda t: t.is_leaf and t.requires_grad)
    if text is None or leaf is None:
        return None
    found = (
        f"torch.autograd.grad(({text}).sum() + {leaf}.sum(), {leaf}, "
        "allow_unused=True, materialize_grads=True)[0]"
    )
    return f"{w.new} = {seen(found)}"


MAKERS = [(3, new), (6, transformed), (2, jacobian), (3, gradient)]
