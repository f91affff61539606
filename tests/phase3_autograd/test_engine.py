"""backward, grad, hooks and the graph: one script for both libraries, compared."""

import pytest
from comparing import Scripts, compare_scripts

script = Scripts()


def leaf(t, *values):
    return t.tensor(values or (1.0, 2.0), requires_grad=True)


@script
def what_backward_takes(t, log, fails):
    x = leaf(t)
    fails(lambda: (x * 2).backward())
    fails(lambda: x.sum().backward(inputs=[t.tensor(1.0)]))
    fails(lambda: x.sum().backward(inputs=[]))
    fails(lambda: t.autograd.backward([x.sum(), t.tensor(1.0)]))
    fails(lambda: x.sum().backward(t.ones(2)))
    fails(lambda: x.sum().backward(3))
    fails(lambda: x.sum().backward(t.ones((), dtype=t.int64)))
    fails(lambda: t.tensor(1.0).backward())
    fails(lambda: t.autograd.backward(x.sum(), t.ones(()), grad_variables=t.ones(())))
    with t.no_grad():
        fails(lambda: (x * 2).sum().backward())
    z = t.tensor([1 + 2j], requires_grad=True)
    fails(lambda: z.sum().backward())
    fails(lambda: z.sum().backward(t.ones(())))
    (z * z.conj()).sum().backward(t.ones((), dtype=t.complex64))
    log(x.grad, z.grad)


@script
def what_grad_takes(t, log, fails):
    x, y = leaf(t), leaf(t)
    fails(lambda: t.autograd.grad(x.sum(), [t.tensor(1.0)]))
    fails(lambda: t.autograd.grad(x.sum(), [t.tensor(1.0)], allow_unused=True))
    fails(lambda: t.autograd.grad(x.sum(), [x, y]))
    log(t.autograd.grad(x.sum(), [x, y], allow_unused=True))
    log(t.autograd.grad(x.sum(), [x, y], materialize_grads=True))
    fails(
        lambda: t.autograd.grad(x.sum(), y, materialize_grads=True, allow_unused=False)
    )
    fails(lambda: t.autograd.grad(x.sum(), []))
    fails(lambda: t.autograd.grad([], x))
    fails(lambda: t.autograd.grad(x, x, 3))
    log(t.autograd.grad(x.sum(), x, [None, None]))
    log(t.autograd.grad(x, x, t.ones(2, dtype=t.float64))[0].dtype)
    z = x * 2
    log(t.autograd.grad(z.sum(), z), t.autograd.grad(z.sum(), [z, x, z]))
    log.warns(lambda: t.autograd.grad(x.sum(), x, only_inputs=False))
    u = x * y
    log(t.autograd.grad([u.sum(), (u * u).sum()], [x, y]))


@script
def batched_grads(t, log, fails):
    x = leaf(t, 1.0, 2.0, 3.0)
    y = x * x
    batch = t.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    log(t.autograd.grad(y, x, batch, is_grads_batched=True, retain_graph=True))
    (g,) = t.autograd.grad(y, x, batch, is_grads_batched=True, create_graph=True)
    log(g.requires_grad, t.autograd.grad(g.sum(), x))
    u = leaf(t)
    with pytest.raises(RuntimeError, match="interpret the first dimension"):
        t.autograd.grad(y, x, t.ones(3, 2), is_grads_batched=True)
    log(t.autograd.grad(x * 2, [x, u], batch, is_grads_batched=True, allow_unused=True))


@script
def inputs_of_backward(t, log, fails):
    x, y = leaf(t), leaf(t)
    z = x * y
    (z * z).sum().backward(inputs=[x])
    log(x.grad, y.grad)
    z = x * y
    (z * z).sum().backward(inputs=[z, y])
    log(z.grad, z.retains_grad, x.grad, y.grad)
    z = x * y
    fails(lambda: z.sum().backward(inputs=x))
    log(x.grad)


@script
def graphs_that_are_kept(t, log, fails):
    x = leaf(t)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    log(x.grad)
    fails(y.backward)
    z = (x * 2).sum()
    z.backward()
    fails(z.backward)
    (x + 1).sum().backward()
    w = (x + 1).sum()
    w.backward()
    w.backward()
    log(x.grad)
    y = (x * x).sum()
    t.autograd.grad(y, x, create_graph=True)
    log(t.autograd.grad(y, x))


@script
def where_gradients_go(t, log, fails):
    x = leaf(t)
    for _ in range(2):
        before = x.grad
        (x * x).sum().backward()
        log(x.grad is before, x.grad)
    before = x.grad
    (x * x).sum().backward(create_graph=True)
    log(x.grad is before, x.grad, x.grad.requires_grad)
    before = x.grad
    (x * x).sum().backward()
    log(x.grad is before, x.grad)
    g = t.ones(2)
    x.grad = g
    (x * x).sum().backward()
    log(x.grad is g, g)
    x.grad = t.zeros(1).expand(2)
    fails(lambda: (x * x).sum().backward())
    base = t.zeros(2, 2)
    x.grad = base[1]
    (x * x).sum().backward()
    log(base)
    own = t.ones(2)
    x.grad = None
    x.backward(own)
    own.zero_()
    log(x.grad)
    fails(lambda: setattr(x, "grad", t.ones(3)))
    fails(lambda: setattr(x, "grad", t.ones(2, dtype=t.float64)))
    fails(lambda: setattr(x, "grad", 3))
    fails(lambda: setattr(x, "grad", x))
    x.requires_grad_(False)
    log(x.grad)


@script
def retained_grads(t, log, fails):
    x = leaf(t)
    fails(t.ones(2).retain_grad)
    x.retain_grad()
    log(x.retains_grad)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    (y * y).sum().backward(retain_graph=True)
    log(y.grad)
    (y * 3).sum().backward()
    log(y.grad)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    (y * y).sum().backward()
    log(y.grad, x.grad)
    y = x * 2
    v = y[0]
    v.retain_grad()
    y.mul_(3)
    v.backward()
    log(v.grad)
    y = x * 2
    log.warns(lambda: y.grad)


@script
def tensor_hooks(t, log, fails):
    x = leaf(t)
    fails(lambda: t.ones(2).register_hook(print))
    y = x * 2
    y.register_hook(lambda g: log("a", g))
    handle = y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: log("b", g))
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    log(y.grad, x.grad)
    handle.remove()
    y.sum().backward()
    log(x.grad)

    seen = []
    y = x * 2

    def once(g):
        seen.append(len(seen))
        handle.remove()

    handle = y.register_hook(once)
    y.register_hook(lambda g: log("after", seen))
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    log(seen)

    def wrong_size(g):
        return g[0]

    for hook in (wrong_size, lambda g: g.to(t.float64), lambda g: 3):
        z = leaf(t)
        z.register_hook(hook)
        fails(lambda: (z * 2).sum().backward())
        log(z.grad)
    with leaf(t).register_hook(lambda g: None):
        pass


@script
def hooks_of_leaves(t, log, fails):
    x = leaf(t)
    x.register_hook(lambda g: log("first", g) or g * 2)
    x.register_hook(lambda g: log("second", g))
    x.register_post_accumulate_grad_hook(lambda p: log("post", p is x, p.grad))
    (x * x).sum().backward()
    log(t.autograd.grad((x * x).sum(), x))
    with t.no_grad():
        x.mul_(2)
    (x * x).sum().backward()
    y = x * 1
    fails(lambda: y.register_post_accumulate_grad_hook(print))
    fails(lambda: t.ones(2).register_post_accumulate_grad_hook(print))
    z = leaf(t)
    handle = z.register_post_accumulate_grad_hook(lambda p: 3)
    fails(lambda: z.sum().backward())
    handle.remove()
    z.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    z.sum().backward()
    log(z.grad)


@script
def hooks_and_writes(t, log, fails):
    x = leaf(t)
    y = x * 2
    y.register_hook(lambda g: log("before", g))
    hooks = y._backward_hooks
    y.mul_(3)
    log(y._backward_hooks is hooks)
    y.register_hook(lambda g: log("after", g))
    (y * 5).sum().backward()
    y = x * 2
    v = y[0]
    v.register_hook(lambda g: log("view", g))
    y.mul_(3)
    v.backward()
    y = x * 2
    v = y[0]
    y.register_hook(lambda g: log("base", g))
    v.mul_(3)
    y.sum().backward()
    y = x * 2
    y.register_hook(lambda g: log("captured", g) or g * 10)
    log(t.autograd.grad((y * y).sum(), [y], retain_graph=True))
    log(t.autograd.grad((y * y).sum(), [y, x], retain_graph=True))


@script
def node_hooks(t, log, fails):
    x = leaf(t)
    y = x * 2
    node = y.grad_fn
    post = node.register_hook(lambda i, o: log("post", i, o))
    node.register_hook(lambda i, o: (i[0] * 2, None))
    node.register_prehook(lambda o: log("pre", o))
    node.register_prehook(lambda o: (o[0] * 3,))
    y.register_hook(lambda g: log("tensor", g))
    y.sum().backward(retain_graph=True)
    log(x.grad)
    post.remove()
    y.sum().backward()
    log(x.grad, node.metadata)
    node.metadata["note"] = 1
    log(y.grad_fn.metadata)
    for method, hook in (
        ("register_hook", lambda i, o: (i[0],)),
        ("register_prehook", lambda o: (o[0], o[0])),
        ("register_prehook", lambda o: o[0]),
        ("register_hook", lambda i, o: (i[0], i[0])),
    ):
        y = x * 2
        getattr(y.grad_fn, method)(hook)
        fails(lambda: y.sum().backward())


@script
def hooks_stay_behind_views_in_place(t, log, fails):
    for change in (lambda y: y.t_(), lambda y: y.unsqueeze_(0), lambda y: y.mul_(3)):
        for is_view in (False, True):
            x = t.arange(6.0).reshape(2, 3).requires_grad_()
            y = (x * 2)[:] if is_view else x * 2
            y.retain_grad()
            y.register_hook(lambda g: log("before", g))
            change(y)
            log(y.retains_grad, y._backward_hooks is None)
            y.register_hook(lambda g: log("after", g))
            y.retain_grad()
            (y * y).sum().backward()
            log(y.grad)
    x = t.ones(2, 3, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: log("before", g))
    y.t_().mul_(2)
    y.register_hook(lambda g: log("after", g))
    y.sum().backward()


@script
def hooks_on_several(t, log, fails):
    multi = t.autograd.graph.register_multi_grad_hook
    x, y, z = leaf(t), leaf(t), leaf(t)
    handle = multi((x, y, z), lambda gs: log("all", gs))
    (x * y).sum().backward()
    (x * y * z).sum().backward()
    fails(lambda: t.autograd.grad((x * y).sum(), x))
    handle.remove()
    (x * y).sum().backward()
    handle = multi((x, y), lambda g: log("any", g), mode="any")
    (x + y).sum().backward()
    x.sum().backward()
    handle.remove()
    fails(lambda: multi((x,), print, mode="some"))


@script
def graph_attributes(t, log, fails):
    x = leaf(t)
    y = x * x
    node = y.grad_fn
    log(type(node).__name__, node.name(), node is y.grad_fn)
    log(node._saved_self is x, node._saved_other is x)
    log([(type(n).__name__, n.name(), i) for n, i in node.next_functions])
    log(node.next_functions[0][0] is node.next_functions[1][0])
    log(node.next_functions[0][0].variable is x)
    log([n for n in dir(node) if n.startswith(("_saved", "_raw"))])
    log([(list(m.shape), str(m.dtype)) for m in node._input_metadata])
    log(isinstance(node, t.autograd.graph.Node))
    s = x.sum(0, keepdim=True)
    log(s.grad_fn._saved_dim, s.grad_fn._saved_keepdim, s.grad_fn.name())
    e = x.exp()
    log(e.grad_fn._saved_result, e.grad_fn._saved_result is e)
    fails(lambda: e.grad_fn._saved_nothing)
    e.sum().backward()
    fails(lambda: e.grad_fn._saved_result)
    y.sum().backward()
    fails(lambda: node._saved_self)
    a, b = (x * 1).unbind(0)
    log(a.output_nr, b.output_nr, a.grad_fn is b.grad_fn)
    log(x.grad_fn, x.is_leaf, y.is_leaf, t.ones(2).is_leaf, y.detach().is_leaf)


@script
def nodes_may_be_called(t, log, fails):
    x, w = leaf(t), leaf(t, 3.0, 4.0)
    ones = t.ones(2)
    product, sine = x * w, x.sin()
    a, b = t.stack([x, w]).unbind()
    log(product.grad_fn(ones), sine.grad_fn(ones), a.grad_fn(ones, None))
    log(x.detach().requires_grad_().exp().grad_fn(None))
    for args in ((), (ones, ones), (1,)):
        fails(lambda: sine.grad_fn(*args))
    fails(lambda: sine.grad_fn(grad=ones))


@script
def first_gradients_with_history(t, log, fails):
    x, y = leaf(t), t.ones(2, 3).t().contiguous().t().requires_grad_()
    z = t.tensor([1.0]).expand(3).requires_grad_()
    for a in (x, y, z):
        (a * a).sum().backward(create_graph=True)
        fn = a.grad.grad_fn
        log(fn.name(), [n and n.name() for n, _ in fn.next_functions])
        log(a.grad.stride(), a.grad._version)
        (a.grad * a.grad).sum().backward()
        log(a.grad.detach())


@script
def edges(t, log, fails):
    x = leaf(t)
    y = x * 2
    edge = t.autograd.graph.get_gradient_edge(y)
    log(edge.node is y.grad_fn, edge.output_nr)
    z = (y * y).sum()
    log(t.autograd.grad(z, [edge, x], retain_graph=True))
    del y
    log(t.autograd.grad(edge, x, t.ones(2), retain_graph=True))
    fails(lambda: t.autograd.graph.get_gradient_edge(t.ones(2)))
    z.backward(inputs=[t.autograd.graph.get_gradient_edge(x)])
    log(x.grad)


@script
def changed_since_saved(t, log, fails):
    x = leaf(t)

    def attempt(forward, write):
        y = x * 1
        z = forward(y)
        write(y, z)
        fails(lambda: z.sum().backward())

    attempt(lambda y: y * y, lambda y, z: y.add_(1))
    attempt(lambda y: y * y, lambda y, z: y[0].add_(1))
    attempt(lambda y: y * y, lambda y, z: y.detach().add_(1))
    attempt(lambda y: y * y, lambda y, z: y.data.add_(1))
    attempt(lambda y: y.exp(), lambda y, z: z.detach().add_(1))
    attempt(lambda y: y.exp(), lambda y, z: y.add_(1))
    attempt(lambda y: y.view(2, 1) * y, lambda y, z: y.zero_())
    attempt(lambda y: y.sum() + y, lambda y, z: y.zero_())
    attempt(lambda y: y * y, lambda y, z: t.autograd.graph.increment_version(y))
    c = t.ones(2)
    z = x * c
    c.add_(1)
    fails(lambda: z.sum().backward())
    w = leaf(t)
    z = (w * w).sum()
    with t.no_grad():
        w.sub_(1)
    fails(z.backward)


@script
def writes_that_are_refused(t, log, fails):
    x = leaf(t)
    fails(lambda: x.add_(1))
    fails(lambda: x[0].add_(1))
    fails(lambda: x.__setitem__(0, 1.0))
    fails(lambda: x.view(2, 1).mul_(2))
    y = x * 1
    a, b = y.unbind(0)
    fails(lambda: a.mul_(2))
    with t.no_grad():
        v = y[0]
        w, _ = y.unbind(0)
    fails(lambda: v.mul_(2))
    fails(lambda: w.mul_(2))
    with t.inference_mode():
        v = y[0]
        i = t.ones(2)
    fails(lambda: v.mul_(2))
    fails(lambda: i.add_(1))
    fails(lambda: i.add_(x))
    fails(lambda: i * x)
    fails(lambda: i._version)
    fails(lambda: i.requires_grad_())
    log(y, v, (i + 1).is_inference(), i.clone().is_inference())
    a, b = y.unbind(0)
    y.mul_(2)
    fails(lambda: a.grad_fn)
    fails(lambda: a.detach_())
    with t.no_grad():
        log(x.add_(1), x.requires_grad, x.is_leaf, x._version)
    fails(lambda: y.requires_grad_(False))
    fails(lambda: t.tensor([1]).requires_grad_())
    fails(lambda: setattr(t.tensor([1]), "requires_grad", True))
    fails(lambda: t.ones(2, dtype=t.int64, requires_grad=True))


@script
def detaching(t, log, fails):
    x = leaf(t)
    y = x * 2
    d = y.detach()
    log(d.requires_grad, d._is_view(), d.grad_fn, d._version)
    d.add_(1)
    log(y, y._version)
    y.detach_()
    log(y.requires_grad, y.is_leaf, y.grad_fn)
    log(x.data.requires_grad, x.data._version)


@script
def backward_in_backward(t, log, fails):
    x, w = leaf(t), leaf(t, 3.0, 4.0)

    class Inner(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            with t.enable_grad():
                y = x.detach().requires_grad_()
                (y * w).sum().backward()
            return grad * y.grad

    Inner.apply(x).sum().backward()
    log(x.grad, w.grad)

    y = x * 2

    def hook(g):
        fails(lambda: (w * w).sum().backward())
        with t.enable_grad():
            (w * w).sum().backward()

    y.register_hook(hook)
    y.sum().backward()
    log(x.grad, w.grad)


@script
def shapes_and_dtypes_of_gradients(t, log, fails):
    x = leaf(t)
    y = t.ones(2, dtype=t.float64, requires_grad=True)
    z = x * y
    z.sum().backward()
    log(z.dtype, x.grad.dtype, y.grad.dtype)

    class Bad(t.autograd.Function):
        given = None

        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return Bad.given

    for given in (
        t.ones(3),
        t.ones(2, 2),
        (t.ones(2), t.ones(2)),
        3,
        t.ones(2).to(t.int32),
    ):
        Bad.given = given
        x.grad = None
        fails(lambda: Bad.apply(x).sum().backward())
        log(x.grad)


@script
def nodes_run_from_the_last_recorded_on(t, log, fails):
    def ran(name):
        return lambda *_: log(name)

    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        x, y = leaf(t), leaf(t)
        x.register_hook(ran("x"))
        y.register_hook(ran("y"))
        parts = {}
        for i in order:  # recorded in this order, added in another
            parts[i] = (x if i < 2 else y) * (i + 2)
            parts[i].grad_fn.register_hook(ran(f"part {i}"))
            parts[i].register_hook(ran(f"gradient of part {i}"))
        z = parts[0] + parts[1] * parts[2]
        (z.sum() + parts[order[0]].exp().sum()).backward()
        log(x.grad, y.grad)


@script
def versions_of_gradients_tell_which_were_copied(t, log, fails):
    x, y, given = leaf(t), leaf(t), t.ones(2)
    (x + y).sum().backward()
    log(x.grad._version, y.grad._version)
    x, y = leaf(t), leaf(t)
    x.backward(given)
    (y * 2).backward(given)
    log(x.grad._version, y.grad._version, given._version)
    turned = t.ones(2, 3).t().requires_grad_()
    turned.backward(t.ones(3, 2))
    log(turned.grad._version, turned.grad.stride())
    repeated = t.ones(1).expand(3).detach().requires_grad_()
    repeated.backward(t.ones(3))
    log(repeated.grad._version)
    x = t.ones(3, 4, requires_grad=True)
    (x.t() * 1).backward(t.ones(4, 3))
    log(x.grad._version, x.grad.stride())


@script
def gradients_of_each_output_of_a_node(t, log, fails):
    x = t.tensor([1.0, 2.0, 4.0, 8.0], requires_grad=True)
    first, second = (x * 2).split(2)
    loss = (first * first).sum() + (second * 3).sum()
    log(t.autograd.grad(loss, [second, first], retain_graph=True))
    log(t.autograd.grad(loss, second, retain_graph=True))
    log(t.autograd.grad(loss, [x, second]))
    variance, mean = t.var_mean(x * 2)
    log(t.autograd.grad(variance * 3 + mean * 5, [mean, variance, x]))
    values, indices = (x * 2).sort(descending=True)
    log(t.autograd.grad((values * t.arange(4.0)).sum(), [values, x]), indices)


@script
def a_view_may_not_do_what_its_view_may_not(t, log, fails):
    x = t.ones(4, requires_grad=True)
    y = x * 1
    with t.no_grad():
        made_without = y[:2]
    one_of_several = y.split(2)[0]
    fails(lambda: made_without[1:].mul_(2))
    fails(lambda: made_without.split(1)[0].mul_(2))
    fails(lambda: one_of_several.view(2, 1).mul_(2))
    with t.no_grad():
        both = one_of_several[1:]
    fails(lambda: both.mul_(2))
    y[:3][1:].mul_(2)
    log(y)


@script
def a_base_may_begin_anywhere_in_its_storage(t, log, fails):
    x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    whole = t.arange(6.0)
    base = whole[2:5].detach()
    stale = base[:2]
    base.mul_(x)
    view = base[1:]
    view.mul_(x[:2])
    log(stale, stale.grad_fn.name(), view, view.grad_fn.name(), whole)
    (stale.sum() * 2 + (base * base).sum() + view.exp().sum()).backward()
    log(x.grad)


@script
def multiple_threads_see_their_own_mode(t, log, fails):
    import threading

    seen = []
    with t.no_grad():
        thread = threading.Thread(target=lambda: seen.append(t.is_grad_enabled()))
        thread.start()
        thread.join()
        log(seen, t.is_grad_enabled())


@script.each
def test_script(program):
    compare_scripts(program)
