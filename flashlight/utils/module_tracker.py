"""Which modules run at the moment, in forward and in backward."""

import weakref

from flashlight import _C
from flashlight.autograd import Variable
from flashlight.autograd.graph import register_multi_grad_hook
from flashlight.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from flashlight.utils._pytree import tree_leaves

__all__ = ["ModuleTracker"]


def _differentiated(tree):
    import flashlight

    return [
        x
        for x in tree_leaves(tree)
        if isinstance(x, flashlight.Tensor) and x.requires_grad
    ]


class ModuleTracker:
    """A context that keeps the names of the modules that are running.

    Attributes:
        parents: names such as ``"Net.conv1"``, and ``"Global"``. In backward a module
            is one of them from when the gradient of its output is there to when those
            of its inputs are.

    Source: :mod:`torch.utils.module_tracker`.

    Example:
        >>> tracker, seen = ModuleTracker(), []
        >>> def hook(module, args):
        ...     seen.append(sorted(tracker.parents))
        >>> with tracker:
        ...     net = torch.nn.Sequential(torch.nn.ReLU())
        ...     handle = net[0].register_forward_pre_hook(hook)
        ...     _ = net(torch.ones(1))
        >>> seen
        [['Global', 'Sequential', 'Sequential.0']]
    """

    def __init__(self):
        self.parents = {"Global"}
        self._names: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
        self._named_below: weakref.WeakSet = weakref.WeakSet()
        self._reset_queued = False
        self._handles: list = []

    @property
    def is_bw(self):
        """Does a backward run on this thread?"""
        return _C._current_graph_task_id() != -1

    def _name(self, module):
        name = self._names.setdefault(module, type(module).__name__)
        if module not in self._named_below:
            self._named_below.add(module)
            for child_name, child in module.named_children():
                self._names[child] = f"{name}.{child_name}"
                self._name(child)
        return name

    def _reset_after_backward(self):
        if self._reset_queued:
            return

        def reset():
            self.parents = {"Global"}
            self._reset_queued = False

        Variable._execution_engine.queue_callback(reset)
        self._reset_queued = True

    def _before(self, module, args):
        name = self._name(module)
        self.parents.add(name)
        inputs = _differentiated(args)
        if inputs:
            register_multi_grad_hook(inputs, lambda _: self.parents.discard(name))

    def _after(self, module, args, output):
        name = self._name(module)
        if name not in self.parents:
            raise RuntimeError(f"{name} ended, but it is not among those that run")
        self.parents.remove(name)

        def enter(_):
            self._reset_after_backward()
            self.parents.add(name)

        outputs = _differentiated(output)
        if outputs:
            register_multi_grad_hook(outputs, enter)

    def __enter__(self):
        self._handles = [
            register_module_forward_pre_hook(self._before),
            register_module_forward_hook(self._after),
        ]
        return self

    def __exit__(self, *exception):
        for handle in self._handles:
            handle.remove()
        self._handles = []
