"""Saved tensors that may be written to: ``allow_mutation_on_saved_tensors``.

A saved tensor is kept as a handle that its node alone holds. What is about to be
written to is looked up by its storage and version: the saved tensors of both are copied
first, once each, and their handles stand for the copies.
"""

import contextlib
import contextvars
import weakref

from flashlight import _C
from flashlight.autograd.graph import saved_tensors_hooks
from flashlight.overrides import TorchFunctionMode
from flashlight.utils._python_dispatch import TorchDispatchMode

_open = contextvars.ContextVar("_open", default=False)


def _storage_and_version(tensor):
    return tensor.untyped_storage().data_ptr(), tensor._version


class _Handle:
    """Stands for a saved tensor."""


class _AllowMutationOnSavedContext:
    """What is saved within, and what has been copied of it."""

    def __init__(self):
        self.tid_to_weakhandle = weakref.WeakValueDictionary()
        self.sid_to_tid = {}  # storage and version: keys of what is saved of them
        self.original = weakref.WeakKeyDictionary()
        self.cloned = weakref.WeakKeyDictionary()

    def pack(self, tensor):
        sid = _storage_and_version(tensor)
        tid = (sid, tensor.storage_offset(), tensor.shape, tensor.stride())
        tid += (tensor.dtype, tensor.is_conj(), tensor.is_neg())
        handle = self.tid_to_weakhandle.get(tid)
        if handle is None:
            handle = self.tid_to_weakhandle[tid] = _Handle()
            self.original[handle] = tensor
            self.sid_to_tid.setdefault(sid, set()).add(tid)
        return handle

    def unpack(self, handle):
        if handle in self.cloned:
            return self.cloned[handle]
        if not _open.get() or handle not in self.original:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' "
                "contextin which the graph was originally recorded."
            )
        return self.original[handle]

    def written(self, tensor):
        """Before a write: copies of what is saved."""
        if not isinstance(tensor, _C.TensorBase) or tensor.is_inference():
            return
        for tid in self.sid_to_tid.pop(_storage_and_version(tensor), ()):
            handle = self.tid_to_weakhandle.get(tid)
            if handle is not None:
                self.cloned[handle] = self.original.pop(handle).clone()

    def clear(self):
        for kept in (
            self.tid_to_weakhandle,
            self.sid_to_tid,
            self.original,
            self.cloned,
        ):
            kept.clear()


def _each(x):
    return x if isinstance(x, (list, tuple)) else (x,)


class _SeeWrites(TorchDispatchMode):
    """Writes of ops."""

    def __init__(self, context):
        super().__init__()
        self.context = context

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for i, argument in enumerate(func._schema.arguments):
            if argument.is_write:
                value = args[i] if i < len(args) else kwargs.get(argument.name)
                for tensor in _each(value):
                    self.context.written(tensor)
        return func(*args, **kwargs)


class _SeeCalls(TorchFunctionMode):
    """Writes to ``out=`` and of ops of parts, which take over what the parts give."""

    def __init__(self, context):
        super().__init__()
        self.context = context

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for tensor in _each(kwargs.get("out")):
            self.context.written(tensor)
        name = getattr(func, "__name__", "")
        if args and name.endswith("_") and not name.endswith("__"):
            self.context.written(args[0])
        return func(*args, **kwargs)


@contextlib.contextmanager
def allow():
    """``torch.autograd.graph.allow_mutation_on_saved_tensors``."""
    if _open.get():
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    context = _AllowMutationOnSavedContext()
    hooks = saved_tensors_hooks(context.pack, context.unpack)
    token = _open.set(True)
    try:
        with hooks, _SeeWrites(context), _SeeCalls(context):
            yield context
    finally:
        context.clear()
        _open.reset(token)
