"""Nodes, their hooks and what derivatives cannot do; warnings given once."""

from comparing import Scripts, compare_scripts

script = Scripts()


@script
def hooks_that_come_while_the_node_runs(lib, log, fails):
    def unpack(x):
        node = lib._C._current_autograd_node()
        node.register_hook(
            lambda out, given: log(given) or tuple(o and o / 2 for o in out)
        )
        return x

    x = lib.tensor([2.0], requires_grad=True)
    with lib.autograd.graph.saved_tensors_hooks(lambda x: x, unpack):
        y = x.exp()
    y.backward()
    log(x.grad)


@script
def edges_of_a_derivative_that_is_taken_once(lib, log, fails):
    class Once(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, z):
            return x * z

        @staticmethod
        @lib.autograd.function.once_differentiable
        def backward(ctx, grad):
            return grad, None, grad

    x = [lib.ones(1, requires_grad=True) for _ in range(3)]
    seed = lib.ones(1, requires_grad=True)
    ends = [x[0], x[2]]
    g, h = lib.autograd.grad(Once.apply(*x), ends, seed, create_graph=True)
    node = g.grad_fn
    while node.name() != "torch::autograd::Error":
        node = node.next_functions[0][0]
    log([n and n.name() for n, _ in node.next_functions])
    fails(lambda: g.sum().backward())


@script
def tensors_that_a_function_saves(lib, log, fails):
    class Saving(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, None)
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.saved_tensors[0]

    x = lib.tensor([3.0], requires_grad=True)
    y = Saving.apply(x)
    first, second = y.grad_fn._raw_saved_tensors
    log(isinstance(first, lib._C._autograd.SavedTensor))
    fails(lambda: second.register_hooks(lambda x: x, lambda x: x))
    first.register_hooks(lambda x: log("packed", x) or x * 2, lambda x: x * 5)
    fails(lambda: first.register_hooks(lambda x: x, lambda x: x))
    y.backward()
    log(x.grad)
    fails(lambda: y.grad_fn._raw_saved_tensors)


@script
def gradients_of_outputs_without_one(lib, log, fails):
    class Marking(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, materialize):
            out = x.clone(), x.clone(), x.clone()
            ctx.mark_non_differentiable(out[1])
            ctx._materialize_non_diff_grads = materialize
            return out

        @staticmethod
        def backward(ctx, *grads):
            log(lib._C._autograd._get_current_graph_task_keep_graph(), grads)
            return grads[0], None

    for materialize in (True, False):
        x = lib.ones(1, requires_grad=True)
        out = Marking.apply(x, materialize)[0]
        out.backward(retain_graph=True)
        out.backward()


@script
def forward_of_a_function_sees_no_tangents(lib, log, fails):
    fw = lib.autograd.forward_ad

    class Squared(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * x
            log(fw._is_fwd_grad_enabled(), fw.unpack_dual(x)[1], fw.unpack_dual(y)[1])
            return y

        @staticmethod
        def jvp(ctx, tangent):
            return tangent * 10

    with fw.dual_level():
        x = fw.make_dual(lib.ones(1), lib.ones(1))
        log(fw.unpack_dual(Squared.apply(x)), fw._is_fwd_grad_enabled())
        with fw._set_fwd_grad_enabled(False):
            log(fw.unpack_dual(x), fw.unpack_dual(x).primal is x)
        log(fw.unpack_dual(x * 2))


@script
def saved_tensor_hooks_that_backward_changes(lib, log, fails):
    hooks = lib.autograd.graph.saved_tensors_hooks

    def both(f):
        x = lib.ones(1, requires_grad=True)
        with hooks(lambda x: log("outer") or x, lambda x: x):
            with hooks(lambda x: x, lambda x: f() or x):
                y = x.sin()
            y.backward()
            x.cos()
        x.cos()
        log(x.grad)

    inner = hooks(lambda x: log("inner") or x, lambda x: x)
    both(lambda: inner.__enter__())
    both(lambda: inner.__exit__())


@script
def an_input_of_a_class_of_its_own_that_is_returned(lib, log, fails):
    class Wrapped(lib.Tensor):
        def __init__(self, data):
            super().__init__()
            self.inner = data

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            log(func.__name__)
            args = [a.inner if isinstance(a, cls) else a for a in args]
            return cls(func(*args, **(kwargs or {})))

    class Same(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad

    x = Wrapped(lib.ones(2))
    y = Same.apply(x)
    log(isinstance(y, Wrapped), y is x)
    z = Same.apply(lib.nn.Parameter(lib.ones(2)))
    log(type(z).__name__, z.requires_grad, z._is_view())


@script
def products_of_zeros(lib, log, fails):
    for f in (lib.scatter_reduce, lib.index_reduce):
        for numbers in ([0.0, 0.0], [0.0, 2.0], [3.0, 2.0]):
            x = lib.tensor([1.5], dtype=lib.float64, requires_grad=True)
            y = lib.tensor(numbers, dtype=lib.float64, requires_grad=True)
            out = f(x, 0, lib.tensor([0, 0]), y, "prod")
            g = lib.autograd.grad(out.sum(), (x, y), create_graph=True)
            log(g)
            fails(lambda: log(lib.autograd.grad(g[1][0] + 2 * g[0].sum(), (x, y))))


@script
def nothing_divided_by_zero(lib, log, fails):
    x = lib.zeros(0, 2, dtype=lib.int64)
    for by in (lib.tensor([3, 0]), lib.tensor(0)):
        log((x % by).shape, (x // by).shape, lib.fmod(x, by).shape)
        log(lib.div(x, by, rounding_mode="trunc").shape)
    fails(lambda: lib.ones(2, dtype=lib.int64) % lib.tensor([3, 0]))


@script
def attributes_that_stay(lib, log, fails):
    x = lib.ones(2)
    for name in ("data", "requires_grad", "_grad_fn", "dtype"):
        try:
            delattr(x, name)
        except (AttributeError, RuntimeError) as e:
            log(name, str(e))
    sparse = lib.sparse_coo_tensor(lib.zeros(1, 1), lib.ones(1), (1,))
    fails(lambda: setattr(x, "data", sparse))
    log("__cuda_array_interface__" in dir(x), "shape" in dir(x))


@script
def warnings_every_time(lib, log, fails):
    def both():
        for _ in range(2):
            x = lib.ones(1, requires_grad=True)
            (x * x).backward(create_graph=True)
            x.grad = None

    log(lib.is_warn_always_enabled())
    lib.set_warn_always(True)
    try:
        log.warns(both)
        log(lib.is_warn_always_enabled())
    finally:
        lib.set_warn_always(False)
    fails(lambda: lib.set_warn_always(1))
    node = lib.autograd.graph.Node
    log(issubclass(node, node), isinstance(None, node), isinstance(node, node))
    kinds = lib._C._functions
    log(issubclass(kinds.DelayedError, node), issubclass(kinds.UndefinedGrad, node))
    log(isinstance(kinds.DelayedError("no", 1), node))


@script
def gradients_of_sparse_leaves(lib, log, fails):
    at = lib.tensor([[0, 1], [1, 0]])
    dense = lib.tensor([[1.0, 2.0], [3.0, 4.0]])

    def leaf(rows=False):
        x = lib.sparse_coo_tensor(at, lib.tensor([5.0, 6.0]), (2, 2)).coalesce()
        return (x.to_sparse_csr() if rows else x).detach().requires_grad_()

    for work in (
        lambda x: lib.sparse.mm(x, dense).sum().backward(),
        lambda x: (x * 3).to_dense().sum().backward(),
        lambda x: lib.sparse.mm(x, dense).sum().backward(inputs=[x]),
    ):
        x = leaf()
        log(x.grad)
        work(x)
        work(x)
        log(x.grad.is_sparse, x.grad.to_dense(), x.grad.coalesce().indices())
        x.grad = None
        log(x.grad)
        work(x)
        log(x.grad.to_dense())
    x = leaf()
    (g,) = lib.autograd.grad(lib.sparse.mm(x, dense).sum(), x)
    log(g.to_dense(), x.grad)


@script
def the_order_in_which_nodes_will_run(lib, log, fails):
    ask = lib._C._current_graph_task_execution_order

    def order(_):
        log([node.name() for node in ask()])

    fails(ask)
    a = lib.ones(1, requires_grad=True)
    b = lib.ones(1, requires_grad=True)
    d = a.cos()
    out = b.sin() * d
    out.register_hook(order)
    fails(lambda: out.backward(retain_graph=True))
    with lib.autograd.set_multithreading_enabled(False):
        out.backward(retain_graph=True)
        lib.autograd.grad(out, [b], retain_graph=True)
        lib.autograd.grad(out, [a, d], retain_graph=True)
        x = a * 2
        roots = x.sin(), x.cos(), x.tan()
        roots[2].register_hook(order)
        lib.autograd.grad(roots, [a])
    for what in (out, 3, None):
        fails(lambda: lib._C._will_engine_execute_node(what))


@script
def views_whose_ops_are_kept(lib, log, fails):
    tracking = lib.autograd._force_original_view_tracking

    def grad_fn(view, write):
        x = lib.arange(24.0).reshape(2, 3, 4).requires_grad_() * 1
        y = view(x)
        write(x)
        (y * y).sum().backward()
        return y.grad_fn.name()

    views = [
        lambda x: x.view(6, 4),
        lambda x: x.split([1, 2], 1)[1],
        lambda x: x.transpose(0, 2).select(1, 1)[1:],
        lambda x: x.unfold(-1, 2, 1),
    ]
    for view in views:
        for mode in (True, False):
            with tracking(mode):
                log(mode, lib.autograd.is_view_replay_enabled())
                fails(lambda: log(grad_fn(view, lambda x: x.mul_(2))))
    with tracking(False):
        tracking(True)
        log(lib.autograd.is_view_replay_enabled())
    log(lib.autograd.is_view_replay_enabled())


@script.each
def test_as_torch(program):
    compare_scripts(program)
