"""torch.library: operators that a program defines, against PyTorch's."""

import itertools
from typing import List, Optional, Sequence, Tuple, Union

import pytest
import torch
from comparing import Scripts, compare_scripts

import flashlight

script = Scripts()
NAMES = itertools.count()


def new_name(t):
    """A namespace of its own for each run: an operator is defined once."""
    return f"test{next(NAMES)}{'theirs' if t is torch else 'ours'}"


@script
def schemas(t, log, fails):
    infer = t.library.infer_schema
    Tensor = t.Tensor

    def many(
        x: Tensor,
        n: int = 3,
        *,
        a: float = 1.5,
        s: str = "x",
        b: Optional[Tensor] = None,
        items: Sequence[Tensor],
        o: Optional[int] = None,
        d: t.dtype = t.float32,
        u: Union[int, float, bool] = 1,
        f: List[float],
        k: bool = True,
    ) -> Tuple[Tensor, Tensor]: ...

    def untyped(x: Tensor, y): ...

    def strange(x: Tensor) -> dict: ...

    def nothing(x: Tensor) -> None: ...

    def numbers(x: Tensor) -> Tuple[int, float, bool, Tensor]: ...

    log(infer(many, mutates_args=()), infer(many, mutates_args={"x"}))
    log(infer(nothing, mutates_args="unknown"), infer(numbers, mutates_args=()))
    fails(lambda: infer(untyped, mutates_args=()))
    fails(lambda: infer(nothing, mutates_args={"z"}))
    try:
        infer(strange, mutates_args=())
    except ValueError as e:
        log(str(e).split("The valid types")[0])


@script
def gradients(t, log, fails):
    ns = new_name(t)

    @t.library.custom_op(f"{ns}::sin2", mutates_args=())
    def sin2(x: t.Tensor, k: float = 2.0) -> t.Tensor:
        return x.sin() * k

    x = t.tensor([1.0, 2.0], requires_grad=True)
    log(sin2(x.detach()), sin2(x).requires_grad)
    try:
        sin2(x).sum().backward()
    except RuntimeError as e:
        log(str(e).replace(ns, "ns"))
    seen = []

    def setup(ctx, inputs, output):
        seen.append((inputs[1], tuple(ctx.needs_input_grad)[:2], output.requires_grad))
        ctx.save_for_backward(inputs[0])
        ctx.k = inputs[1]

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.cos() * ctx.k * 10, None

    sin2.register_autograd(backward, setup_context=setup)
    sin2(x).sum().backward()
    log(x.grad, seen)
    op = getattr(t.ops, ns).sin2
    log(t.autograd.grad(op(x, k=3.0).sum(), x), t.autograd.grad(op.default(x).sum(), x))
    log(op.overloads(), op.default.name() == f"{ns}::sin2", str(op).replace(ns, "ns"))
    log(t.vmap(sin2)(t.ones(2, 3)))
    fails(lambda: t.ops.nowhere.absent)
    for call in (lambda: sin2(), lambda: sin2("a"), lambda: sin2(x, 1.0, 2)):
        try:
            call()
        except RuntimeError as e:
            log(str(e).split("Declaration")[0].replace(ns, "ns"))

    @sin2.register_vmap
    def _(info, in_dims, x, k=2.0):
        seen.append((info.batch_size, in_dims[0]))
        return x.sin() * k, in_dims[0]

    log(t.vmap(sin2, 1)(t.ones(2, 3)), seen[-1])


@script
def several(t, log, fails):
    ns = new_name(t)

    @t.library.custom_op(f"{ns}::pair", mutates_args=())
    def pair(xs: List[t.Tensor], *, n: int = 2) -> Tuple[t.Tensor, t.Tensor]:
        return xs[0] * n, xs[1] + n

    def setup(ctx, inputs, keyword_only_inputs, output):
        ctx.n = keyword_only_inputs["n"]

    pair.register_autograd(lambda ctx, a, b: [a * ctx.n, b], setup_context=setup)
    x, y = (t.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    a, b = pair([x, y], n=5)
    log(a, b, t.autograd.grad((a * 2 + b * 3).sum(), (x, y)))


@script
def writes(t, log, fails):
    ns = new_name(t)

    @t.library.custom_op(f"{ns}::inc", mutates_args={"x"})
    def inc(x: t.Tensor) -> None:
        x.add_(1)

    @t.library.custom_op(f"{ns}::same", mutates_args=())
    def same(x: t.Tensor) -> t.Tensor:
        return x

    z = t.zeros(2)
    log(inc(z), z, z._version > 0)
    for call in (
        lambda: inc.register_autograd(lambda ctx, g: g),
        lambda: same(z),
    ):
        try:
            call()
        except RuntimeError as e:
            text = str(e).replace(ns, "ns")
            log(text if "formula" in text else text[text.index("The output") :])


@script
def libraries(t, log, fails):
    ns = new_name(t)
    lib = t.library.Library(ns, "DEF")
    log(
        lib.define("foo(Tensor x) -> Tensor"),
        lib.define("bar(Tensor x, *, int n=2) -> Tensor"),
    )
    lib.impl("foo", lambda x: x + 1, "CompositeExplicitAutograd")
    x = t.ones(2, requires_grad=True)
    ops = getattr(t.ops, ns)
    log(ops.foo(t.ones(2)))
    try:
        ops.bar(x)
    except NotImplementedError as e:
        log(str(e).split(".")[0].replace(ns, "ns"))
    lib.impl("bar", lambda x, *, n=2: x * n, "CompositeImplicitAutograd")
    log(t.autograd.grad(ops.bar(x, n=3).sum(), x))
    t.library.define(f"{ns}::baz", "(Tensor x) -> Tensor")

    @t.library.impl(f"{ns}::baz", "cpu")
    def _(x):
        return x * 5

    t.library.register_autograd(f"{ns}::baz", lambda ctx, g: g * 5)
    log(ops.baz(x.detach()), t.autograd.grad(ops.baz(x).sum(), x))
    try:
        t.library.Library("aten", "DEF")
    except RuntimeError as e:
        log(str(e).split("  Previous registration")[0])
    fails(lambda: t.library.Library(ns, "X"))


@script.each
def test_custom_ops(program):
    compare_scripts(program)


def test_under_transforms():
    """PyTorch has only vmap of these."""
    t = flashlight

    @t.library.custom_op("testours::cube", mutates_args=())
    def cube(x: t.Tensor) -> t.Tensor:
        return x**3

    cube.register_autograd(
        lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2,
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    )
    x = t.tensor([[1.0, 2.0], [3.0, 4.0]])
    slope = t.func.grad(lambda x: cube(x).sum())
    assert t.equal(slope(x), 3 * x**2)
    assert t.equal(t.vmap(slope)(x), 3 * x**2)
    assert t.equal(t.func.grad(lambda x: slope(x).sum())(x), 6 * x)


def test_what_is_not_supported_is_named():
    lib = flashlight.library.Library("testours", "FRAGMENT")
    lib.define("op(Tensor x) -> Tensor")
    with pytest.raises(NotImplementedError, match="'SparseCPU'"):
        lib.impl("op", lambda x: x, "SparseCPU")
    with pytest.raises(RuntimeError, match="does not exist"):
        flashlight.library.register_fake("testours::absent", lambda x: x)
