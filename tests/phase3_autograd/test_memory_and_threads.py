"""What the tape keeps, and what happens on several threads or when interrupted."""

import _thread
import gc
import signal
import threading
import time
import weakref

import pytest

import flashlight as torch


@pytest.fixture(autouse=True)
def no_collector():
    """Graphs go with their last reference, not with the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_the_graph_goes_with_its_last_tensor():
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    z = y * y
    loss = z.sum()
    refs = [weakref.ref(t) for t in (y, z, loss)]
    node = weakref.ref(z.grad_fn) if hasattr(z.grad_fn, "__weakref__") else None
    del y, z
    assert refs[0]() is not None  # saved by the product
    del loss
    assert all(ref() is None for ref in refs)
    assert node is None or node() is None


def test_backward_frees_what_was_saved():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    z = y * y
    ref = weakref.ref(y)
    del y
    z.sum().backward(retain_graph=True)
    assert ref() is not None
    z.sum().backward()
    assert ref() is None


def test_an_output_that_is_saved_is_no_cycle():
    x = torch.ones(2, requires_grad=True)
    for op in (torch.exp, torch.tanh, lambda t: t.sigmoid().relu()):
        y = op(x)
        ref = weakref.ref(y)
        del y
        assert ref() is None


def test_views_and_writes_are_no_cycle():
    x = torch.ones(4, requires_grad=True)
    y = x * 1
    v = y[1:]
    v.mul_(2)
    y[0] = v[0]
    refs = [weakref.ref(y), weakref.ref(v)]
    del y, v
    assert all(ref() is None for ref in refs)


def test_a_custom_function_frees_its_context():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * x
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, grad):
            return 2 * ctx.saved_tensors[0] * grad

    x = torch.ones(2, requires_grad=True)
    y = Square.apply(x)
    refs = [weakref.ref(y), weakref.ref(y.grad_fn)]
    y.sum().backward()
    del y
    assert all(ref() is None for ref in refs)


def test_hooks_go_with_the_graph():
    class Hook:
        def __call__(self, grad):
            pass

    x = torch.ones(2, requires_grad=True)
    hook = Hook()
    ref = weakref.ref(hook)
    y = x * 2
    y.register_hook(hook)
    y.grad_fn.register_prehook(lambda grads, hook=hook: None)
    y.retain_grad()
    del hook
    y.sum().backward()
    del y
    assert ref() is None


def watched(node):
    """A weak reference to what only the node holds: nodes have none themselves."""

    class Hook:
        def __call__(self, *args):
            pass

    hook = Hook()
    node.register_hook(hook)
    return weakref.ref(hook)


class Stops(torch.autograd.Function):
    """Raises `error` in its forward or its backward."""

    @staticmethod
    def forward(ctx, x, where, error):
        ctx.save_for_backward(x)
        ctx.where, ctx.error = where, error
        ctx.kept = x * 2
        if where == "forward":
            raise error("stop")
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        if ctx.where == "backward":
            raise ctx.error("stop")
        return grad, None, None


def failing_step(where, error):
    """Weak references to all of a step that an exception has ended."""
    x = torch.ones(3, requires_grad=True)
    y = x.exp()
    z = y * y
    refs = [weakref.ref(t) for t in (x, y, z)]
    refs += [watched(z.grad_fn), watched(y.grad_fn)]

    def hook(grad):
        raise error("stop")

    if where == "hook":
        z.register_hook(hook)
    elif where == "prehook of a node":
        y.grad_fn.register_prehook(lambda grads: hook(None))
    elif where == "hook of a leaf":
        x.register_post_accumulate_grad_hook(hook)
    refs.append(weakref.ref(hook))
    try:
        if where in ("forward", "backward"):
            z = Stops.apply(z, where, error)
            refs += [weakref.ref(z), weakref.ref(z.grad_fn)]
        elif where == "an operator":
            z = z @ torch.ones(2)
        z.sum().backward()
    except error:
        return refs
    pytest.fail("nothing was raised")


ENDS = ["forward", "backward", "an operator", "hook", "prehook of a node"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("where", [*ENDS, "hook of a leaf"])
def test_what_an_exception_ends_is_freed(where, error):
    if where == "an operator":
        error = RuntimeError
    refs = failing_step(where, error)
    assert [ref() for ref in refs] == [None] * len(refs)
    # ... and the engine goes on, in no mode that it was not in.
    assert torch.is_grad_enabled()
    assert torch._C._current_graph_task_id() == -1
    assert torch._C._current_autograd_node() is None
    x = torch.ones(2, requires_grad=True)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_a_graph_that_is_kept_can_go_on_after_an_interrupt():
    x = torch.ones(2, requires_grad=True)
    y = x * 3
    z = y * y

    def hook(grad):
        raise KeyboardInterrupt

    handle = y.register_hook(hook)
    with pytest.raises(KeyboardInterrupt):
        z.sum().backward(retain_graph=True)
    assert x.grad is None
    handle.remove()
    z.sum().backward()
    assert x.grad.tolist() == [18, 18]
    ref = weakref.ref(y)
    del y, z, handle
    assert ref() is None


def test_nodes_hooks_and_outputs_are_no_cycle():
    """Whatever Python has seen of a graph holds nothing of it."""

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            ctx.save_for_backward(x, y)
            ctx.mark_non_differentiable()
            ctx.seen = [x.shape]
            return y

        @staticmethod
        def backward(ctx, grad):
            assert len(ctx.saved_tensors) == 2
            return grad * 2

    def graph():
        x = torch.ones(3, requires_grad=True)
        y = Twice.apply(x).exp()
        y.register_hook(lambda grad: grad * 1)
        y.retain_grad()
        z = y[1:] * y[:-1]
        node = z.grad_fn
        node.register_hook(lambda grads, outputs: None)
        node.metadata["note"] = "kept by the node"
        seen = [node, node.next_functions[0][0], y.grad_fn, y.grad_fn._saved_result]
        (grad,) = torch.autograd.grad(z.sum(), x, create_graph=True)
        grad.sum().backward()
        nodes = [n for n in seen if not isinstance(n, torch.Tensor)]
        refs = [weakref.ref(t) for t in (x, y, z, grad, seen[-1])]
        return refs + [watched(n) for n in nodes]

    assert [ref() for ref in graph()] == [None] * 8


def test_cycles_through_hooks_are_collected():
    def cyclic():
        x = torch.ones(2, requires_grad=True)
        x.register_hook(lambda grad: x)
        return weakref.ref(x)

    ref = cyclic()
    gc.collect()
    assert ref() is None


def test_the_cost_of_a_long_chain_is_linear():
    def seconds(n):
        start = time.perf_counter()
        x = torch.ones((), requires_grad=True)
        y = x
        for _ in range(n):
            y = y * 1.0
        y.backward()
        assert x.grad.item() == 1
        del y
        return time.perf_counter() - start

    seconds(1000)
    assert seconds(100_000) < 60 * seconds(10_000)


def test_a_graph_that_is_dropped_without_a_backward():
    x = torch.ones((), requires_grad=True)
    factor = torch.ones(())
    y = x * factor
    saved = weakref.ref(factor)
    del factor
    for _ in range(100_000):
        y = y * 1.0
    assert saved() is not None
    del y
    assert saved() is None


def train(seed, losses):
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(8, 8, generator=generator).requires_grad_()
    x = torch.randn(16, 8, generator=generator)
    for _ in range(30):
        loss = ((x @ w).tanh() - 0.5).square().mean()
        loss.backward()
        with torch.no_grad():
            w.sub_(w.grad)
        w.grad = None
        losses.append(loss.item())


def test_threads_that_train_do_not_mix():
    alone = []
    for seed in range(4):
        alone.append([])
        train(seed, alone[-1])
    together = [[] for _ in range(4)]
    errors = []

    def run(seed):
        try:
            train(seed, together[seed])
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for a, b in zip(alone, together):
        assert a == pytest.approx(b, rel=1e-5)
        assert a[-1] < a[0]


def test_backward_of_one_graph_from_several_threads():
    x = torch.ones(100, requires_grad=True)
    y = (x * 2).square()

    def run():
        for _ in range(20):
            y.sum().backward(retain_graph=True)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert x.grad.tolist() == [80 * 8.0] * 100


def test_anomaly_mode_is_of_all_threads():
    seen = []
    with torch.autograd.set_detect_anomaly(True):
        thread = threading.Thread(
            target=lambda: seen.append(torch.is_anomaly_enabled())
        )
        thread.start()
        thread.join()
    assert seen == [True] and not torch.is_anomaly_enabled()


def test_a_part_that_is_computed_from_the_whole_copies_nothing():
    x = torch.zeros(5_000_000)  # 20 MB
    view = x[1:]
    start = time.perf_counter()
    for i in range(1000):
        x[i : i + 10].add_(1)
    assert view[500].item() == 10
    # Copies of it all would take a minute.
    assert time.perf_counter() - start < 5


def test_grad_mode_is_each_threads_own():
    seen = []

    def run():
        seen.append(torch.is_grad_enabled())
        with torch.no_grad():
            barrier.wait()
            barrier.wait()

    barrier = threading.Barrier(2)
    thread = threading.Thread(target=run)
    with torch.no_grad():
        thread.start()
        barrier.wait()
    assert torch.is_grad_enabled()
    barrier.wait()
    thread.join()
    assert seen == [True]


def test_an_interrupt_leaves_the_engine_usable():
    x = torch.ones((), requires_grad=True)
    y = x
    for _ in range(5000):
        y = y * 1.0
    y.register_hook(lambda grad: _thread.interrupt_main())
    # A process in the background ignores interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # a callback of the collector would swallow the interrupt
    try:
        with pytest.raises(KeyboardInterrupt):
            y.backward()
            end = time.monotonic() + 10
            while time.monotonic() < end:  # the signal may come late
                time.sleep(0.01)
    finally:
        gc.enable()
        signal.signal(signal.SIGINT, before)
    assert torch.is_grad_enabled()
    assert torch._C._current_graph_task_id() == -1
    z = x * 3
    z.backward()
    assert z.grad_fn is not None and torch._C._current_autograd_node() is None


def test_an_error_in_a_hook_leaves_the_engine_usable():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    handle = y.register_hook(lambda grad: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        y.sum().backward(retain_graph=True)
    handle.remove()
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]
