"""The backward graph: nodes, edges, hooks on saved tensors."""

import contextlib
import threading
import typing

from flashlight import _C
from flashlight.utils.hooks import RemovableHandle

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
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
        return tuple(_InputMetadata(*m) for m in _C._node_input_metadata(self))

    def _sequence_nr(self):
        return _C._node_sequence_nr(self)

    def _set_sequence_nr(self, n):
        _C._node_set_sequence_nr(self, n)

    def register_hook(self, fn):
        """Call ``fn(grad_inputs, grad_outputs)`` after the node has run."""
        return _add_hook(_C._node_post_hooks(self), fn)

    def _register_hook_dict(self, tensor):
        _C._add_tensor_hooks(tensor, tensor._backward_hooks)

    def register_prehook(self, fn):
        """Call ``fn(grad_outputs)`` before the node runs."""
        return _add_hook(_C._node_pre_hooks(self), fn)


def _add_hook(hooks, fn):
    handle = RemovableHandle(hooks)
    hooks[handle.id] = fn
    return handle


class _InputMetadata(typing.NamedTuple):
    shape: object
    dtype: object
    device: object


class SavedTensor:
    """A tensor that a node keeps for its backward."""

    def __init__(self):
        raise RuntimeError(
            "Trying to create a SavedTensor object from Python is forbidden."
        )

    @classmethod
    def _of(cls, node, name):
        self = cls.__new__(cls)
        self._node, self._name = node, name
        return self

    def register_hooks(self, pack_hook=None, unpack_hook=None):
        """Keep what ``pack_hook`` makes of the tensor; ``unpack_hook`` undoes it."""
        if not callable(pack_hook) or not callable(unpack_hook):
            raise TypeError(
                "register_hooks(): incompatible function arguments. pack_hook and "
                "unpack_hook must be callable"
            )
        if isinstance(self._name, int):  # of a Function, which numbers them
            register = _C._ctx_register_saved_hooks
        else:
            register = _C._node_register_saved_hooks
        register(self._node, self._name, pack_hook, unpack_hook)


def _node_getattr(self, name):
    for prefix in ("_saved_", "_raw_saved_"):
        saved = name.removeprefix(prefix)
        if saved != name and saved in _C._node_saved_names(self):
            value = _C._node_saved(self, saved)
            if prefix == "_saved_":
                return value
            if isinstance(value, _C.TensorBase):
                return SavedTensor._of(self, saved)
    raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


def _node_call(self, *grads, **kwargs):
    if kwargs:
        raise TypeError("keyword arguments are not supported")
    return _C._node_call(self, grads)


def _node_dir(self):
    names = _C._node_saved_names(self)
    saved = [f"_saved_{n}" for n in names]
    # Shapes and numbers are kept as they are.
    saved += [
        f"_raw_saved_{n}"
        for n in names
        if isinstance(_C._node_saved(self, n), _C.TensorBase)
    ]
    return sorted(set(object.__dir__(self)) | set(saved))


for _name, _value in vars(NodeAttributes).items():
    if not _name.startswith("__"):
        setattr(_C._NodeBase, _name, _value)
_C._NodeBase.variable = property(_C._node_variable)
_C._NodeBase.__getattr__ = _node_getattr
_C._NodeBase.__dir__ = _node_dir
_C._NodeBase.__call__ = _node_call


class _NodeMeta(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, (_C._NodeBase, NodeAttributes))

    def __subclasscheck__(cls, subclass):
        return subclass is cls or issubclass(subclass, (_C._NodeBase, NodeAttributes))


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
            lambda tensor: (tensor.device, tensor.to("cpu")),
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


def allow_mutation_on_saved_tensors():
    """Within, tensors that are saved for backward may be written to in place.

    They are copied then. Backward is to run within, too.

    Raises:
        RuntimeError: One is open already.
        AssertionError: In backward, where it runs outside of its context.

    Example:
        >>> import flashlight as torch
        >>> x = torch.tensor([2.0, 3.0], requires_grad=True)
        >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
        ...     y = x.clone()
        ...     z = (y**2).sum()
        ...     _ = y.zero_()
        ...     z.backward()
        >>> x.grad
        tensor([4., 6.])
    """
    from flashlight.autograd import _mutation  # its modes need this module

    return _mutation.allow()


def increment_version(tensor):
    """Tell autograd that tensors were written to by something it cannot see.

    Args:
        tensor: A tensor, or an iterable of tensors.
    """
    for t in (tensor,) if isinstance(tensor, _C.TensorBase) else tensor:
        t._bump_version()


class _MultiHandle(RemovableHandle):
    def __init__(self, handles):
        self.handles = tuple(handles)

    def remove(self):
        for handle in self.handles:
            handle.remove()

    def __getstate__(self):
        return self.handles

    def __setstate__(self, state):
        self.handles = state


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Call ``fn`` when the gradients of all (or any) of ``tensors`` are there.

    Args:
        tensors: The tensors, which require grad.
        fn: With ``mode="all"``, is given a list of gradients, ``None`` for a tensor
            that the running backward does not reach; with ``"any"``, the first one.
        mode: ``"all"`` or ``"any"``.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of {('all', 'any')} but got {mode}")
    lock = threading.Lock()
    tensors = tuple(tensors)
    nodes = []
    for t in tensors if mode == "all" else ():
        node = _C._gradient_edge(t)[0] if t.requires_grad else None
        assert node is not None, "Expected gradient function to be set"
        nodes.append(node)
    running = {}  # graph task -> (gradients so far, how many are to come)

    def inner(i):
        def all_hook(grad):
            task = _C._current_graph_task_id()
            with lock:
                if task not in running:
                    expected = sum(map(_C._will_engine_execute_node, nodes))
                    running[task] = [[None] * len(tensors), expected]
                state = running[task]
                state[0][i] = grad
                state[1] -= 1
                done = state[1] == 0
                if done:
                    del running[task]
            if done:
                fn(state[0])

        def any_hook(grad):
            task = _C._current_graph_task_id()
            with lock:
                first = task not in running
                running[task] = True
                if first:
                    _C._queue_callback(lambda: running.pop(task, None))
            if first:
                fn(grad)

        return all_hook if mode == "all" else any_hook

    return _MultiHandle(
        [
            t.register_hook(inner(i))
            for i, t in enumerate(tensors)
            if mode == "all" or t.requires_grad
        ]
    )
