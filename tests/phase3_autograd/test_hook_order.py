"""In which order hooks run, what they see and what they change: all triples of them.

Each cell is a small program, run with both libraries: x is a leaf, y and z are made of
it, three things are registered or done in between, and then a gradient is asked for.
"""

import itertools

import pytest
from comparing import LIBRARIES, Log, same


class Program:
    """x -> y -> z and what happens on the way."""

    def __init__(self, lib):
        self.lib, self.log, self.handles = lib, Log(), []
        self.x = lib.tensor([1.0, 2.0], requires_grad=True)
        self.y = self.x * 2
        self.z = self.y * 3

    def keep(self, handle):
        self.handles.append(handle)

    def tensor_hook(self, name, factor):
        # The numbers tell how many there are: two of a kind are told apart.
        tag = f"{name} {len(self.handles)}"

        def hook(grad):
            self.log(tag, grad)
            return grad * factor

        return hook

    def x_hook(self):
        self.keep(self.x.register_hook(self.tensor_hook("x", 2)))

    def y_hook(self):
        self.keep(self.y.register_hook(self.tensor_hook("y", 3)))

    def z_hook(self):
        self.keep(self.z.register_hook(self.tensor_hook("z", 5)))

    def x_post(self):
        tag = f"post {len(self.handles)}"
        hook = self.x.register_post_accumulate_grad_hook
        self.keep(hook(lambda p: self.log(tag, p.grad)))

    def y_retain(self):
        self.y.retain_grad()

    def node_prehook(self, node, name):
        tag = f"{name} {len(self.handles)}"

        def hook(grads):
            self.log(tag, grads)
            return tuple(g * 7 for g in grads)

        self.keep(node.register_prehook(hook))

    def node_hook(self, node, name):
        tag = f"{name} {len(self.handles)}"

        def hook(inputs, outputs):
            self.log(tag, inputs, outputs)
            return tuple(None if g is None else g * 11 for g in inputs)

        self.keep(node.register_hook(hook))

    def y_node_pre(self):
        self.node_prehook(self.y.grad_fn, "y node pre")

    def y_node_post(self):
        self.node_hook(self.y.grad_fn, "y node post")

    def x_node(self):
        return self.lib.autograd.graph.get_gradient_edge(self.x).node

    def x_node_pre(self):
        self.node_prehook(self.x_node(), "x node pre")

    def x_node_post(self):
        tag = f"x node post {len(self.handles)}"
        self.keep(self.x_node().register_hook(lambda i, o: self.log(tag, i, o)))

    def all_of(self):
        tag = f"all {len(self.handles)}"
        register = self.lib.autograd.graph.register_multi_grad_hook
        self.keep(register((self.x, self.y), lambda grads: self.log(tag, grads)))

    def any_of(self):
        tag = f"any {len(self.handles)}"
        register = self.lib.autograd.graph.register_multi_grad_hook
        hook = register((self.x, self.y), lambda g: self.log(tag, g), mode="any")
        self.keep(hook)

    def write(self):
        self.y.mul_(13)
        self.z = self.y * 3

    def write_to_view(self):
        self.y[:1].mul_(17)
        self.z = self.y * 3

    def remove(self):
        if self.handles:
            self.handles.pop(0).remove()


DONE = (
    "x_hook y_hook z_hook x_post y_retain y_node_pre y_node_post x_node_pre "
    "x_node_post all_of any_of write write_to_view remove"
).split()


def backward(p, **kwargs):
    p.z.sum().backward(**kwargs)


def gradients(p, inputs, **kwargs):
    p.log("gradients", p.lib.autograd.grad(p.z.sum(), inputs, **kwargs))


ASKED = {
    "backward": backward,
    "backward to x": lambda p: backward(p, inputs=[p.x]),
    "backward to y": lambda p: backward(p, inputs=[p.y]),
    "backward to both": lambda p: backward(p, inputs=[p.x, p.y]),
    "grad of x": lambda p: gradients(p, [p.x]),
    "grad of y": lambda p: gradients(p, [p.y]),
    "grad of both": lambda p: gradients(p, [p.y, p.x]),
    "twice": lambda p: (backward(p, retain_graph=True), backward(p)),
    "with a graph": lambda p: gradients(p, [p.x, p.y], create_graph=True),
}


def run(lib, steps, ask):
    p = Program(lib)
    for step in steps:
        p.log.fails(getattr(p, step))
    p.log.fails(lambda: ask(p))
    p.log("x.grad", p.x.grad)
    if p.y.retains_grad:
        p.log("y.grad", p.y.grad)
    return p.log.entries


@pytest.mark.parametrize("asked", ASKED)
def test_hooks_run_as_in_torch(asked):
    different, cells = [], 0
    for steps in itertools.product(DONE, repeat=3):
        expected, actual = (run(lib, steps, ASKED[asked]) for lib in LIBRARIES)
        cells += 1
        if not same(actual, expected):
            different.append(f"{steps}\n  ours  {actual}\n  torch {expected}")
    assert cells == len(DONE) ** 3
    assert not different, f"{len(different)} of {cells}:\n" + "\n".join(different[:10])
