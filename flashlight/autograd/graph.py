"""The backward graph: nodes, edges, hooks on saved tensors."""

import collections
import contextlib
import typing

from flashlight import _C
from flashlight.utils.hooks import RemovableHandle

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class NodeAttributes:
    """What ``grad_fn`` offers; shared by the engine's nodes and custom Functions."""

    def name(self):
        """The name of the node, ``"MulBackward0"``."""
        return _C._node_name(self)

    @property
    def next_functions(self):
        """Pairs of a node and the number of its input, one for each input here."""
        return _C._node_next_functions(self)

    @property
    def metadata(self):
        """A dict for notes."""
        return _C._node_metadata(self)

    @property
    def _input_metadata(self):
        return [_InputMetadata(*m) for m in _C._node_input_metadata(self)]

    def _sequence_nr(self):
        return _C._node_sequence_nr(self)

    def _set_sequence_nr(self, n):
        _C._node_set_sequence_nr(self, n)

    def _hooks(self, key, add):
        hooks = self.metadata.get(key)
        if hooks is None:
            hooks = self.metadata[key] = collections.OrderedDict()
            add(self, hooks)
        return hooks

    def register_hook(self, fn):
        """Call ``fn(grad_inputs, grad_outputs)`` after the node has run."""
        hooks = self._hooks("_post_hooks", _C._node_add_post_hooks)
        handle = RemovableHandle(hooks)
        hooks[handle.id] = fn
        return handle

    def register_prehook(self, fn):
        """Call ``fn(grad_outputs)`` before the node runs."""
        hooks = self._hooks("_pre_hooks", _C._node_add_pre_hooks)
        handle = RemovableHandle(hooks)
        hooks[handle.id] = fn
        return handle


class _InputMetadata(typing.NamedTuple):
    shape: object
    dtype: object
    device: object


def _node_getattr(self, name):
    if name.startswith("_saved_"):
        return _C._node_saved(self, name.removeprefix("_saved_"))
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


def _node_dir(self):
    saved = [f"_saved_{n}" for n in _C._node_saved_names(self)]
    return sorted(set(object.__dir__(self)) | set(saved))


for _name, _value in vars(NodeAttributes).items():
    if not _name.startswith("__"):
        setattr(_C._NodeBase, _name, _value)
_C._NodeBase.variable = property(_C._node_variable)
_C._NodeBase.__getattr__ = _node_getattr
_C._NodeBase.__dir__ = _node_dir


class _NodeMeta(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, (_C._NodeBase, NodeAttributes))

    def __subclasscheck__(cls, subclass):
        return issubclass(subclass, (_C._NodeBase, NodeAttributes))


class Node(metaclass=_NodeMeta):
    """The type of ``grad_fn``."""


class GradientEdge(typing.NamedTuple):
    """Where the gradient of a tensor goes: an input of a node."""

    node: object
    output_nr: int
    ownership_token: object = None


def get_gradient_edge(tensor):
    """The edge to which the gradient of ``tensor`` flows."""
    if not tensor.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not "
            "require gradients"
        )
    return GradientEdge(*_C._gradient_edge(tensor))


class saved_tensors_hooks:
    """Run ``pack`` on each tensor saved within, and ``unpack`` when it is needed."""

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self):
        _C._push_saved_tensors_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *exc):
        _C._pop_saved_tensors_hooks()


class save_on_cpu(saved_tensors_hooks):
    """Keep saved tensors on the CPU; with unified memory that is where they are."""

    def __init__(self, pin_memory=False, device_type="cuda"):
        super().__init__(
            lambda tensor: (tensor.device, tensor.cpu()),
            lambda packed: packed[1].to(packed[0]),
        )


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message):
    """Within, using ``saved_tensors_hooks`` raises ``error_message``."""
    before = _C._saved_tensors_hooks_disabled()
    _C._disable_saved_tensors_hooks(error_message)
    try:
        yield
    finally:
        _C._disable_saved_tensors_hooks(before)


@contextlib.contextmanager
def allow_mutation_on_saved_tensors():
    """Not supported: raises."""
    raise NotImplementedError("allow_mutation_on_saved_tensors is not supported")
    yield


class _MultiHandle(RemovableHandle):
    def __init__(self, handles):
        self.handles = tuple(handles)

    def remove(self):
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Call ``fn`` when the gradients of all (or any) of ``tensors`` are there."""
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    grads = {}  # graph task -> gradients so far

    def inner(i):
        def hook(grad):
            task = _C._current_graph_task_id()
            if mode == "any":
                if task not in grads:
                    grads[task] = True
                    _C._queue_callback(lambda: grads.pop(task, None))
                    fn(grad)
                return
            state = grads.setdefault(task, [[None] * len(tensors), 0])
            if state[1] == 0:
                _C._queue_callback(lambda: grads.pop(task, None))
            state[0][i] = grad if state[0][i] is None else state[0][i] + grad
            state[1] += 1
            if state[1] == len(tensors):
                fn(state[0])

        return hook

    return _MultiHandle(t.register_hook(inner(i)) for i, t in enumerate(tensors))
