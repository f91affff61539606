"""torch.library: operators that a program defines, against PyTorch's."""

import itertools
import warnings
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


@script
def overloads(t, log, fails):
    ns = new_name(t)
    lib = t.library.Library(ns, "DEF")
    log(
        lib.define("f(Tensor x) -> Tensor"),
        lib.define("f.n(Tensor x, int n) -> Tensor"),
    )
    lib.impl("f", lambda x: x + 1, "CPU")
    lib.impl("f.n", lambda x, n: x * n, "CPU")
    f = getattr(t.ops, ns).f
    log(f.overloads(), f(t.ones(2)), f(t.ones(2), 3), f.n(t.ones(1), n=4))
    log(str(f.n).replace(ns, "ns"), f.n.name().replace(ns, "ns"), f.n._schema.name[-1])
    for call in (lambda: f(t.ones(1), "a"), lambda: f.n(t.ones(1), 1.5), lambda: f.x):
        try:
            call()
        except (RuntimeError, AttributeError) as e:
            log(type(e).__name__, str(e).split("\n")[0].replace(ns, "ns"))
    try:
        lib.define("f(Tensor x) -> Tensor")
    except RuntimeError as e:
        log("multiple times" in str(e))


@script
def kernels_under_autograd_call_what_is_below(t, log, fails):
    ns = new_name(t)
    lib = t.library.Library(ns, "FRAGMENT")
    lib.define("twice(Tensor x) -> Tensor")
    op = getattr(t.ops, ns).twice
    seen = []

    class Twice(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            seen.append("autograd")
            with t._C._AutoDispatchBelowAutograd():
                return op(x)

        @staticmethod
        def backward(ctx, grad):
            return 5 * grad

    def kernel(x):
        seen.append("cpu")
        return 2 * x

    lib.impl("twice", Twice.apply, "Autograd")
    lib.impl("twice", kernel, "CPU")
    lib.impl("twice", lambda x: t.empty_like(x), "Meta")
    x = t.ones(2, requires_grad=True)
    y = op(x)
    y.sum().backward()
    log(seen, y, x.grad, op(t.ones(1)), op(t.ones(3, device="meta")).shape)
    guard = t._C._AutoDispatchBelowAutograd()
    log(op(x).requires_grad)
    del guard
    log(op(x).requires_grad, t.is_grad_enabled(), seen)
    mode = t.utils._python_dispatch.TorchDispatchMode

    class Names(mode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(str(func).split(".")[1])
            return func(*args, **(kwargs or {}))

    seen.clear()
    with Names():
        op(x)
    log(seen)


@script
def without_a_derivative(t, log, fails):
    ns = new_name(t)
    lib = t.library.Library(ns, "FRAGMENT")
    lib.define("f(Tensor x) -> Tensor")
    lib.impl("f", lambda x: t.from_numpy(x.detach().numpy() * 2), "CPU")
    f = getattr(t.ops, ns).f
    x = t.ones(2, requires_grad=True)
    y = f(x)
    log(y.requires_grad, y)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        (x.sum() + y.sum()).backward()
    texts = [str(w.message).split(": ")[1].split(" (Trig")[0] for w in seen]
    log(x.grad, texts)
    lib.define("g(Tensor x) -> Tensor")
    lib.impl("g", lambda x: x * 3, "CPU")  # what it calls records
    x.grad = None
    getattr(t.ops, ns).g(x).sum().backward()
    log(x.grad)


@script
def a_library_takes_its_operators_with_it(t, log, fails):
    ns = new_name(t)
    with t.library._scoped_library(ns, "FRAGMENT") as lib:
        lib.define("f(Tensor x) -> Tensor")

        @t.library.impl(lib, "f", "CPU")
        def f(x):
            return x + 1

        log(getattr(t.ops, ns).f(t.ones(1)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns of it once
            lib.impl("f", lambda x: x + 2, "CPU")
        log(getattr(t.ops, ns).f(t.ones(1)))
    space = getattr(t.ops, ns)
    log(hasattr(space, "f"))
    delattr(t.ops, ns)
    fails(lambda: t.library.Library("prim", "DEF"))
    one = t.library.Library(ns, "DEF")
    fails(lambda: one.impl("f", None))
    with_key = t.library.Library(ns, "IMPL", "CPU")
    one.define("h(Tensor x) -> Tensor")
    for call in (
        lambda: with_key.impl("h", lambda x: x, "CUDA"),
        lambda: with_key.impl("other::h", lambda x: x),
    ):
        try:
            call()
        except RuntimeError as e:
            log("inconsistent with" in str(e), "does not match namespace" in str(e))
    with_key.impl("h", lambda x: x * 7)
    log(getattr(t.ops, ns).h(t.ones(1)))

    @t.library.define(one, "old(Tensor x) -> Tensor")
    def old(x):
        return x * 3

    log(getattr(t.ops, ns).old(t.ones(1)))
    fails(lambda: t.library.define("old", "(Tensor x) -> Tensor"))
    fails(lambda: t.library.define(f"{'x'}::old", "old(Tensor x) -> Tensor"))


@script
def written_arguments(t, log, fails):
    ns = new_name(t)

    @t.library.custom_op(f"{ns}::add_", mutates_args={"x"}, device_types="cpu")
    def add_(x: t.Tensor, by: float) -> None:
        x.numpy()[:] += by

    x = t.zeros(2)
    before = x._version
    add_(x, 2.0)
    log(x, x._version - before)

    @t.library.custom_op(f"{ns}::view", mutates_args=())
    def view(x: t.Tensor) -> t.Tensor:
        return x.view(-1)

    try:
        view(x)
    except RuntimeError as e:
        log(str(e).split("):")[1])
    fails(lambda: t.library.infer_schema(add_._init_fn, mutates_args="x"))

    def keyword(x: t.Tensor, *, y: t.Tensor) -> t.Tensor: ...

    try:
        t.library.custom_op(f"{ns}::keyword", keyword, mutates_args=())
    except NotImplementedError as e:
        log("kwarg-only Tensor args" in str(e))


@script
def devices(t, log, fails):
    ns = new_name(t)

    @t.library.custom_op(f"{ns}::twice", mutates_args=())
    def twice(x: t.Tensor) -> t.Tensor:
        return x * 2

    try:
        twice(t.ones(2, device="meta"))
    except RuntimeError as e:
        log(str(e).replace(ns, "ns"))
    twice.register_fake(lambda x: t.empty_like(x))
    log(twice(t.ones(2, device="meta")).shape, twice(t.ones(2)))
    twice.register_kernel("cpu", lambda x: x * 3)
    log(twice(t.ones(1)))
    with twice.set_kernel_enabled("cpu", enabled=False):
        log(twice(t.ones(1)))
    log(twice(t.ones(1)))

    @t.library.custom_op(f"{ns}::made", mutates_args=(), device_types="cpu")
    def made(n: int, device: t.device) -> t.Tensor:
        return t.full((n,), 1.0)

    log(made(2, "cpu"), made(n=1, device=t.device("cpu")))
    twice.register_autocast("cpu", t.bfloat16)
    with t.autocast("cpu", dtype=t.bfloat16):
        log(twice(t.ones(1)).dtype)


@script
def rules_of_modes(t, log, fails):
    ns = new_name(t)
    dispatch = t.utils._python_dispatch

    @t.library.custom_op(f"{ns}::twice", mutates_args=())
    def twice(x: t.Tensor) -> t.Tensor:
        return x * 2

    class Mode(dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    @twice.register_torch_dispatch(Mode)
    def rule(mode, func, types, args=(), kwargs=None):
        log(type(mode).__name__, types, len(args))
        return args[0] + 10

    with Mode():
        log(twice(t.ones(1)))
    log(twice(t.ones(1)))

    class Infra(Mode):
        @classmethod
        def is_infra_mode(cls):
            return True

    with Infra():
        log(dispatch.is_in_torch_dispatch_mode())
        log(dispatch.is_in_torch_dispatch_mode(include_infra_modes=False))

    class Wrong(dispatch.TorchDispatchMode):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    with Wrong():
        fails(lambda: t.ones(1))


@script
def tags(t, log, fails):
    ns = new_name(t)
    tag = t.Tag.needs_fixed_stride_order
    f = t.library.custom_op(
        f"{ns}::f",
        lambda x: x,
        mutates_args=(),
        schema="(Tensor x) -> Tensor",
        tags=tag,
    )
    log(tag in f._opoverload.tags, tag, t.Tag.core.name)


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
