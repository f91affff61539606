"""torch.autograd.functional, against PyTorch's."""

import pytest
from comparing import Scripts, compare_scripts

script = Scripts()


def inputs(t):
    x = t.tensor([1.0, 2.0], dtype=t.float64)
    y = t.tensor([[0.5, -1.0], [2.0, 3.0]], dtype=t.float64)
    return x, y


def several(t):
    return lambda x, y: ((y * x).sin().sum(0), (x * x).sum() * y[0, 0])


def scalar(t):
    return lambda x, y: ((y * x).exp() * x).sum()


@script
def products(t, log, fails):
    F = t.autograd.functional
    x, y = inputs(t)
    out, product = F.vjp(several(t), (x, y), (x, t.ones((), dtype=t.float64)))
    log(out[0], out[1], product[0], product[1], product[0].requires_grad)
    out, product = F.jvp(several(t), (x, y), (x, y))
    log(out[0], out[1], product[0], product[1])
    log(F.vjp(lambda x: x.exp().sum(), x), F.jvp(t.exp, x[0], None))
    for f in (F.vhp, F.hvp):
        out, product = f(scalar(t), (x, y), (x * 2, y))
        log(out, product[0], product[1])
        log(f(lambda x: (x**3).sum(), x, t.ones_like(x)))
    z = x.clone().requires_grad_()
    for f in (F.vjp, F.jvp):
        _, product = f(t.exp, z, x, create_graph=True)
        log(t.autograd.grad(product.sum(), z))
    for f in (F.vhp, F.hvp):
        _, product = f(lambda x: (x**4).sum(), z, x, create_graph=True)
        log(t.autograd.grad(product.sum(), z))


@script
def whole_matrices(t, log, fails):
    F = t.autograd.functional
    x, y = inputs(t)
    log(F.jacobian(t.exp, x), F.jacobian(lambda x: x.sum(), x))
    log(F.jacobian(several(t), (x, y)))
    log(F.jacobian(lambda x: (x, x * 2), x))
    log(F.jacobian(lambda x: t.ones(2), x))
    log(F.hessian(lambda x: (x**3).sum(), x))
    log(F.hessian(scalar(t), (x, y)))
    z = x.clone().requires_grad_()
    j = F.jacobian(lambda x: x**3, z, create_graph=True)
    log(t.autograd.grad(j.sum(), z))
    h = F.hessian(lambda x: (x**4).sum(), z, create_graph=True)
    log(t.autograd.grad(h.sum(), z))


@script
def forward_mode(t, log, fails):
    F, check = t.autograd.functional, t.autograd.gradcheck
    x, y = inputs(t)
    fast = {"strategy": "forward-mode", "vectorize": True}
    log(F.jacobian(t.exp, x, **fast), F.jacobian(several(t), (x, y), **fast))
    h = {"outer_jacobian_strategy": "forward-mode", "vectorize": True}
    log(F.hessian(scalar(t), (x, y), **h), F.hessian(lambda x: (x**3).sum(), x, **h))
    fails(lambda: F.jacobian(t.exp, x, strategy="forward-mode"))
    fails(lambda: F.jacobian(t.exp, x, strict=True, **fast))
    z = x.clone().requires_grad_()
    c = t.tensor([1.0 + 2j, 0.5 - 1j], dtype=t.complex128, requires_grad=True)
    for f, a in ((t.sin, z), (lambda c: c * c.conj() * c, c)):
        log(check(f, a, check_forward_ad=True), check(f, a, check_batched_grad=True))
        log(t.autograd.gradgradcheck(f, a, check_fwd_over_rev=True))
    batched = {"check_forward_ad": True, "check_batched_forward_grad": True}
    log(check(t.sin, z, **batched))
    fails(lambda: check(t.sin, z, check_backward_ad=False))
    fails(lambda: check(t.sin, z, check_batched_forward_grad=True))

    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

        @staticmethod
        def jvp(ctx, x_t):
            return x_t * 3

    log(check(Wrong.apply, z))
    options = {"check_forward_ad": True, "raise_exception": False}
    log(check(Wrong.apply, z, **options))


@script
def errors(t, log, fails):
    F = t.autograd.functional
    x, y = inputs(t)
    fails(lambda: F.vjp(t.exp, x))
    fails(lambda: F.vjp(t.exp, x, y))
    fails(lambda: F.vjp(t.exp, x, (x, x)))
    fails(lambda: F.jvp(t.exp, x))
    fails(lambda: F.jvp(t.exp, 3, x))
    fails(lambda: F.jacobian(t.exp, (x, 3)))
    fails(lambda: F.jacobian(lambda x: 3, x))
    fails(lambda: F.hessian(t.exp, x))
    fails(lambda: F.hessian(lambda x: (x, x), x))
    fails(lambda: F.vhp(t.exp, x, x))
    fails(lambda: F.jacobian(lambda x, y: x, (x, y), strict=True))
    fails(lambda: F.jacobian(lambda x: t.ones(2), x, strict=True))


@script.each
def test_script(program):
    compare_scripts(program)


STRICT = {
    "detached": lambda a: a.detach(),
    "of a leaf of its own": lambda a: a.float().requires_grad_().clone(),
    "norm": lambda a: a.norm(),
    "linear": lambda a: a * 1,
    "one element, linear": lambda a: (3 * a).sum(),
    "one element, detached": lambda a: a.detach().sum() * 1,
    "linear, looks quadratic": lambda a: (a * a.detach()).sum(),
    "one element of a leaf": lambda a: a.detach().sum().requires_grad_().clone(),
    "quadratic": lambda a: (a * a).sum(),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", ["vjp", "jvp", "jacobian", "hessian", "vhp", "hvp"])
@pytest.mark.parametrize("function", STRICT)
def test_strict_mode(function, name):
    """What may be independent of what, and the words for it."""
    f = STRICT[function]

    def script(lib, log, fails):
        for strict in (False, True):
            for graph in (False, True):
                x = lib.tensor([0.5, 1.5, 2.5]).requires_grad_(graph)
                out = f(x)
                vector = lib.ones_like(out if name == "vjp" else x)
                args = () if name in ("jacobian", "hessian") else (vector,)
                call = getattr(lib.autograd.functional, name)
                fails(lambda: log(call(f, x, *args, strict=strict, create_graph=graph)))

    compare_scripts(script)
