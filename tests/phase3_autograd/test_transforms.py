"""torch.func and forward mode, against PyTorch's: values, nesting, errors."""

import importlib

import pytest
from comparing import LIBRARIES, Scripts, compare_scripts, same

import flashlight

script = Scripts()


def double(t, *shape, seed=0):
    n = 1
    for s in shape:
        n *= s
    return ((t.arange(n, dtype=t.float64) * 0.37 + seed).sin() * 1.3).reshape(shape)


@script
def gradients(t, log, fails):
    F = t.func
    x, y = double(t, 3), double(t, 3, seed=1)

    def f(x, y):
        return (x.sin() * y).sum()

    log(F.grad(f)(x, y), F.grad(f, argnums=1)(x, y), F.grad(f, argnums=(1, 0))(x, y))
    log(F.grad_and_value(f)(x, y))
    log(F.grad(lambda x: ((x * 2).sum(), {"a": x + 1}), has_aux=True)(x))
    log(F.grad_and_value(lambda x: ((x * 2).sum(), x), has_aux=True)(x))
    log(F.grad(F.grad(F.grad(t.sin)))(t.tensor(0.5)))
    log(F.grad(lambda d: (d["a"] * d["b"][0]).sum())({"a": x, "b": [y]}))
    result = F.grad(f)(x, y)
    log(result.requires_grad, type(result).__name__, result.is_leaf)
    z = x.clone().requires_grad_()
    log(F.grad(f)(z, y).requires_grad)
    log(t.autograd.grad(F.grad(f)(z, y).sum(), z))
    w = y.clone().requires_grad_()
    g = F.grad(lambda x: (x * x * w).sum())(x)
    log(g, g.requires_grad, t.autograd.grad(g.sum(), w))
    log(F.grad(lambda x: x.detach().sum() * 0 + x.sum())(x))
    log(F.grad(lambda x: t.ones(()))(x))


@script
def grad_modes(t, log, fails):
    F = t.func
    x = double(t, 3)
    with t.no_grad():
        log(F.grad(lambda x: (x * x).sum())(x))

    def f(x):
        with t.no_grad():
            c = x * x
        return (c * x).sum()

    log(F.grad(f)(x), F.grad(lambda x: F.grad(f)(x).sum())(x))

    def g(x):
        with t.no_grad():
            s = F.grad(lambda x: (x**3).sum())(x)
        return (s * x).sum()

    log(F.grad(g)(x))
    log(F.jvp(lambda x: x.detach() * x, (x,), (t.ones_like(x),)))


@script
def writes_at_levels(t, log, fails):
    F = t.func
    x, y = double(t, 2, 3), double(t, 3, seed=2)

    def f(x):
        z = x * 1
        z[0] = z[1] * 2
        z[:, 1] *= x[:, 0]
        return (z * z).sum()

    log(F.grad(f)(x), F.hessian(f)(x))

    def g(x):
        out = t.zeros(2, 3, dtype=t.float64)
        out[0] = x * 2
        out[1].copy_(x.exp())
        out.add_(1).mul_(x)
        v = out.view(-1)
        v[2:4] += x[:2]
        return out.sum()

    log(F.grad(g)(y), F.jacfwd(g)(y), F.jacrev(g)(y))
    log(F.vmap(lambda x: f(x.view(1, 3).expand(2, 3)))(x))

    def h(x):
        z = x.clone()
        z[0] = 3
        z.mul_(2)
        z.transpose_(0, 1)
        z[1] += 1
        return z

    log(
        F.vmap(h)(double(t, 4, 2, 3)),
        F.vmap(h, in_dims=2, out_dims=1)(double(t, 2, 3, 4)),
    )
    b = t.zeros(3, dtype=t.float64)
    fails(lambda: F.vmap(lambda x: b.add_(x))(x))
    fails(lambda: F.grad(lambda x: b.copy_(x).sum())(y))
    z = double(t, 2, 3)
    F.vmap(lambda x: x.mul_(2))(z)
    log(z)
    z = double(t, 2, 3)
    F.grad(lambda x: x.mul_(2).sum() if False else (x * 1).mul_(2).sum())(z)
    log(z)


@script
def pullbacks(t, log, fails):
    F = t.func
    x, y = double(t, 3), double(t, 3, seed=1)
    out, pull = F.vjp(lambda x, y: (x * y, {"s": x.sum()}), x, y)
    log(out, pull((t.ones(3, dtype=t.float64), {"s": t.tensor(2.0, dtype=t.float64)})))
    log(pull((x, {"s": y.sum()})))
    out, pull, aux = F.vjp(lambda x: (x.sin(), x + 1), x, has_aux=True)
    log(out, pull(y), aux)
    log(F.grad(lambda v: (pull(v)[0] ** 2).sum())(y))
    log(F.vmap(pull)(double(t, 4, 3)))
    z = x.clone().requires_grad_()
    _, pull = F.vjp(lambda x: x**3, z)
    log(t.autograd.grad(pull(y)[0].sum(), z))
    fails(lambda: F.vjp(lambda x: x.long(), x))
    fails(lambda: F.vjp(lambda x: 3, x))


@script
def pushforwards(t, log, fails):
    F = t.func
    x, y = double(t, 3), double(t, 3, seed=1)
    log(F.jvp(t.sin, (x,), (y,)))
    log(F.jvp(lambda x, y: (x * y, {"s": (x + y).sum()}), (x, y), (y, x)))
    log(F.jvp(lambda x: (x.exp(), x), (x,), (y,), has_aux=True))
    log(F.jvp(lambda x: F.jvp(t.exp, (x,), (y,))[1] * x, (x,), (x,)))
    log(F.grad(lambda x: F.jvp(t.exp, (x,), (y,))[1].sum())(x))
    log(F.jvp(F.grad(lambda x: (x**3).sum()), (x,), (y,)))
    log(F.jvp(lambda x: t.ones(2), (x,), (y,)))
    log(F.jvp(lambda x: x.view(3, 1).expand(3, 2).t().contiguous(), (x,), (y,)))
    out, push = F.linearize(lambda x: (x.sin(), x * x), x)
    log(out, push(y), push(x))
    fails(lambda: F.jvp(t.sin, x, y))
    fails(lambda: F.jvp(t.sin, (x,), (y, y)))
    fails(lambda: F.jvp(lambda x: 3, (x,), (y,)))
    fails(lambda: F.jvp(lambda x: t.ones(2), (x,), (y,), strict=True))


@script
def jacobians(t, log, fails):
    F = t.func
    x, y = double(t, 3), double(t, 2, seed=1)

    def f(x, y):
        return x.sin()[:, None] * y, (x.sum() * y.exp())

    for jac in (F.jacrev, F.jacfwd):
        log(jac(f)(x, y), jac(f, argnums=1)(x, y), jac(f, argnums=(0, 1))(x, y))
        log(jac(lambda x: (x * x, x + 1), has_aux=True)(x))
        log(jac(lambda x: {"a": x.sum(), "b": x * 2})(x))
        log(jac(jac(lambda x: (x**3).sum()))(x))
        log(F.vmap(jac(lambda x: x.sin() * x.sum()))(double(t, 2, 3)))
        log(jac(t.sin)(t.tensor(0.3, dtype=t.float64)))
    log(F.jacrev(f, chunk_size=2)(x, y), F.jacrev(f, chunk_size=1)(x, y))
    log(F.hessian(lambda x: (x.prod() + x.sin().sum()))(x))
    log(F.hessian(lambda x, y: (x.sum() * y).prod(), argnums=(0, 1))(x, y))
    log(F.jacfwd(F.jacrev(lambda x: x**2))(x), F.jacrev(F.jacfwd(lambda x: x**2))(x))
    fails(lambda: F.jacrev(t.sin, argnums=1)(x))
    fails(lambda: F.jacrev(t.sin, argnums=())(x))
    fails(lambda: F.jacrev(t.sin, argnums=(0, 0))(x))
    fails(lambda: F.jacrev(t.sin, chunk_size=0)(x))


@script
def batches(t, log, fails):
    v = t.vmap
    x, y, m = double(t, 4, 3), double(t, 3), double(t, 3, 5)
    log(v(t.dot)(x, x), v(t.dot, in_dims=(0, None))(x, y), v(t.mv, (None, 0))(m.t(), x))
    log(
        v(t.mm, (None, 0))(m.t(), double(t, 2, 3, 4)),
        v(t.mm)(double(t, 2, 3, 4), double(t, 2, 4, 2)),
    )
    log(v(lambda x: x.sum(), in_dims=1)(x), v(lambda x: x.sum(0, keepdim=True))(x))
    log(v(lambda x: (x, x * 2), out_dims=(0, 1))(x))
    log(v(lambda x: {"a": x[0], "b": [x[1:]]})(x))
    log(v(lambda d: d["a"] * d["b"], in_dims=({"a": 0, "b": None},))({"a": x, "b": y}))
    log(v(v(lambda a, b: a * b, (0, None)), (None, 0))(y, y))
    log(
        v(lambda x: x + t.ones(3))(x),
        v(lambda x: t.ones(2))(x),
        v(lambda x: y)(x).shape,
    )
    log(v(lambda x: x.max(0))(x)[1], v(lambda x: x.sort(descending=True))(x)[0])
    log(v(lambda x: t.cat([x, y]), out_dims=1)(x), v(lambda x: t.stack([x, y], -1))(x))
    log(v(lambda x: x[t.tensor([0, 2])])(x), v(lambda x: x[..., None, 1:])(x))
    log(v(lambda x, i: x[i])(x, t.tensor([0, 1, 2, 1])))
    log(v(lambda x: t.where(x > 0, x, 0.0))(x), v(lambda x: x.softmax(0))(x))
    log(v(lambda x: t.nn.functional.layer_norm(x, (3,)))(x))
    log(v(lambda x: x.reshape(1, 3, 1).transpose(0, 1).unfold(0, 2, 1))(x))
    log(v(lambda x: x.to(t.float32) * t.tensor(2.0, dtype=t.float64))(x).dtype)
    log(v(lambda x: x * t.ones(3, dtype=t.float64), 1)(t.ones(3, 2)).dtype)
    log(v(lambda x: x * 2, chunk_size=3)(x), v(lambda x: x * 2, chunk_size=1)(x))
    log(
        v(lambda x: x.size(0), out_dims=None)(x), v(lambda x: x.dim(), out_dims=None)(x)
    )
    log(v(lambda x: x * 3, in_dims=-1, out_dims=-1)(x))
    w = double(t, 4, 2, 3)
    log(v(t.nn.functional.linear)(x, w), v(t.nn.functional.linear, (None, 0))(x, w))
    log(v(t.nn.functional.linear)(double(t, 4, 5, 3), w, double(t, 4, 2)))
    image, kernel = double(t, 2, 3, 5, 5), double(t, 2, 4, 3, 3, 3)
    conv = t.nn.functional.conv2d
    log(v(conv)(image[:, None], kernel), v(conv, (None, 0))(image, kernel))
    log(v(conv, (0, None))(image[:, None], kernel[0]), v(conv)(image, kernel))
    log(v(t.nn.functional.max_pool2d, (0, None))(image[:, None], 2))
    log(v(t.linalg.inv)(double(t, 2, 2, 2)), v(t.linalg.det)(double(t, 2, 2, 2)))


@script
def per_sample(t, log, fails):
    F = t.func
    w, b = double(t, 2, 3), double(t, 2)
    x, y = double(t, 5, 3), t.tensor([0, 1, 1, 0, 1])

    def loss(w, b, x, y):
        z = t.nn.functional.linear(x[None], w, b)
        return t.nn.functional.cross_entropy(z, y[None])

    log(F.vmap(F.grad(loss, (0, 1)), (None, None, 0, 0))(w, b, x, y))
    log(F.grad(lambda w: F.vmap(loss, (None, None, 0, 0))(w, b, x, y).sum())(w))
    log(F.vmap(F.hessian(loss), (None, None, 0, 0))(w, b, x, y))
    model = t.nn.Sequential(
        t.nn.Conv2d(1, 2, 3), t.nn.ReLU(), t.nn.Flatten(), t.nn.Linear(8, 2)
    ).double()
    for i, p in enumerate(model.parameters()):
        p.data.copy_(double(t, *p.shape, seed=i))
    params = {k: p.detach() for k, p in model.named_parameters()}
    images = double(t, 3, 1, 4, 4)

    def model_loss(params, image, y):
        out = F.functional_call(model, params, (image[None],))
        return t.nn.functional.cross_entropy(out, y[None])

    log(F.vmap(F.grad(model_loss), (None, 0, 0))(params, images, y[:3]))


@script
def ensembles(t, log, fails):
    F = t.func
    models = [t.nn.Linear(3, 2).double() for _ in range(3)]
    for i, m in enumerate(models):
        m.weight.data.copy_(double(t, 2, 3, seed=i))
        m.bias.data.copy_(double(t, 2, seed=i))
    params, buffers = F.stack_module_state(models)
    log(params, buffers, params["weight"].requires_grad, params["weight"].is_leaf)
    x = double(t, 4, 3)
    call = lambda p, b, x: F.functional_call(models[0], (p, b), (x,))  # noqa: E731
    out = F.vmap(call, (0, 0, None))(params, buffers, x)
    log(out, t.autograd.grad(out.sum(), params["weight"]))
    log(F.vmap(call, (0, 0, 0))(params, buffers, double(t, 3, 4, 3)))
    fails(lambda: F.stack_module_state([]))
    fails(lambda: F.stack_module_state([models[0], t.nn.ReLU()]))
    fails(lambda: F.functional_call(models[0], 3, (x,)))
    fails(lambda: F.functional_call(models[0], ({"weight": x}, {"weight": x}), (x,)))


@script
def randomness(t, log, fails):
    v = t.vmap
    x = double(t, 4, 3)
    fails(lambda: v(lambda x: x + t.rand(3))(x))
    fails(lambda: v(lambda x: t.nn.functional.dropout(x))(x))
    t.manual_seed(3)
    out = v(lambda x: t.rand(3), randomness="same")(x)
    log(out, v(lambda x: t.randn(20), randomness="different")(x))
    log(v(lambda x: t.rand_like(x), randomness="different")(x))
    log(v(lambda x: t.bernoulli(x.sigmoid()), randomness="different")(x))
    log(v(lambda x: t.nn.functional.dropout(x), randomness="different")(x).shape)
    log(v(lambda x: t.randint(0, 10, (5,)), randomness="different")(x))


@script
def complaints(t, log, fails):
    v, x = t.vmap, double(t, 2, 3)

    def f(x, *rest):
        return x

    fails(lambda: v(f)())
    fails(lambda: v(f, in_dims="a")(x))
    fails(lambda: v(f, in_dims=(0, 1))(x))
    fails(lambda: v(f, in_dims=2)(x))
    fails(lambda: v(f, in_dims=(0,))(3))
    fails(lambda: v(f, in_dims=None)(x))
    fails(lambda: v(f)(x, double(t, 3)))
    fails(lambda: v(f, in_dims=(0.5,))(x))
    fails(lambda: v(lambda x: 3)(x))
    fails(lambda: v(f, out_dims=None)(x))
    fails(lambda: v(f, out_dims=(0, 0))(x))
    fails(lambda: v(f, out_dims="a")(x))
    fails(lambda: v(f, randomness="x")(x))
    fails(lambda: v(f, chunk_size=0)(x))
    fails(lambda: t.func.grad(lambda x: x)(x))
    fails(lambda: t.func.grad(lambda x: 3)(x))
    fails(lambda: t.func.grad(f)(3))
    fails(lambda: t.func.grad(f, argnums=1)(x))
    fails(lambda: t.func.grad(f, argnums="a")(x))
    fails(lambda: t.func.functionalize(f, remove="x"))


@script
def control_flow(t, log, fails):
    x = double(t, 4)
    log(t.func.grad(lambda x: x * 2 if x > 0 else x * 3)(x[1]))
    log(t.func.grad(lambda x: x * x.item())(x[1]))
    for f in (lambda x: x.item(), lambda x: x if x > 0 else -x, lambda x: x.tolist()):
        try:
            t.vmap(f)(x)
            log("no error")
        except RuntimeError:
            log("RuntimeError")


@script
def seen_from_inside(t, log, fails):
    F, x, seen = t.func, double(t, 2, 3), []

    def look(x):
        seen.append((repr(x), x.shape, x.is_leaf, x.requires_grad, x.stride()))
        return x.sum()

    F.vmap(look)(x)
    F.grad(look)(x)
    F.vmap(F.grad(look), in_dims=1)(x)
    log(seen)
    escaped = []
    F.grad(lambda x: (escaped.append(x * 2), x.sum())[1])(x)
    log(escaped[0] + 1, escaped[0].requires_grad, F.debug_unwrap(escaped[0]))
    fails(lambda: F.grad(lambda x: x.sum().backward())(x))
    fails(lambda: F.grad(lambda x: x.requires_grad_().sum())(x))
    fails(lambda: F.vmap(lambda x: x.requires_grad_().sum())(x))
    fails(lambda: F.vmap(lambda x: x.data_ptr())(x))
    fails(lambda: F.vmap(lambda x: t.add(x, x, out=t.empty(3)))(x))
    fails(lambda: F.vmap(lambda x: x.nonzero())(x))
    fails(lambda: F.vmap(lambda x: x[x > 0])(x))
    fails(lambda: F.jacrev(lambda x: x * x)(x + 1j))
    fails(lambda: F.jacfwd(lambda x: x * 1j)(x))
    b = t.zeros(3, dtype=t.float64)
    for write in (b.copy_, b.mul_, b.lt_, lambda x: b.fill_(x[0])):
        fails(lambda: F.vmap(write)(x))


@script
def custom_functions(t, log, fails):
    F = t.func

    class Cube(t.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x**3, 3 * x**2

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0], output[1])
            ctx.save_for_forward(inputs[0], output[1])

        @staticmethod
        def backward(ctx, g, g2):
            x, dx = ctx.saved_tensors
            return g * dx * 10 + g2 * 6 * x

        @staticmethod
        def jvp(ctx, x_t):
            x, dx = ctx.saved_tensors
            return x_t * dx * 100, 6 * x * x_t

    class Own(t.autograd.Function):
        @staticmethod
        def forward(x, k):
            return x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k * 7, None

        @staticmethod
        def vmap(info, in_dims, x, k):
            log(info.batch_size, info.randomness, in_dims)
            return Own.apply(x, k), in_dims[0]

    class Old(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g

    class Without(t.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = double(t, 3)
    log(F.grad(lambda x: Cube.apply(x)[0].sum())(x))
    log(F.grad(lambda x: F.grad(lambda x: Cube.apply(x)[0].sum())(x).sum())(x))
    log(F.jvp(lambda x: Cube.apply(x)[0], (x,), (t.ones_like(x),)))
    log(F.vmap(Cube.apply)(double(t, 2, 3)))
    log(F.vmap(F.grad(lambda x: Cube.apply(x)[0].sum()))(double(t, 2, 3)))
    log(F.grad(lambda x: F.vmap(lambda x: Cube.apply(x)[0])(x).sum())(double(t, 2, 3)))
    log(F.vmap(lambda x: Own.apply(x, 2.0), 1)(double(t, 2, 3)))
    log(F.grad(lambda x: F.vmap(lambda x: Own.apply(x, 2.0))(x).sum())(double(t, 2, 3)))
    log(F.grad(lambda x: Own.apply(x, 3.0).sum())(x))
    fails(lambda: F.grad(lambda x: Old.apply(x).sum())(x))
    fails(lambda: F.vmap(Without.apply)(x))
    fails(lambda: F.jvp(Without.apply, (x,), (x,)))


@script
def dual_numbers(t, log, fails):
    fw = importlib.import_module(t.__name__ + ".autograd.forward_ad")
    x, y = double(t, 2, 3), double(t, 2, 3, seed=1)
    fails(lambda: fw.make_dual(x, y))
    log(fw.unpack_dual(x))
    with fw.dual_level():
        d = fw.make_dual(x, y)
        log(
            d,
            fw.unpack_dual(d),
            fw.unpack_dual(x).tangent,
            type(fw.unpack_dual(d)).__name__,
        )
        for f in (
            lambda d: d.sin(),
            lambda d: d * 2 + x,
            lambda d: d @ d.t(),
            lambda d: d[0],
            lambda d: d.view(-1)[1:3].exp(),
            lambda d: d.sum(0),
            lambda d: d.detach(),
            lambda d: d.clone().mul_(d),
            lambda d: d > 0,
            lambda d: t.cat([d, x]),
            lambda d: d.max(1)[0],
            lambda d: d.softmax(1),
            lambda d: t.nn.functional.linear(d, x),
            lambda d: d.double().float(),
        ):
            out = f(d)
            log(out, fw.unpack_dual(out).tangent)
        z = x.clone()
        z[0] = d[1]
        log(z, fw.unpack_dual(z).tangent)
        v = z.t()
        v[1] = 4
        log(fw.unpack_dual(z).tangent, fw.unpack_dual(v).tangent)
        z.zero_()
        log(fw.unpack_dual(z).tangent)
        m = t.nn.Linear(3, 2).double()
        m.weight.data.copy_(x)
        m.bias.data.zero_()
        log(fw.unpack_dual(m(d)).tangent)
        r = x.clone().requires_grad_()
        out = fw.make_dual(r, y).sin()
        (g,) = t.autograd.grad(out.sum(), r)
        log(g, fw.unpack_dual(g).tangent, fw.unpack_dual(out).tangent)
        fails(lambda: fw.make_dual(x, y[0]))
        fails(lambda: fw.make_dual(x, y.float()))
        fails(lambda: fw.make_dual(x.long(), y))
        kept = out
    log(fw.unpack_dual(kept), fw.unpack_dual(d))
    with fw.dual_level():
        fails(lambda: fw.enter_dual_level())
        d = fw.make_dual(x, y)
        log(repr(d))
        fails(lambda: fw.make_dual(d, x))
        fails(lambda: t.add(d, x, out=t.empty(2, 3)))
    fails(lambda: fw.exit_dual_level())


@script
def how_tangents_lie(t, log, fails):
    fw = importlib.import_module(t.__name__ + ".autograd.forward_ad")
    pairs = t.zeros(2, dtype=t.complex64)
    with fw.dual_level():

        def show(x, along):
            d = fw.make_dual(x, along)
            u = fw.unpack_dual(d).tangent
            log(u is along, u.stride(), u.storage_offset(), u._is_view(), u.is_conj())
            log(u.untyped_storage().nbytes(), u.is_neg(), fw.unpack_dual(d * 2))

        wide = t.ones(2, 3)
        show(wide, t.ones(1).expand(2, 3))
        show(wide, t.ones(3, 2).t())
        show(wide[:, :2], t.ones(2, 2))
        show(t.ones(2, 2), wide[:, :2])
        show(wide[:, 1:], t.ones(2, 3)[:, 1:])
        show(wide[:, 1:], wide[:, :2])
        show(pairs.conj(), pairs + 1j)
        show(pairs, (pairs + 1j).conj())
        show(pairs.conj().imag, t.ones(2))
        show(t.ones(1, 2), t.ones(2, 1).t())
        fails(lambda: fw.make_dual(t.ones(1).expand(3), t.ones(3)))
        d = fw.make_dual(t.ones(2), t.ones(2))
        fails(lambda: fw.make_dual(t.ones(2), d))
        fails(lambda: fw.make_dual(d, t.ones(2)))
        fails(lambda: t.add(t.ones(2), 1, out=fw.make_dual(t.ones(2), t.ones(2))))
        log(fw.unpack_dual(d.clone().detach_() * 2))
    log(t.func.jvp(lambda x: (x * 2).detach_() * 3, (t.ones(2),), (t.ones(2),)))


def test_a_batched_tangent_is_written_through_a_view():
    """PyTorch has no batching rule for make_dual."""
    fw = flashlight.autograd.forward_ad
    view = flashlight.zeros(2, 2).t()
    along = flashlight.arange(8.0).view(2, 2, 2)

    def write(tangent):
        with fw.dual_level():
            view.copy_(fw.make_dual(flashlight.zeros(2, 2), tangent))
            return fw.unpack_dual(view).tangent, fw.unpack_dual(view._base).tangent

    of_view, of_base = flashlight.vmap(write)(along)
    assert of_view.tolist() == along.tolist()
    assert of_base.tolist() == along.mT.tolist()


VIEWS_IN_BACKWARD = {
    "slice": lambda t, x: (x[:2] ** 3).sum(),
    "select": lambda t, x: x[0] ** 3,
    "cat": lambda t, x: (t.cat([x[1:], x[:1]]) ** 3).sum(),
    "written": lambda t, x: (x * 1).index_fill_(0, t.tensor([0]), 2.0).pow(3).sum(),
}


@pytest.mark.parametrize("name", VIEWS_IN_BACKWARD)
def test_tangents_of_tangents_through_writes_in_backward(name):
    """A write gives the base a tangent that views made before it have, too."""
    f, found = VIEWS_IN_BACKWARD[name], []
    for t in LIBRARIES:
        x = t.tensor([1.0, 2.0, 3.0], dtype=t.float64)

        def along(g):
            return lambda y: t.func.jvp(g, (y,), (y * 0.5,))[1]

        gradient = t.func.grad(lambda y: f(t, y))
        found.append(along(along(gradient))(x).tolist())
    assert found[0] == pytest.approx(found[1]) and any(found[0])


@pytest.mark.parametrize("name", ["scatter", "index_copy", "index_put", "put", "fill"])
def test_tangents_of_what_is_written_over_are_lost(name):
    """The last of several writes to one place counts, of values and of tangents."""
    found = []
    for t in LIBRARIES:
        x, y = double(t, 4), double(t, 3, seed=1)
        at = t.tensor([1, 1, 3])

        def f(x, y, t=t, at=at):
            if name == "fill":
                return x.index_fill(0, at, y.sum())
            if name == "index_put":
                return x.index_put((at,), y)
            call = getattr(x, name)
            return call(at, y) if name == "put" else call(0, at, y)

        tangents = double(t, 4, seed=2), double(t, 3, seed=3)
        out = t.func.jvp(f, (x, y), tangents)
        found.append([z.tolist() for z in (*out, t.func.jacfwd(f, 1)(x, y))])
    assert same(found[1], found[0]) and any(found[0][1])


@pytest.mark.parametrize("kind", ["float64", "complex64"])
def test_tangents_of_factors_see_all_of_the_matrix(kind):
    found = []
    for t in LIBRARIES:
        x, y = double(t, 3, 3), double(t, 3, 3, seed=2)
        if kind == "complex64":
            x, y = x.float(), y.float()
            x, y = t.complex(x, y), t.complex(y, x)
        x = x @ x.mH + t.eye(3, dtype=x.dtype)
        for f in (
            t.linalg.cholesky,
            lambda a, t=t: t.linalg.cholesky(a, upper=True),
            lambda a, t=t: tuple(z.abs() for z in t.linalg.eigh(a)),
        ):
            along = t.func.jvp(f, (x,), (y,))[1]
            twice = t.func.jvp(lambda a: t.func.jvp(f, (a,), (y,))[1], (x,), (y,))[1]
            for z in (along, twice):
                found.append([v.tolist() for v in (z if type(z) is tuple else (z,))])
    n = len(found) // 2
    digits = 1e-8 if kind == "float64" else 1e-3
    assert same(found[n:], found[:n], digits, digits)


@script
def duals_without_elements_and_without_tensors(t, log, fails):
    from importlib import import_module

    fw = import_module(f"{t.__name__}.autograd.forward_ad")
    x = t.ones(0, 3)
    with fw.dual_level():
        dual = fw.make_dual(x, x)
        log([fw.unpack_dual(y).tangent.shape for y in (dual * 2, dual @ t.ones(3, 2))])
        log([fw.unpack_dual(y).tangent is None for y in dual.sort(0)])
        log([fw.unpack_dual(y).tangent.shape for y in t.linalg.qr(dual)])
        log(fw.unpack_dual(t.linalg.inv(dual[:, :0])).tangent.shape)
        fails(lambda: fw.unpack_dual(3))


@script.each
def test_transforms(program):
    compare_scripts(program)
