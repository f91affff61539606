"""gradcheck and gradgradcheck against PyTorch's: what they say, of what is wrong."""

import pytest
import torch
from comparing import Scripts, compare_scripts

script = Scripts()
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")


def inputs(t):
    t.manual_seed(0)
    return (
        t.rand(2, dtype=t.float64, requires_grad=True),
        t.rand(2, dtype=t.complex128, requires_grad=True),
    )


def hooked(f, hook=lambda g: g + 1e-2):
    """f with a gradient that a hook makes wrong."""

    def run(*args):
        y = f(*args)
        y.register_hook(hook)
        return y

    return run


def custom(t, forward=None, backward=lambda ctx, g: g * 2, jvp=None):
    def twice(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2

    methods = {"forward": forward or twice, "backward": backward, "jvp": jvp}
    methods = {k: staticmethod(f) for k, f in methods.items() if f is not None}
    return type("Custom", (t.autograd.Function,), methods).apply


@script
def right(t, log, fails):
    x, c = inputs(t)
    check, second = t.autograd.gradcheck, t.autograd.gradgradcheck
    for fast in (False, True):
        o = {"fast_mode": fast}
        for f, a in (
            (t.sin, x),
            (lambda c: c * c.conj() * c, c),
            (lambda c: c.abs() ** 2, c),
            (lambda x: t.complex(x, x * x), x),
            (lambda x, c: (x * c, x**2, c.real), (x, c)),
            (lambda x: (x * 2, (x > 0.5).long()), x),
        ):
            log(check(f, a, **o), check(f, a, check_forward_ad=True, **o))
            log(check(f, a, check_batched_grad=True, **o))
            log(second(f, a, **o), second(f, a, check_fwd_over_rev=True, **o))
            log(second(f, a, gen_non_contig_grad_outputs=True, **o))
        log(check(lambda x: x.detach() * 0, x, **o))
        log(check(lambda x: (x.detach() * 1).long(), x, **o))


@script
def wrong_gradients(t, log, fails):
    x, c = inputs(t)
    check = t.autograd.gradcheck
    for f, a in (
        (lambda x: x * 2, x),
        (lambda c: c * 2, c),
        (lambda c: c.real * 2, c),
        (lambda x: t.complex(x, x), x),
    ):
        fails(lambda: check(hooked(f), (a,)))
        log(check(hooked(f), (a,), raise_exception=False))
        log(check(hooked(f), (a,), raise_exception=False, fast_mode=True))
    fails(lambda: check(lambda x: x.detach() * 1, x))


@script
def outputs_that_change(t, log, fails):
    one = t.ones(1, dtype=t.float64, requires_grad=True)
    for fast in (False, True):
        for larger in (lambda x: t.cat([x, x]), lambda x: x.float()):

            def f(x):
                return larger(x) if bool((x >= 1).all()) else x

            fails(lambda: t.autograd.gradcheck(f, one, fast_mode=fast))


@script
def arguments(t, log, fails):
    x, c = inputs(t)
    check, second = t.autograd.gradcheck, t.autograd.gradgradcheck
    fails(lambda: check(t.sin, x, check_backward_ad=False))
    fails(lambda: check(t.sin, x, check_batched_forward_grad=True))
    o = {"check_forward_ad": True, "check_backward_ad": False}
    fails(lambda: check(t.sin, x, check_batched_grad=True, **o))
    fails(lambda: check(t.sin, t.ones(1)))
    wide = t.ones(1, dtype=t.float64).expand(3).requires_grad_()
    fails(lambda: check(t.sin, wide))
    fails(lambda: second(t.sin, x, check_rev_over_rev=False))
    o = {"check_fwd_over_rev": True, "check_rev_over_rev": False}
    fails(lambda: second(t.sin, x, **o))
    fails(lambda: second(t.sin, x, check_batched_grad=True, **o))
    single = t.ones(1, requires_grad=True)
    log.warns(lambda: fails(lambda: check(t.sin, single, atol=1.0)))


@script
def undefined_gradients(t, log, fails):
    x, c = inputs(t)
    check = t.autograd.gradcheck

    def raises(g):
        if g is None:
            raise RuntimeError("no gradient")

    def ones(ctx, g):
        return t.ones(2, dtype=t.float64) if g is None else g * 2

    log.warns(lambda: fails(lambda: check(hooked(t.sin, raises), x)))
    log.warns(lambda: fails(lambda: check(custom(t, backward=ones), x)))
    fails(lambda: check(custom(t), x))
    log(check(custom(t), x, check_undefined_grad=False))


@script
def other_rules(t, log, fails):
    x, c = inputs(t)
    check = t.autograd.gradcheck
    one = t.rand(1, dtype=t.float64, requires_grad=True)
    o = {"check_undefined_grad": False}
    fails(lambda: check(custom(t, backward=lambda ctx, g: g * 0 + 2), one, **o))
    calls = []

    def drifts(ctx, g):
        calls.append(1)
        return g * 2 * (1 + 1e-7 * len(calls))

    f = custom(t, backward=drifts)
    log(check(f, x, raise_exception=False, **o), check(f, x, nondet_tol=1e-4, **o))
    f = custom(t, jvp=lambda ctx, g: g * 3)
    for a in (x, c):
        fails(lambda: check(f, a, check_forward_ad=True, **o))
        fast = {"fast_mode": True, "raise_exception": False}
        log(check(f, a, check_forward_ad=True, **fast, **o))
    seen = []

    def looks(ctx, x, y):
        seen.append((x.requires_grad, y.requires_grad))
        return x.clone(), y.clone()

    def jvp(ctx, x_t, y_t):
        seen.append("jvp")
        return x_t, y_t

    f = custom(t, forward=looks, jvp=jvp)
    o = {"check_forward_ad": True, "check_backward_ad": False}
    for undefined in (False, True):
        for batched in (False, True):
            seen.clear()
            o |= {"check_undefined_grad": undefined}
            o |= {"check_batched_forward_grad": batched}
            two = one.detach().clone().requires_grad_()
            log(check(f, (one, two), **o), seen.count("jvp"))


@script
def older_names(t, log, fails):
    from_torch = t is torch
    G = torch.autograd.gradcheck if from_torch else t.autograd.gradcheck
    module = __import__(G.__module__, fromlist=["x"])
    a = t.rand(2, 2, dtype=t.float64, requires_grad=True)
    b = t.rand(2, 2, dtype=t.float64, requires_grad=True)

    def f(inputs):
        x, y = inputs
        return 2 * x + y, x + 2 * y

    def warned(call):
        with pytest.warns(FutureWarning, match="private API"):
            return call()

    for options in ({"target": a}, {}):
        got = warned(
            lambda: module.get_numerical_jacobian(f, (a, b), eps=1e-6, **options)
        )
        log([j.round(decimals=5) for j in got])
    got = warned(lambda: module.get_analytical_jacobian((a, b), f((a, b))[0]))
    log(*got)
    fails(lambda: warned(lambda: module.get_numerical_jacobian(f, (a, b), grad_out=2)))


@script.each
def test_gradcheck(program):
    compare_scripts(program)
