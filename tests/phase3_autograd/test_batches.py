"""``vmap`` against PyTorch's: random numbers, products, what has escaped, errors."""

import pytest
from comparing import Scripts, compare_scripts

import flashlight

script = Scripts()


def double(t, *shape, seed=0):
    n = 1
    for s in shape:
        n *= s
    return ((t.arange(n, dtype=t.float64) * 0.37 + seed).sin() * 1.3).reshape(shape)


def draws(t):
    F = t.nn.functional
    shared = double(t, 3).abs() / 2
    return [
        lambda x: shared.clone().bernoulli_(),
        lambda x: shared.clone().uniform_(),
        lambda x: x.clone().bernoulli_(),
        lambda x: x.clone().normal_(),
        lambda x: x.clone().exponential_(),
        lambda x: x.clone().bernoulli_(x),
        lambda x: shared.clone().bernoulli_(x),
        lambda x: t.bernoulli(x),
        lambda x: t.bernoulli(shared),
        lambda x: F.dropout(x),
        lambda x: F.dropout(shared),
        lambda x: F.alpha_dropout(x, training=True),
        lambda x: F.dropout(x, training=False),
        lambda x: F.dropout2d(x.reshape(1, 3, 1, 1).expand(1, 3, 2, 2)),
        lambda x: F.dropout2d(shared.reshape(1, 3, 1, 1).expand(1, 3, 2, 2)),
        lambda x: t.normal(x, 1.0),
        lambda x: t.normal(0.0, x),
        lambda x: t.normal(0.0, shared),
        lambda x: t.normal(shared, x),
        lambda x: t.rand_like(x),
        lambda x: t.rand_like(shared),
        lambda x: t.randint_like(x, 5),
        lambda x: t.randperm(4),
        lambda x: t.multinomial(x, 2),
        lambda x: t.multinomial(x.expand(4, 3), 2),
        lambda x: t.multinomial(shared, 2),
        lambda x: t.poisson(x),
        lambda x: t._standard_gamma(x + 0.1),
        lambda x: t.binomial(shared, x),
        lambda x: t.native_dropout(x, 0.5, True)[0],
        lambda x: t.native_dropout(x, 0.5, True)[1].bool(),
        lambda x: t.native_dropout(shared, 0.5, True)[0],
    ]


def drawn(t, log, fails, randomness):
    x = double(t, 2, 3).abs() / 2
    for f in draws(t):
        for dim, batch in ((0, x), (1, x.t())):
            t.manual_seed(5)

            def run():
                log(t.vmap(f, in_dims=dim, randomness=randomness)(batch))

            fails(run)


@script
def random_numbers_are_an_error(t, log, fails):
    drawn(t, log, fails, "error")


@script
def random_numbers_are_the_same(t, log, fails):
    drawn(t, log, fails, "same")


@script
def random_numbers_are_different(t, log, fails):
    drawn(t, log, fails, "different")


@script
def chunks_have_the_same_numbers(t, log, fails):
    x = double(t, 5, 2)
    for step in (1, 2, 5, 7):
        log(t.vmap(lambda x: t.rand_like(x), randomness="same", chunk_size=step)(x))


@script
def products(t, log, fails):
    x, y = double(t, 2, 4, 3), double(t, 2, 3, 4, seed=1)
    v = double(t, 2, 3)
    many = double(t, 2, 2, 4, 3)
    for f, a, b in [
        (t.mm, x, y),
        (t.mm, x, x),
        (t.mm, many, y),
        (t.mm, v, y),
        (t.bmm, x, y),
        (t.bmm, many, many.mT),
        (t.bmm, many[:, :1], many.mT),
        (t.bmm, many, many),
        (t.mv, x, v),
        (t.mv, x, v[:, :2]),
        (t.mv, v, v),
        (t.dot, v, v),
        (t.dot, v, v[:, :1]),
        (t.dot, v, v[:, :2]),
        (t.dot, x, x),
    ]:
        try:
            log(t.vmap(f)(a, b))
        except RuntimeError:
            log("RuntimeError")
    log(t.vmap(lambda c: t.addmm(c, x[0], y[0], beta=2, alpha=3))(double(t, 2, 4)))
    log(t.vmap(lambda a, b, c: t.addmm(c, a, b, alpha=0.5))(x, y, double(t, 2, 4, 4)))


@script
def what_has_escaped(t, log, fails):
    x, escaped = double(t, 2, 3), []
    t.vmap(lambda x: (escaped.append(x), x * 2)[1])(x)
    fails(lambda: escaped[0].sin())
    fails(lambda: escaped[0] + 1)
    log(escaped[0].shape)
    fails(lambda: t.vmap(lambda a: a.data)(x))

    def set_data(a):
        a.data = t.ones(3)
        return a

    fails(lambda: t.vmap(set_data)(x))


@script
def arguments_and_hooks(t, log, fails):
    F, x = t.func, double(t, 3)
    fails(lambda: F.grad(t.dot, argnums=(0, -2))(x, x))
    for empty in (None, ()):
        fails(lambda: F.vjp(lambda x: empty, x))
        fails(lambda: F.jvp(lambda x: empty, (x,), (x,)))
        fails(lambda: F.jacrev(lambda x: empty)(x))
        fails(lambda: F.jacfwd(lambda x: empty)(x))
    fails(lambda: F.grad(lambda x: (x.sum(), 1), has_aux=True)(x))
    fails(lambda: F.vjp(lambda x: (x, [x, "a"]), x, has_aux=True))
    fails(lambda: F.jvp(lambda x: (x, 1.0), (x,), (x,), has_aux=True))

    def retains(x):
        y = x.sin()
        y.retain_grad()
        return y.sum()

    fails(lambda: F.grad(retains)(x))

    def hooked(x):
        with t.autograd.graph.save_on_cpu():
            return x.sin().sum()

    fails(lambda: F.grad(hooked)(x))
    with t.autograd.graph.save_on_cpu():
        fails(lambda: F.vjp(t.sin, x))
    log(F.jacrev(lambda x: x[x > 0].sin(), chunk_size=1)(x))


@script
def nan_in_the_gradient_of_an_entry(t, log, fails):
    x = t.tensor([1.0, -1.0])
    with t.autograd.set_detect_anomaly(True):
        log(t.vmap(t.func.grad(lambda x: x * x))(x))
        fails(lambda: t.vmap(t.func.grad(t.sqrt))(x))


@script
def rules_of_functions(t, log, fails):
    class Both(t.autograd.Function):
        result = None

        @staticmethod
        def forward(x, y):
            return x + y[0]

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, grad):
            return grad, grad

        @classmethod
        def vmap(cls, info, in_dims, x, y):
            log(in_dims)
            return cls.result(x + y[0])

    x = double(t, 2, 3)
    for result in (
        lambda z: (z, 0),
        lambda z: z,
        lambda z: (z, 0, 0),
        lambda z: (z, (None, 0)),
    ):
        Both.result = result
        fails(lambda: log(t.vmap(Both.apply)(x, [x, x])))
    names = []
    Both.result = lambda z: (z, 0)

    class Twice(t.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    def f(x):
        y = Twice.apply(x)
        names.append(type(y.grad_fn).__name__)
        return y.sum()

    log(t.func.grad(f)(x), names)


def test_what_beta_leaves_out_may_be_nan():
    t = flashlight
    x, nan = double(t, 2, 4, 4), t.full((4, 4), float("nan"), dtype=t.float64)
    out = t.vmap(lambda a: t.addmm(nan, a, a, beta=0))(x)
    assert (out == x @ x).all()


@script
def masks_of_each_entry(t, log, fails):
    x = double(t, 2, 3, 4)
    y = double(t, 2, 3, 4, seed=1)

    def f(a, b):
        return (a.masked_scatter(a > 0, b) ** 2).sum()

    log(t.vmap(t.func.grad(f, (0, 1)))(x, y))
    log(t.vmap(t.vmap(t.func.grad(f, (0, 1))))(x, y))
    log(t.func.jacrev(t.vmap(f), 1)(x, y))
    log(t.vmap(t.func.hessian(lambda b, a: f(a, b)))(y[:, 0], x[:, 0]))
    log(t.vmap(lambda a: a.renorm(2, 0, 1.0))(x))
    log(t.vmap(t.argwhere)(t.eye(3).expand(2, 3, 3)))
    fails(lambda: t.vmap(t.argwhere)(t.tensor([[0, 1], [1, 1]])))
    fails(lambda: t.vmap(t.where)(x))
    fails(lambda: t.vmap(lambda a: a.masked_select(a > 0))(x))


@script
def what_vmap_refuses(t, log, fails):
    x = double(t, 2, 3)
    images = double(t, 2, 1, 3, 4, 4)
    fails(lambda: t.vmap(t.equal)(x, x))
    fails(lambda: t.vmap(t.allclose)(x, x))
    fails(lambda: t.vmap(t.nn.functional.one_hot)(t.tensor([[0, 1], [1, 0]])))
    log(t.vmap(lambda i: t.nn.functional.one_hot(i, 3))(t.tensor([[0, 1], [1, 0]])))
    for f in (
        lambda a: a.clone(memory_format=t.channels_last),
        lambda a: a.contiguous(memory_format=t.channels_last),
        lambda a: a + a.is_contiguous(memory_format=t.channels_last),
    ):
        fails(lambda f=f: t.vmap(f)(images))
    for name in ("mm", "bmm", "mv"):
        fails(lambda name=name: t.vmap(lambda a: getattr(a, name)(a))(x))
    fails(lambda: t.vmap(lambda a: t.randn(3, out=a), randomness="different")(x))
    fails(lambda: t.vmap(lambda a: a.as_strided([1], [1, 1]))(x))
    fails(lambda: t.vmap(lambda a: t.abs(a, out=t.zeros(3)))(x))
    log(t.vmap(lambda a: a + t.abs(-x[0], out=t.zeros_like(x[0])))(x))


def test_rules_of_what_used_to_run_entry_by_entry():
    t, F = flashlight, flashlight.nn.functional
    allowed = t._C._functorch._set_vmap_fallback_enabled
    x, y = double(t, 4, 3, 4).sigmoid(), double(t, 4, 3, 4, seed=1).sigmoid()
    scalars = x[:, 0, 0]
    calls = [
        (t.max, (x,)),
        (t.min, (x,)),
        (t.prod, (x,)),
        (t.median, (x,)),
        (t.nanmedian, (x,)),
        (lambda a: a.softmax(0), (scalars,)),
        (lambda a: a.amax(0, keepdim=True), (scalars,)),
        (lambda a: a.sort()[0], (scalars,)),
        (lambda a: a.sum(()), (scalars,)),
        (lambda a, b: a.gather(0, (b > 2).long()), (scalars, scalars)),
        (lambda a: F.pad(a, (1, 2), value=3.0), (x,)),
        (lambda a: t.fft.rfft(a).real, (x.float(),)),
        (lambda a: t.fft.fft(a, dim=0).imag, (x.float(),)),
        (lambda a, b: t.cholesky_solve(b, a), (x[:, :, :3], y)),
        *(
            (lambda a, b, f=f, r=r: f(a, b, reduction=r), (x, y))
            for f in (F.mse_loss, F.huber_loss, F.binary_cross_entropy)
            for r in ("none", "mean", "sum")
        ),
    ]
    try:
        allowed(False)
        for f, given in calls:
            each = [f(*(z[k] for z in given)) for k in range(4)]
            for got in (
                t.vmap(f)(*given),
                t.vmap(t.vmap(f))(*(z[None] for z in given))[0],
            ):
                assert t.allclose(got, t.stack(each), atol=1e-6)
        f = t.func.grad(lambda a: t.max(a))
        assert (t.vmap(f)(t.ones(2, 4)) == 0.25).all()
    finally:
        allowed(True)


@script
def what_runs_outside_of_transforms(t, log, fails):
    def f(x):
        with t._C._DisableFuncTorch():
            t.manual_seed(3)
            y = t.rand(3).double()  # of no level, and so no entry's own
        return (x * y).sum()

    x = double(t, 2, 3)
    log(t.vmap(f)(x), t.func.grad(f)(x[0]), t.vmap(t.func.grad(f))(x))
    fails(lambda: t.vmap(lambda x: x + t.rand(3))(x))


@script
def vmap_tells_of_what_has_no_rule(t, log, fails):
    x = double(t, 2, 3)
    for f in (
        lambda a: t.histc(a, 2),
        lambda a: a.renorm(2, 0, 1.0) if a.dim() > 1 else a.unsqueeze(0),
        lambda a: a.masked_scatter(a > 0, a),
        lambda a: a.argwhere() if a.dim() > 1 else a,
        lambda a: a.sum(0),
        lambda a: a.put(t.tensor([0]), a[:1]),
        lambda a: a.sort()[0] + a.cumsum(0),
    ):
        log.warns(lambda f=f: t.vmap(f)(x))
    log.warns(lambda: t.vmap(lambda a: a.renorm(2, 0, 1.0))(double(t, 2, 3, 3)))


def test_vmap_tells_of_what_it_runs_entry_by_entry():
    allowed = flashlight._C._functorch._set_vmap_fallback_enabled
    tells = flashlight._C._functorch._set_vmap_fallback_warning_enabled
    x = flashlight.arange(6.0).view(2, 3)
    try:
        tells(True)
        with pytest.warns(UserWarning, match="performance drop.*aten::histc"):
            flashlight.vmap(lambda x: flashlight.histc(x, 2))(x)
        tells(False)
        allowed(False)
        with pytest.raises(RuntimeError, match="aten::histc hit the vmap fallback"):
            flashlight.vmap(lambda x: flashlight.histc(x, 2))(x)
    finally:
        tells(True)
        allowed(True)


@script
def modules_as_functions(t, log, fails):
    from importlib import import_module

    made = import_module(f"{t.__name__}._functorch.make_functional")
    net = t.nn.Sequential(t.nn.Linear(2, 3), t.nn.BatchNorm1d(3)).eval()
    func, params, buffers = made.make_functional_with_buffers(net)
    x = t.ones(4, 2)
    log([p.shape for p in params], [b.shape for b in buffers], func.param_names)
    log(
        bool((func(params, buffers, x) == net(x)).all()),
        [p.requires_grad for p in params],
    )
    log([p.requires_grad for p in made.make_functional(net[0], True)[1]])
    fails(lambda: made.make_functional(net))
    models = [t.nn.Linear(2, 2) for _ in range(3)]
    tied = t.nn.Sequential(models[0], models[0])
    log([p.shape for p in made.make_functional(tied)[1]])
    func, params, buffers = made.combine_state_for_ensemble(models)
    out = t.vmap(func, in_dims=(0, 0, None))(params, buffers, x)
    log(bool((out[1] == models[1](x)).all()), out.shape)
    fails(lambda: made.combine_state_for_ensemble([]))
    fails(
        lambda: made.combine_state_for_ensemble([models[0], t.nn.Linear(2, 2).eval()])
    )
    fails(lambda: made.combine_state_for_ensemble([models[0], t.nn.ReLU()]))


@script
def gradients_of_entries_that_read_values(t, log, fails):
    """Derivatives and composites of one entry read its values, at any depth."""
    F, v, grad = t.func, t.vmap, t.func.grad
    x = t.tensor([[1.0, 3.0, 2.0], [4.0, 4.0, 1.0]], dtype=t.float64)
    y = t.tensor([[0.5, 3.0, 1.0], [2.0, 5.0, 1.0]], dtype=t.float64)
    log(v(grad(lambda x: x.amax()))(x), v(grad(lambda x: x.prod()))(x))
    log(v(grad(lambda x, y: (t.maximum(x, y) * x).sum()))(x, y))
    log(v(grad(lambda x, y: (t.maximum(x, y) * x).sum()), (None, 0))(x[0], y))
    log(v(v(grad(lambda x: x.prod() + x.amax())))(t.stack([x, y])))
    log(v(F.hessian(lambda x: x.prod() + x.amax() * x.sum()))(x))
    log(v(lambda x: F.jvp(lambda x: x.amax() * x, (x,), (x,))[1])(x))
    log(v(grad(lambda x: t.cdist(x[:, None], x[:, None] * 2).sum()))(x))
    log(v(grad(lambda x: x.nanmean()))(x), v(grad(t.dist))(x, y))
    log(grad(lambda x: v(lambda x: x.prod() * x.amax())(x).sum())(x))
    z = x.clone().requires_grad_()
    unit = t.eye(2, dtype=t.float64)
    log(t.autograd.grad(z.amax(1), z, unit, is_grads_batched=True))

    # What all entries share has a gradient for each of them.
    def unpacked(lu, pivots):
        return (t.lu_unpack(lu, pivots)[2] ** 2).sum()

    lu = double(t, 3, 3)
    pivots = t.tensor([[1, 2, 3], [3, 3, 3]], dtype=t.int32)
    log(v(grad(unpacked), (None, 0))(lu, pivots))


@script
def rules_that_take_masks_and_indices(t, log, fails):
    v, grad = t.vmap, t.func.grad
    x, mask = double(t, 2, 3), t.tensor([True, False, True])
    log(v(lambda x: x.masked_select(mask))(x), v(t.combinations)(x))
    log(v(grad(lambda x: (x.masked_select(mask) ** 2).sum()))(x))
    log(v(t.trace)(double(t, 2, 3, 4)), v(t.trace, 2)(double(t, 3, 4, 2)))
    index = t.tensor([[0, 1], [2, 0]])
    for value in (2.0, t.tensor(3.0, dtype=t.float64)):
        log(v(lambda x, i: x.index_fill(0, i, value))(x, index))
        log(v(lambda i: x.index_fill(1, i, value))(index))
    log(v(lambda x, i, c: x.index_fill(0, i, c))(x, index, x[:, 0]))
    log(v(grad(lambda x, i: (x.index_fill(0, i, 2.0) * x).sum()))(x, index))
    fails(lambda: v(lambda x: x.gather(0, t.zeros(2, 2, dtype=t.int64)))(x))
    fails(lambda: v(lambda x: x.masked_fill(mask, t.ones(2)))(x))


@script
def tangents_of_what_a_function_saves_of_its_outputs(t, log, fails):
    class Cube(t.autograd.Function):
        @staticmethod
        def forward(x):
            return x**3, 3 * x**2

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0], output[1])
            ctx.save_for_forward(inputs[0], output[1])

        @staticmethod
        def backward(ctx, grad, grad_slope):
            return grad * ctx.saved_tensors[1]

        @staticmethod
        def jvp(ctx, tangent):
            x, slope = ctx.saved_tensors
            return tangent * slope, 6 * x * tangent

    fw = t.autograd.forward_ad
    x, v = t.tensor([1.0, 2.0], requires_grad=True), t.tensor([1.0, 0.5])
    with fw.dual_level():
        dual = fw.make_dual(x, v)
        y = Cube.apply(dual)[0].sum()
        (grad,) = t.autograd.grad(y, dual, create_graph=True)
        log(fw.unpack_dual(grad).tangent)
    index = t.zeros(0, dtype=t.uint8)
    z = t.ones(5, requires_grad=True)
    log(t.autograd.grad(z.gather(0, index).sum(), z))


@script
def what_is_written_through_an_alias(t, log, fails):
    aliases = [
        *(lambda x: x.detach(), lambda x: x.view_as(x), lambda x: x.contiguous()),
        *(lambda x: x.reshape(-1), lambda x: x.flatten(), lambda x: x.ravel()),
        *(lambda x: x.to(t.float64), lambda x: x.type_as(x), lambda x: x.cpu()),
        *(lambda x: x.T, lambda x: x.mT, lambda x: x.mH, lambda x: x.adjoint()),
        *(lambda x: x.movedim(0, 1), lambda x: x.unflatten(1, (1, 3))),
        *(
            lambda x: x.diagonal(),
            lambda x: x.narrow(0, 0, 1),
            lambda x: x.select(0, 1),
        ),
        *(lambda x: x.split(1)[1], lambda x: x.chunk(2)[0], lambda x: x.unbind()[1]),
        *(
            lambda x: x.tensor_split(2)[0],
            lambda x: x.hsplit(3)[0],
            lambda x: x.vsplit(2)[0],
        ),
        *(lambda x: x.real, lambda x: x.conj(), lambda x: x.resolve_conj()),
        *(
            lambda x: x[0],
            lambda x: x[:, 1:],
            lambda x: x[None, ..., 0],
            lambda x: x[...],
        ),
        *(lambda x: x.squeeze(), lambda x: x.unsqueeze(0), lambda x: x.expand(2, 3)),
        *(lambda x: t.atleast_3d(x), lambda x: t.broadcast_to(x, (2, 3))),
        *(lambda x: t.einsum("ij->ji", x), lambda x: t.ops.aten.alias(x)),
        *(lambda x: x.as_strided((2,), (3,)), lambda x: x.sum_to_size(2, 3)),
        lambda x: t.nn.functional.dropout(x, training=False),
    ]
    x = double(t, 2, 2, 3)

    def written(alias):
        def f(x):
            y = x.clone()
            alias(y).mul_(2)
            alias(y).detach().add_(100)
            return y

        return f

    for alias in aliases:
        log(t.vmap(written(alias))(x))
        # Of one of several views the gradient is an error.
        fails(lambda: log(t.func.grad(lambda x: (written(alias)(x) * x).sum())(x[0])))
    for alias in aliases[:6]:
        log(t.vmap(written(alias), 2, 1)(double(t, 2, 3, 4)))


@script.each
def test_batches(program):
    compare_scripts(program)
