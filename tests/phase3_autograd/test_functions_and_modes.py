"""Custom functions, recording modes, anomaly mode and hooks on saved tensors."""

import pytest
from comparing import Scripts, compare_scripts

script = Scripts()


def leaf(t, *values):
    return t.tensor(values or (1.0, 2.0), requires_grad=True)


@script
def both_styles(t, log, fails):
    class Old(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale, y=None):
            log(ctx.needs_input_grad, ctx.saved_tensors)
            ctx.save_for_backward(x, None)
            ctx.scale = scale
            return x * x * scale

        @staticmethod
        def backward(ctx, grad):
            x, none = ctx.saved_tensors
            log(none, ctx.needs_input_grad, t.is_grad_enabled())
            return 2 * x * ctx.scale * grad, None, None

    class New(t.autograd.Function):
        @staticmethod
        def forward(x, scale=3):
            return x * x * scale, x.sign()

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.scale = inputs
            log(ctx.needs_input_grad, ctx.saved_tensors, len(output))
            ctx.mark_non_differentiable(output[1])
            ctx.save_for_backward(x)

        @staticmethod
        def vjp(ctx, grad, none):
            (x,) = ctx.saved_tensors
            log(none)
            return 2 * x * ctx.scale * grad, None

    x = leaf(t)
    y = Old.apply(x, 2)
    log(y, type(y.grad_fn).__name__, y.grad_fn.name(), y.grad_fn.scale)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    log(g, t.autograd.grad(g.sum(), x))
    z, sign = New.apply(x)
    log(z, sign.requires_grad, sign.grad_fn, z.output_nr)
    z.sum().backward()
    log(x.grad)
    fails(lambda: Old.apply(x, scale=2))
    log(New.apply(x, scale=1)[0])
    with t.no_grad():
        log(Old.apply(x, 2).requires_grad)
    log(Old.apply(x.detach(), 2).requires_grad)
    y = Old.apply(x, 2)
    y.sum().backward()
    fails(lambda: y.sum().backward())
    fails(lambda: y.grad_fn.saved_tensors)
    log(isinstance(y.grad_fn, t.autograd.graph.Node), y.grad_fn.next_functions[1:])


@script
def what_functions_may_not_do(t, log, fails):
    x = leaf(t)

    class None1(t.autograd.Function):
        pass

    fails(lambda: None1.apply(x))
    fails(lambda: None1()(x))

    class NoBackward(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    fails(lambda: NoBackward.apply(x).sum().backward())

    class Saves(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)
            return x * 2

    fails(lambda: Saves.apply(x))

    class Wrong(t.autograd.Function):
        result = None

        @staticmethod
        def forward(ctx, x, y):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return Wrong.result

    for result in ((grad_ones := t.ones(2)), (grad_ones,), (grad_ones,) * 2):
        Wrong.result = result
        fails(lambda: Wrong.apply(x, 3).sum().backward())
    Wrong.result = (grad_ones, None, None)
    fails(lambda: Wrong.apply(x, 3).sum().backward())

    class Dirty(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, which):
            if which == "lost":
                ctx.mark_dirty(x)
                x.mul_(2)
                return x * 1
            if which == "fresh":
                y = x * 2
                ctx.mark_dirty(y)
                return y
            ctx.mark_dirty(x)
            x.mul_(2)
            return (x, x * 1) if which == "two" else x

        @staticmethod
        def backward(ctx, *grads):
            return grads[0] * 2, None

    fails(lambda: Dirty.apply(x * 1, "lost"))
    fails(lambda: Dirty.apply(x, "one"))
    fails(lambda: Dirty.apply((x * 1)[0], "two"))
    log.warns(lambda: Dirty.apply(x * 1, "fresh"))
    y = x * 1
    z = Dirty.apply(y, "one")
    log(z is y, y._version, y.grad_fn is z.grad_fn, x)
    y = x * 1
    v = y[0]
    z = Dirty.apply(v, "one")
    log(z is v, z.grad_fn.name(), y.grad_fn.name(), t.autograd.grad(y.sum(), x))


@script
def outputs_that_are_inputs_or_views(t, log, fails):
    class Same(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, y=None):
            return x if y is None else (x, y)

        @staticmethod
        def backward(ctx, *grads):
            return tuple(g * 3 for g in grads)

    class View(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, fixed=False):
            y = x.view(-1)
            if fixed:
                ctx.mark_non_differentiable(y)
            return y

        @staticmethod
        def backward(ctx, grad):
            return grad.view(2, 1) * 5, None

    x = leaf(t)
    y = Same.apply(x)
    log(y is x, y._is_view(), y._base is x, y.grad_fn.name())
    y.sum().backward()
    log(x.grad)
    fails(lambda: Same.apply(x * 1).mul_(2))
    y = Same.apply(x * 1)
    y._base.mul_(2)
    fails(lambda: y.grad_fn)
    a, b = Same.apply(x * 1, x * 2)
    fails(lambda: a.mul_(2))
    z = leaf(t, (1.0,), (2.0,))
    v = View.apply(z)
    log(v._is_view(), v._base is z, v.grad_fn.name())
    v.sum().backward()
    log(z.grad)
    fails(lambda: View.apply(z * 1).mul_(2))
    f = View.apply(z, True)
    log(f.requires_grad, f.grad_fn)
    log(Same.apply(t.ones(2)).requires_grad, Same.apply(t.ones(2))._is_view())

    class Saved(t.autograd.Function):
        @staticmethod
        def forward(x):
            return x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])

        @staticmethod
        def backward(ctx, grad):
            return grad

    fails(lambda: Saved.apply(x))


@script
def several_outputs(t, log, fails):
    class Two(t.autograd.Function):
        materialize = True

        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(Two.materialize)
            return x * 2, x * 3, "text"

        @staticmethod
        def backward(ctx, a, b, c):
            log(a, b, c)
            return (a if b is None else b if a is None else a + b) * 1

    for materialize in (True, False):
        Two.materialize = materialize
        x = leaf(t)
        a, b, text = Two.apply(x)
        log(a, b, text, a.output_nr, b.output_nr)
        b.sum().backward()
        log(x.grad)

    class Own(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, grad):
            (y,) = ctx.saved_tensors
            return grad * y

    x = leaf(t)
    y = Own.apply(x)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    log(t.autograd.grad(g.sum(), x))
    y = Own.apply(x)
    y.detach().add_(1)
    fails(lambda: y.sum().backward())

    class Ints(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1, x.to(t.int64)

        @staticmethod
        def backward(ctx, a, b):
            log(b)
            return a

    a, b = Ints.apply(x)
    log(b.requires_grad)
    a.sum().backward()


@script
def once(t, log, fails):
    class Once(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sin()

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx, grad):
            return grad * 0.5

    x = leaf(t)
    log(t.autograd.grad(Once.apply(x).sum(), x))
    y = leaf(t)
    (g,) = t.autograd.grad((Once.apply(x) * y).sum(), x, create_graph=True)
    log(g, g.grad_fn.name(), g.requires_grad)
    fails(lambda: g.sum().backward())


@script
def modes(t, log, fails):
    x = leaf(t)

    def state():
        return t.is_grad_enabled(), t.is_inference_mode_enabled()

    with t.no_grad():
        log(state(), (x * 2).requires_grad)
        with t.enable_grad():
            log(state(), (x * 2).requires_grad)
        log(state())
    with t.set_grad_enabled(False):
        log(state())
    t.set_grad_enabled(False)
    log(state())
    t.set_grad_enabled(True)
    with t.inference_mode():
        log(state(), (x * 2).is_inference())
        with t.enable_grad():
            log(state(), (x * 2).requires_grad)
        with t.inference_mode(False):
            log(state(), (x * 2).requires_grad)
    with t.inference_mode(False):
        log(state())
    try:
        with t.no_grad():
            raise ValueError
    except ValueError:
        log(state())

    @t.no_grad()
    def a():
        return state()

    @t.no_grad
    def b():
        return state()

    @t.inference_mode()
    def c():
        return state()

    @t.inference_mode
    def d():
        return state()

    @t.set_grad_enabled(False)
    def e():
        return state()

    @t.enable_grad()
    def f():
        return state()

    log(a(), b(), c(), d(), e(), state(), a.__name__)
    with t.no_grad():
        log(f(), state())


@script
def modes_of_generators(t, log, fails):
    @t.no_grad()
    def generator():
        log("start", t.is_grad_enabled())
        try:
            got = yield t.is_grad_enabled()
            log("got", got, t.is_grad_enabled())
            try:
                yield 2
            except ValueError:
                log("caught", t.is_grad_enabled())
                yield 3
        finally:
            log("end", t.is_grad_enabled())
        return 4

    g = generator()
    log(next(g), t.is_grad_enabled())
    log(g.send("x"), t.is_grad_enabled())
    log(g.throw(ValueError), t.is_grad_enabled())
    try:
        next(g)
    except StopIteration as stop:
        log(stop.value)
    g = generator()
    next(g)
    g.close()
    log(t.is_grad_enabled())


@script
def anomalies(t, log, fails):
    x = leaf(t, 0.0, 4.0)

    def nan():
        (x.sqrt() * 0).sum().backward()

    nan()
    log(x.grad)
    with t.autograd.set_detect_anomaly(True):
        log(t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled())
    with t.autograd.set_detect_anomaly(True, check_nan=False):
        nan()
    log(t.is_anomaly_enabled())
    log.warns(lambda: t.autograd.detect_anomaly().__enter__())
    t.autograd.set_detect_anomaly(False)

    class Fails(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            raise ValueError("no")

    fails(lambda: Fails.apply(x).sum().backward())
    y = x.sqrt().sum()
    with t.autograd.set_detect_anomaly(True):
        log.warns(lambda: fails(lambda: y.backward()))


@script
def saved_tensors(t, log, fails):
    x = leaf(t)
    hooks = t.autograd.graph.saved_tensors_hooks

    def pack(tensor):
        log("pack", tensor, tensor.requires_grad, tensor.is_leaf)
        return tensor.detach() * 10

    def unpack(packed):
        log("unpack", packed)
        return packed

    with hooks(pack, unpack):
        y = (x * 2) * x.exp()
    y.sum().backward()
    log(x.grad)
    with hooks(lambda p: p, lambda p: 3):
        y = x * x
    fails(lambda: y.sum().backward())
    with hooks(lambda p: p.add_(1), lambda p: p):
        fails(lambda: x * t.ones(2))
    with t.autograd.graph.disable_saved_tensors_hooks("not now"):
        fails(lambda: hooks(pack, unpack).__enter__())
    with hooks(pack, unpack):
        fails(
            lambda: t.autograd.graph.disable_saved_tensors_hooks("or now").__enter__()
        )
    with t.autograd.graph.save_on_cpu():
        y = x * x
    log(t.autograd.grad(y.sum(), x))
    y = x * t.ones(2)
    y.grad_fn._raw_saved_other.register_hooks(lambda p: p * 5, lambda p: p)
    log(t.autograd.grad(y.sum(), x))
    with hooks(lambda p: p, lambda p: p):
        y = x * x
        fails(lambda: y.grad_fn._raw_saved_self.register_hooks(pack, unpack))
    with hooks(lambda p: [p], lambda p: p[0]):
        y = x * x
        (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    log(t.autograd.grad(g.sum(), x))


@script
def tangents_of_functions(t, log, fails):
    fw = t.autograd.forward_ad

    def function(forward, jvp):
        methods = {"forward": forward, "jvp": jvp, "backward": lambda ctx, *g: g}
        methods = {k: staticmethod(f) for k, f in methods.items()}
        return type("Custom", (t.autograd.Function,), methods).apply

    def leaf():
        return fw.make_dual(t.ones(4, 2, requires_grad=True), t.full((4, 2), 2.0))

    def dual():
        return fw.make_dual(t.ones(4, 2), t.full((4, 2), 3.0))

    def window():
        return leaf()[:]

    def plain():
        return t.ones(4, 2)

    def run(forward, jvp, *makers):
        def call():
            args = [make() for make in makers]
            out = function(forward, jvp)(*args)
            for o in out if isinstance(out, tuple) else (out,):
                tangent = fw.unpack_dual(o).tangent if isinstance(o, t.Tensor) else o
                log(o, tangent, o is args[0])

        with fw.dual_level():
            fails(call)

    def given(ctx, *tangents):
        log(*tangents)
        return tangents[0] * 1

    def as_they_are(ctx, *args):
        ctx.set_materialize_grads(False)
        return args[0] * 1

    # What has no tangent: zeros, or None.
    run(lambda ctx, *args: args[0] * 1, given, leaf, plain, lambda: 3, lambda: None)
    run(as_they_are, given, leaf, plain, lambda: 3)
    run(lambda ctx, x, y: x * 1, given, leaf, lambda: t.arange(3))
    # As many as there are outputs, and tensors.
    run(lambda ctx, x: (x * 1, x * 2), lambda ctx, g: g, leaf)
    run(lambda ctx, x: x * 1, lambda ctx, g: (g, g), leaf)
    run(lambda ctx, x: (x * 1, 5), lambda ctx, g: (g * 1, None), leaf)
    run(lambda ctx, x: x * 1, lambda ctx, g: 3, leaf)
    run(lambda ctx, x: x * 1, lambda ctx, g: g[:1] * 1, leaf)

    def written(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    for jvp in (
        lambda ctx, g: g.mul_(2),
        lambda ctx, g: g * 2,
        lambda ctx, g: g,
        lambda ctx, g: None,
    ):
        run(written, jvp, dual)
    for jvp in (lambda ctx, g: g.view_as(g), lambda ctx, g: g, lambda ctx, g: g * 2):
        for make in (leaf, dual):
            run(lambda ctx, x: x, jvp, make)
    run(lambda ctx, x, y: (x * 1, y), lambda ctx, g, h: (g * 1, g * 2), dual, plain)
    for make in (leaf, window):
        for jvp in (
            lambda ctx, g: g.narrow(0, 0, 2),
            lambda ctx, g: g.narrow(0, 0, 2).clone(),
            lambda ctx, g: g.narrow(0, 0, 2).clone()[:],
        ):
            run(lambda ctx, x: x.narrow(0, 0, 2), jvp, make)

    def constant(ctx, x):
        y = x * 1
        ctx.mark_non_differentiable(y)
        return y, x * 2

    run(constant, lambda ctx, g: (g * 1, g * 2), leaf)
    run(constant, lambda ctx, g: (None, g * 2), leaf)


@script
def saved_tensors_that_are_written_to(t, log, fails):
    graph = t.autograd.graph

    def leaf():
        return t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)

    def view(x):
        return x[:1]

    def whole(x):
        return x

    for saved in (whole, view):
        for wrote in (whole, view):
            for write in (
                lambda x: x.sin_(),
                lambda x: x.__setitem__(0, 7.0),
                lambda x: t.exp(x.detach(), out=x.detach()),
                lambda x: x.square_().mul_(x),
            ):
                with graph.allow_mutation_on_saved_tensors() as context:
                    a = leaf()
                    b = a * 1
                    c = (saved(b) ** 2).sum()
                    d = (saved(b) ** 3).sum()
                    write(wrote(b))
                    e = (saved(b) ** 2).sum()
                    (c + d + e).backward()
                    log(a.grad, len(context.cloned), len(context.original))
    with graph.allow_mutation_on_saved_tensors() as context:
        a = leaf()
        b = a * 1
        kept = b**2
        b.sin_()
        log(len(context.cloned), len(context.tid_to_weakhandle))
        (first,) = t.autograd.grad(kept.sum(), a, create_graph=True)
        log(first, t.autograd.grad(first.sum(), a))
        del kept, first
        log(len(context.cloned))
    with graph.allow_mutation_on_saved_tensors():
        fails(lambda: graph.allow_mutation_on_saved_tensors().__enter__())
        out = (leaf() ** 2).sum()
    fails(out.backward)
    with graph.allow_mutation_on_saved_tensors():
        fails(out.backward)


@script
def nodes_that_undo_gradients(t, log, fails):
    F = t._C._functions
    x = t.tensor([1.0, 2.0], requires_grad=True)
    log(F.UndefinedGrad()(x * 2), t.autograd.grad(x.sum(), x))
    (F.UndefinedGrad()(x * 2) + x).sum().backward()
    log(x.grad)
    y = F.DelayedError("no way back", 1)(x * 2)
    log(y)
    fails(lambda: y.sum().backward())
    log(isinstance((x * 2).grad_fn.next_functions[0][0], F.AccumulateGrad))
    fails(lambda: t.autograd.SavedTensor())
    saved = (x * x).grad_fn._raw_saved_self
    log(isinstance(saved, t.autograd.SavedTensor))
    log(t._C._autograd._saved_tensors_hooks_is_enabled())
    with t.autograd.graph.disable_saved_tensors_hooks("not now"):
        log(t._C._autograd._saved_tensors_hooks_is_enabled())
    ref = t._C._WeakTensorRef(x)
    log(ref.expired())
    log(t.autograd.is_multithreading_enabled())


@script.each
def test_script(program):
    compare_scripts(program)


def test_anomaly_mode_names_the_line_of_the_forward():
    import flashlight

    with flashlight.autograd.set_detect_anomaly(True):
        x = flashlight.tensor(0.0, requires_grad=True)
        y = x.sqrt() * 0  # this line
        with pytest.warns(UserWarning) as seen:
            with pytest.raises(RuntimeError, match="SqrtBackward0' returned nan"):
                y.backward()
    text = str(seen[0].message)
    assert text.startswith(
        "Error detected in SqrtBackward0. Traceback of forward call that caused the "
        "error:\n"
    )
    assert "y = x.sqrt() * 0  # this line" in text
