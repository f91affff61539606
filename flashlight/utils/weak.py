"""Dictionaries whose keys are objects by identity, held weakly.

``weakref.WeakKeyDictionary`` compares keys with ``==``, which of tensors is a tensor.
"""

import collections.abc
import copy
import weakref

from flashlight import _C

__all__ = [
    "TensorWeakRef",
    "WeakIdKeyDictionary",
    "WeakIdRef",
    "WeakRef",
    "WeakTensorKeyDictionary",
]

WeakRef = weakref.ref


class _WeakTensorRef:
    """``torch._C._WeakTensorRef``: whether a tensor is still there."""

    def __init__(self, tensor):
        self._ref = weakref.ref(tensor)

    def expired(self):
        return self._ref() is None


_C._WeakTensorRef = _WeakTensorRef


class _NamedRef(weakref.ref):
    """A weak reference that is equal to others of objects with the same name."""

    __slots__ = ["_id"]

    def __init__(self, key, callback=None):
        super().__init__(key, callback)
        self._id = self._name(key)

    def __call__(self):
        return super().__call__()

    def __hash__(self):
        return self._id

    def __eq__(self, other):
        mine, theirs = self(), other()
        if mine is None or theirs is None:
            return self is other  # of the dead, each is itself alone
        return self._name(mine) == self._name(theirs)


class WeakIdRef(_NamedRef):
    """A weak reference that is equal to others of the same object.

    Source: :mod:`torch.utils.weak`.

    Example:
        >>> import flashlight as torch
        >>> x = torch.ones(2)
        >>> WeakIdRef(x) == WeakIdRef(x), WeakIdRef(x) == WeakIdRef(x.clone())
        (True, False)
    """

    __slots__ = []
    _name = staticmethod(id)


class _WeakHashRef(_NamedRef):
    """A weak reference that is equal to others of objects with the same hash."""

    __slots__ = []
    _name = staticmethod(hash)


class WeakIdKeyDictionary(collections.abc.MutableMapping):
    """A dictionary of objects by identity: an entry goes when its key does.

    Source: :mod:`torch.utils.weak`.

    Example:
        >>> import flashlight as torch
        >>> x, seen = torch.ones(2), WeakIdKeyDictionary()
        >>> seen[x] = "x"
        >>> x in seen, x.clone() in seen
        (True, False)
        >>> del x
        >>> len(seen)
        0
    """

    def __init__(self, dict=None, ref_type=WeakIdRef):
        self.data, self.ref_type = {}, ref_type
        entries = weakref.ref(self)

        def remove(ref):
            alive = entries()
            if alive is not None:
                alive.data.pop(ref, None)

        self._remove = remove
        if dict is not None:
            self.update(dict)

    def __getitem__(self, key):
        return self.data[self.ref_type(key)]

    def __setitem__(self, key, value):
        self.data[self.ref_type(key, self._remove)] = value

    def __delitem__(self, key):
        del self.data[self.ref_type(key)]

    def __contains__(self, key):
        try:
            return self.ref_type(key) in self.data
        except TypeError:  # nothing can refer to it weakly
            return False

    def __iter__(self):
        for ref in list(self.data):
            key = ref()
            if key is not None:
                yield key

    def __len__(self):
        return len(self.data)

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x}>"

    def __eq__(self, other):
        if not isinstance(other, collections.abc.Mapping):
            return NotImplemented
        return {id(k): v for k, v in self.items()} == {
            id(k): v for k, v in other.items()
        }

    def copy(self):
        """Another one with the same entries."""
        return type(self)(self)

    __copy__ = copy

    def __deepcopy__(self, memo):
        return type(self)({}).__ior__(
            [(key, copy.deepcopy(value, memo)) for key, value in self.items()]
        )

    def keyrefs(self):
        """The weak references of the keys that are alive."""
        return [ref for ref in self.data if ref() is not None]

    def popitem(self):
        """The last entry whose key is alive, which goes; ``KeyError`` without one."""
        while True:
            ref, value = self.data.popitem()
            key = ref()
            if key is not None:
                return key, value

    def __ior__(self, other):
        self.update(other)
        return self

    def __or__(self, other):
        if not isinstance(other, collections.abc.Mapping):
            return NotImplemented
        return self.copy().__ior__(other)

    def __ror__(self, other):
        if not isinstance(other, collections.abc.Mapping):
            return NotImplemented
        return type(self)(other).__ior__(self)


WeakTensorKeyDictionary = WeakIdKeyDictionary


class TensorWeakRef:
    """A weak reference to a tensor; calling it gives the tensor, or ``None``.

    Source: :mod:`torch.utils.weak`.

    Example:
        >>> import flashlight as torch
        >>> x = torch.ones(2)
        >>> ref = TensorWeakRef(x)
        >>> ref() is x
        True
        >>> del x
        >>> ref() is None
        True
    """

    def __init__(self, tensor):
        if not isinstance(tensor, _C.TensorBase):
            raise AssertionError(f"expected torch.Tensor, got {type(tensor)}.")
        self.ref = WeakRef(tensor)

    def __call__(self):
        return self.ref()
