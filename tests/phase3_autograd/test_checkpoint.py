"""torch.utils.checkpoint, both kinds, against PyTorch's."""

import importlib
import weakref

import pytest
from comparing import compare_scripts

import flashlight

SCRIPTS = []


def script(f):
    SCRIPTS.append(f)
    return f


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
@pytest.mark.parametrize("program", SCRIPTS, ids=lambda f: f.__name__)
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
