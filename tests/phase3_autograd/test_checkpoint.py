"""torch.utils.checkpoint, both kinds, against PyTorch's."""

import contextlib
import functools
import importlib
import weakref

import pytest
from comparing import Scripts, compare_scripts

import flashlight

script = Scripts()


def checkpoints(t):
    return importlib.import_module(f"{t.__name__}.utils.checkpoint")


def leaf(t, *values):
    return t.tensor(values or (1.0, 2.0), requires_grad=True)


@script
def gradients(t, log, fails):
    checkpoint = checkpoints(t).checkpoint
    for reentrant in (True, False):
        x, w = leaf(t), leaf(t, 3.0, 4.0)
        calls = []

        def f(x, y):
            calls.append(t.is_grad_enabled())
            return (x * w).exp().sin() * y, 3

        out, three = checkpoint(f, x, x * 2, use_reentrant=reentrant)
        out.sum().backward()
        log(x.grad, w.grad, calls, three)
        x.grad = w.grad = None
        out, _ = checkpoint(f, x, t.ones(2), use_reentrant=reentrant)
        (
            out * checkpoint(lambda x: x.exp(), out, use_reentrant=reentrant)
        ).sum().backward()
        log(x.grad, w.grad)
        with t.no_grad():
            log(checkpoint(f, x, x, use_reentrant=reentrant)[0])


@script
def autocasts_come_back(t, log, fails):
    checkpoint = checkpoints(t).checkpoint
    for reentrant in (True, False):
        for enabled in (True, False):
            x, w = t.ones(2, 2, requires_grad=True), t.ones(2, 2, requires_grad=True)
            seen = []

            def f(x):
                y = x @ w
                seen.append((y.dtype, t.is_autocast_enabled("cpu")))
                return y * 2

            with t.autocast("cpu", dtype=t.bfloat16, enabled=enabled):
                out = checkpoint(f, x, use_reentrant=reentrant)
            with t.autocast("cpu", dtype=t.float16):
                out.sum().backward()
            log(seen, x.grad, w.grad)


@script
def backward_within(t, log, fails):
    module = checkpoints(t)

    def inner(x):
        with t.enable_grad():
            return t.autograd.grad(x.sin() * x, x, create_graph=True)[0]

    def kept(f):
        return functools.partial(module.checkpoint, f, use_reentrant=False)

    for early in (True, False):
        with module.set_checkpoint_early_stop(early):
            x = t.tensor(0.7, requires_grad=True)
            for f in (kept(inner), kept(kept(inner)), kept(lambda x: inner(x).exp())):
                y = f(x)
                log(y, t.autograd.grad(y, x))


@script
def what_needs_no_gradient_is_itself(t, log, fails):
    a, b = leaf(t), t.tensor([3.0, 4.0])
    seen = []

    class Keeps(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, grad):
            saved = ctx.saved_tensors
            seen.append([s is o for s, o in zip(saved, (a, b))])
            return grad * saved[1], None

    Keeps.apply(a, b).sum().backward()
    checkpoints(t).checkpoint(Keeps.apply, a, b, use_reentrant=False).sum().backward()
    with t.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        Keeps.apply(a, b).sum().backward()
    log(seen, a.grad)


@script
def random_numbers(t, log, fails):
    checkpoint = checkpoints(t).checkpoint
    for reentrant in (True, False):
        for preserve in (True, False):
            x = leaf(t)
            drawn = []

            def f(x):
                drawn.append(t.rand(2))
                return x * drawn[-1]

            t.manual_seed(0)
            out = checkpoint(f, x, use_reentrant=reentrant, preserve_rng_state=preserve)
            t.rand(3)
            out.sum().backward()
            log(drawn, x.grad, t.rand(1))


@script
def what_the_second_kind_can_do(t, log, fails):
    checkpoint = checkpoints(t).checkpoint
    x = leaf(t)

    def f(x, *, power):
        return (x * x).exp() ** power

    y = checkpoint(f, x, use_reentrant=False, power=2)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    log(g, t.autograd.grad(g.sum(), x))
    y = checkpoint(f, x, use_reentrant=False, power=2)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    log(x.grad)
    outer = checkpoint(
        lambda x: checkpoint(f, x * 2, use_reentrant=False, power=1) * x,
        x,
        use_reentrant=False,
    )
    log(t.autograd.grad(outer.sum(), x))
    seen = []

    class Context:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            seen.append(self.name)

        def __exit__(self, *exc):
            seen.append("/" + self.name)

    y = checkpoint(
        f,
        x,
        use_reentrant=False,
        context_fn=lambda: (Context("forward"), Context("again")),
        power=1,
    )
    y.sum().backward()
    log(seen)
    done = []

    def g(x):
        y = x.exp()
        done.append(1)
        return y

    for early in (True, False):
        with checkpoints(t).set_checkpoint_early_stop(early):
            y = checkpoint(g, x, use_reentrant=False)
        y.sum().backward()
        log(len(done))


@script
def errors(t, log, fails):
    c = checkpoints(t)
    x = leaf(t)
    fails(lambda: c.checkpoint(t.exp, x, use_reentrant=True, a=1))
    fails(
        lambda: c.checkpoint(
            t.exp, x, use_reentrant=True, context_fn=lambda: (None, None)
        )
    )
    fails(lambda: c.checkpoint(t.exp, x, use_reentrant=False, determinism_check="some"))
    log.warns(lambda: c.checkpoint(t.exp, x))
    log.warns(lambda: c.checkpoint(t.exp, t.ones(2), use_reentrant=True))
    y = c.checkpoint(t.exp, x, use_reentrant=True)
    fails(lambda: t.autograd.grad(y.sum(), x))
    y = c.checkpoint(lambda x: x.detach().exp(), x, use_reentrant=True)
    fails(lambda: y.sum().backward())
    fails(lambda: c.detach_variable(3))
    z = x * 1
    y = c.checkpoint(t.exp, z, use_reentrant=False)
    z.add_(1)
    fails(lambda: y.sum().backward())

    for change in ("fewer", "more", "shape"):
        first = [True]

        def f(x):
            y = x.exp()
            if change == "fewer" and not first[0]:
                return y
            if change == "more" and not first[0]:
                y = y.exp().exp()
            if change == "shape" and not first[0]:
                y = x[:1].exp()
            return y.exp()

        y = c.checkpoint(f, x, use_reentrant=False, early_stop=False)
        first[0] = False
        with pytest.raises(c.CheckpointError) as e:
            y.sum().backward()
        log(str(e.value).splitlines()[0])


@script
def sequences(t, log, fails):
    sequential = checkpoints(t).checkpoint_sequential
    for reentrant in (True, False):
        for segments in (1, 2, 3):
            x = leaf(t)
            calls = []

            def step(i):
                return lambda x: calls.append(i) or (x * (i + 1)).sin()

            y = sequential(
                [step(i) for i in range(5)], segments, x * 1, use_reentrant=reentrant
            )
            y.sum().backward()
            log(calls, x.grad)
    fails(lambda: sequential([t.exp], 1, x, use_reentrant=True, a=1))
    log.warns(lambda: sequential([t.exp], 1, x))


@pytest.mark.parity
@script
def chosen_results(t, log, fails):
    ck = checkpoints(t)
    aten = t.ops.aten

    def run(f, keep, **options):
        calls = []

        def counted(*args):
            calls.append(1)
            return f(*args)

        contexts = ck.create_selective_checkpoint_contexts
        w = t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        out = ck.checkpoint(
            counted,
            w,
            use_reentrant=False,
            context_fn=functools.partial(contexts, keep, **options),
        )
        fails(lambda: log(t.autograd.grad(out.sum(), w, retain_graph=True), calls))
        fails(lambda: t.autograd.grad(out.sum(), w))

    def policy(context, op, *args, **kwargs):
        log(str(op), context.is_recompute, context.op_output, len(args), kwargs)
        return (
            ck.CheckpointPolicy.MUST_SAVE
            if op is aten.mm.default
            else ck.CheckpointPolicy.PREFER_RECOMPUTE
        )

    run(lambda w: (w @ w.t()).sin().exp() * w, policy)
    run(lambda w: (w @ w).sin().exp(), [aten.mm.default, aten.exp.default])
    run(lambda w: (w @ w).sin().exp(), lambda *args, **kwargs: False)
    run(lambda w: sum(w[0].split(1)).exp(), lambda *args, **kwargs: True)

    def write(w):
        y = w @ w
        y.mul_(2)
        return y.cos()

    run(write, [aten.mm.default])
    run(write, [aten.mm.default], allow_cache_entry_mutation=True)
    times = []

    def longer(w):
        times.append(1)
        y = w.sin().exp()
        return y if len(times) == 1 else y.exp().cos()

    with ck.set_checkpoint_early_stop(False):
        run(longer, [aten.mm.default])
    fails(lambda: ck.create_selective_checkpoint_contexts(2))
    fails(lambda: ck.create_selective_checkpoint_contexts([2]))
    log([(p.name, p.value) for p in ck.CheckpointPolicy])


@script
def logs_and_groups(t, log, fails):
    ck = checkpoints(t)
    times = []

    def other(x):
        times.append(1)
        y = x.sin() * 2
        return y.exp() if len(times) == 1 else y.exp().cos()

    def text(**options):
        times.clear()
        x = leaf(t)
        out = ck.checkpoint(other, x, use_reentrant=False, early_stop=False, **options)
        with pytest.raises(ck.CheckpointError) as caught:
            out.sum().backward()
        return str(caught.value)

    for given, within in ((True, None), (False, True), (True, False)):
        with ck.set_checkpoint_debug_enabled(within):
            said = text(debug=given)
        log("you passed `debug=True` to checkpoint" in said)
        before, _, after = said.partition("during recomputation:")
        lines = before.split("original forward:")[-1].strip().split("\n")
        log([x for x in lines if "aten" in x], "aten.cos.default" in after)
    fails(
        lambda: ck.checkpoint(
            other, leaf(t), use_reentrant=False, debug=True, context_fn=lambda: (1, 2)
        )
    )
    calls, x = [], leaf(t)

    def two(x):
        calls.append(1)
        return x.exp(), x.sin()

    a, b = ck.checkpoint(two, x, use_reentrant=False)
    with ck.GraphExecGroup():
        log(t.autograd.grad(a.sum(), x), t.autograd.grad(b.sum(), x), calls)
        with pytest.raises(RuntimeError, match="cannot be nested"):
            ck.GraphExecGroup().__enter__()
    log(ck.GraphExecGroup._get_current_group())

    def raises(x):
        raise ValueError("lost")

    lost = contextlib.suppress(ValueError)
    fails(
        lambda: ck.checkpoint(
            raises, x, use_reentrant=False, context_fn=lambda: (lost, lost)
        )
    )


@script.each
def test_script(program):
    compare_scripts(program)


@pytest.mark.parametrize("reentrant", [True, False])
def test_values_of_the_forward_are_not_kept(reentrant):
    checkpoint = flashlight.utils.checkpoint.checkpoint
    refs = []

    def f(x):
        y = x.exp()
        refs.append(weakref.ref(y))
        return y.sin()

    x = flashlight.ones(3, requires_grad=True)
    out = checkpoint(f, x, use_reentrant=reentrant)
    assert refs[0]() is None
    out.sum().backward()
    del out
    assert all(ref() is None for ref in refs)
