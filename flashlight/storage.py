"""Storages: the bytes that tensors are windows on."""

import io
import weakref
from collections.abc import Sequence
from numbers import Integral

from flashlight import _C

__all__ = ["TypedStorage", "UntypedStorage"]


# There is one object for a storage, as long as it lives.
_LIVE = weakref.WeakValueDictionary()


class UntypedStorage:
    """The bytes that a tensor and its views share."""

    __module__ = "torch.storage"

    def __init__(self, size=0, *, device=None):
        values = None
        if not isinstance(size, int):
            values, size = _bytes_of(size), len(size)
        self._storage = _C._new_storage(size, device or _C.device("cpu"))
        _LIVE[self._storage.key()] = self
        if values is not None:
            self._bytes().copy_(values)

    @classmethod
    def _wrap(cls, storage):
        self = _LIVE.get(storage.key())
        if self is None:
            self = cls.__new__(cls)
            self._storage = storage
            _LIVE[storage.key()] = self
        return self

    def _bytes(self):
        return self._storage._as_tensor(_C.uint8)

    def data_ptr(self):
        return self._storage.data_ptr()

    @property
    def _cdata(self):
        """A number that is this storage's for as long as it is there."""
        return self._storage._cdata

    def nbytes(self):
        return self._storage.nbytes()

    size = nbytes
    __len__ = nbytes

    def element_size(self):
        return 1

    def resizable(self):
        return self._storage.resizable()

    def resize_(self, size):
        self._storage.resize_(size)
        return self

    @property
    def device(self):
        return self._storage.device

    def untyped(self):
        return self

    def share_memory_(self):
        """Move the bytes to memory that other processes see, for good."""
        self._storage.share()
        return self

    def is_shared(self):
        return self._storage.is_shared()

    @classmethod
    def _new_shared(cls, size, *, device="cpu"):
        return cls(size, device=_C.device(device)).share_memory_()

    def clone(self):
        """A copy of the bytes."""
        return self._bytes().clone().untyped_storage()

    def copy_(self, source, non_blocking=None):
        self._bytes().copy_(source._bytes())
        return self

    def fill_(self, value):
        self._bytes().fill_(value)
        return self

    def tolist(self):
        return self._bytes().tolist()

    def cpu(self):
        return self

    def __getitem__(self, index):
        item = self._bytes()[index]
        return item.untyped_storage() if isinstance(index, slice) else item.item()

    def __setitem__(self, index, value):
        self._bytes()[index] = value

    def __iter__(self):
        return iter(self.tolist())

    def _deepcopy(self, memo):
        key = ("storage", self.data_ptr())
        if key not in memo:
            memo[key] = self.clone()
            memo[("keep", self.data_ptr())] = self
        return memo[key]

    def __deepcopy__(self, memo):
        return self._deepcopy(memo)

    def __eq__(self, other):
        return isinstance(other, UntypedStorage) and self._storage.same(other._storage)

    def __hash__(self):
        return hash(self.data_ptr())

    def __repr__(self):
        lines = "".join(f" {x}\n" for x in self.tolist())
        kind = f"torch.storage.UntypedStorage(device={self.device})"
        return f"{lines}[{kind} of size {len(self)}]"

    def __reduce__(self):
        return _reduce(self)


class TypedStorage:
    """A storage seen as elements of one dtype."""

    __module__ = "torch.storage"

    def __init__(
        self, *args, wrap_storage=None, dtype=None, device=None, _internal=None
    ):
        self.dtype = dtype or _C.get_default_dtype()
        if wrap_storage is None:
            wrap_storage = _new_typed(args, self.dtype, device, "TypedStorage.__init__")
        self._untyped_storage = wrap_storage

    def _tensor(self):
        return self._untyped_storage._storage._as_tensor(self.dtype)

    def untyped(self):
        return self._untyped_storage

    @property
    def device(self):
        return self._untyped_storage.device

    def data_ptr(self):
        return self._untyped_storage.data_ptr()

    def nbytes(self):
        return self._untyped_storage.nbytes()

    def element_size(self):
        return self.dtype.itemsize

    def size(self):
        return self.nbytes() // self.dtype.itemsize

    __len__ = _size = size
    _data_ptr = data_ptr

    def resize_(self, size):
        self._untyped_storage.resize_(size * self.dtype.itemsize)

    def share_memory_(self):
        """Move the elements to memory that other processes see, for good."""
        self._untyped_storage.share_memory_()
        return self

    _share_memory_ = share_memory_

    def is_shared(self):
        return self._untyped_storage.is_shared()

    _is_shared = is_shared

    def _new_shared(self, size, *, device="cpu"):
        """Another one of this dtype and ``size`` elements, in shared memory."""
        nbytes = size * self.dtype.itemsize
        shared = UntypedStorage._new_shared(nbytes, device=device)
        return TypedStorage(wrap_storage=shared, dtype=self.dtype)

    def tolist(self):
        return self._tensor().tolist()

    def _to(self, dtype):
        return self._tensor().to(dtype).storage()

    def type(self):
        """``"torch.FloatStorage"`` and the like."""
        return f"torch.{STORAGE_NAMES[self.dtype]}"

    is_cuda = is_sparse = is_hpu = False

    def get_device(self):
        """None: it is on the CPU."""

    def cpu(self):
        return self

    def clone(self):
        return TypedStorage(
            wrap_storage=self._untyped_storage.clone(), dtype=self.dtype
        )

    def copy_(self, source, non_blocking=None):
        self._tensor().copy_(source._tensor())
        return self

    def fill_(self, value):
        self._tensor().fill_(value)
        return self

    def __getitem__(self, index):
        item = self._tensor()[index]
        return item.storage() if isinstance(index, slice) else item.item()

    def __setitem__(self, index, value):
        self._tensor()[index] = value

    def __iter__(self):
        return iter(self.tolist())

    def __eq__(self, other):
        return (
            isinstance(other, TypedStorage)
            and self.dtype == other.dtype
            and self._untyped_storage == other._untyped_storage
        )

    __hash__ = None

    def pickle_storage_type(self):
        return STORAGE_NAMES[self.dtype]

    _pickle_storage_type = pickle_storage_type

    def __repr__(self):
        lines = "".join(f" {x}\n" for x in self.tolist()) or " \n"
        return (
            f"{lines}[torch.storage.TypedStorage(dtype={self.dtype}, "
            f"device={self.device}) of size {len(self)}]"
        )

    def __reduce__(self):
        return _reduce(self)


def _reduce(storage):
    from flashlight import serialization

    buffer = io.BytesIO()
    serialization.save(storage, buffer, _use_new_zipfile_serialization=False)
    return (_load_from_bytes, (buffer.getvalue(),))


def _load_from_bytes(data):
    from flashlight import serialization

    return serialization.load(io.BytesIO(data), weights_only=False)


# How files name storages of a dtype. Newer dtypes have none: files hold their bytes.
STORAGE_NAMES = {
    _C.float64: "DoubleStorage",
    _C.float32: "FloatStorage",
    _C.float16: "HalfStorage",
    _C.bfloat16: "BFloat16Storage",
    _C.int64: "LongStorage",
    _C.int32: "IntStorage",
    _C.int16: "ShortStorage",
    _C.int8: "CharStorage",
    _C.uint8: "ByteStorage",
    _C.bool: "BoolStorage",
    _C.complex64: "ComplexFloatStorage",
    _C.complex128: "ComplexDoubleStorage",
}


def dtype_of_storage_name(name):
    """The dtype of ``"FloatStorage"`` and the like; KeyError if it is none."""
    for dtype, storage_name in STORAGE_NAMES.items():
        if storage_name == name:
            return dtype
    raise KeyError(name)


class _LegacyStorageMeta(type):
    def __instancecheck__(cls, instance):
        typed = isinstance(instance, TypedStorage)
        return typed and cls.dtype in (None, instance.dtype)


class _LegacyStorage(TypedStorage, metaclass=_LegacyStorageMeta):
    """``torch.FloatStorage`` and the like: makers of a TypedStorage of one dtype."""

    dtype = None

    def __new__(cls, *args, wrap_storage=None, **kwargs):
        what = f"{cls}.__new__"
        for name in kwargs:
            raise _no_storage(what, f"Keyword argument '{name}' cannot be specified")
        if wrap_storage is None:
            wrap_storage = _new_typed(args, cls.dtype, None, what)
        return TypedStorage(wrap_storage=wrap_storage, dtype=cls.dtype)


def _bytes_of(values):
    """A tensor of what an UntypedStorage is made of."""
    start = "torch.UntypedStorage(): "
    if not isinstance(values, (list, tuple, str)):
        raise RuntimeError(
            f"{start}Expected a sequence type, but got {type(values).__name__}"
        )
    for value in values:
        if not isinstance(value, int):
            raise RuntimeError(
                f"{start}tried to construct a storage from a sequence "
                f"({type(values).__name__}), but one of the items was of type "
                f"{type(value).__name__} instead of int"
            )
    return _tensor_of([value % 256 for value in values], _C.uint8)


def _tensor_of(values, dtype):
    from flashlight.creation import tensor

    return tensor(values, dtype=dtype)


def _new_typed(args, dtype, device, what):
    """The bytes of a typed storage, from a number of elements or from elements."""
    if len(args) > 1:
        raise _no_storage(what, "Too many positional arguments")
    (given,) = args or (0,)
    if isinstance(given, Integral):
        return UntypedStorage(int(given) * dtype.itemsize, device=device)
    if not isinstance(given, Sequence):
        text = f"Argument type not recognized: {type(given)}"
        raise _no_storage(what, text, TypeError)
    if not given:
        return UntypedStorage(0, device=device)
    values = _tensor_of(given, None).to(dtype)
    return values.to(device=device).untyped_storage()


def _no_storage(what, why, error=RuntimeError):
    legacy = what.endswith("__new__")
    more = "" if legacy else "*, torch.device device, torch.dtype dtype"
    and_more = f", {more}" if more else ""
    return error(
        f"{what} received an invalid combination of arguments. Expected one of:\n"
        f" * {f'({more})' if more else 'no arguments'}\n"
        f" * (int size{and_more})\n"
        f" * (Sequence data{and_more})\n"
        f" * (*, UntypedStorage wrap_storage{', torch.dtype dtype' if more else ''})\n"
        f"{why}"
    )


def _make_legacy_storages():
    for dtype, name in STORAGE_NAMES.items():
        members = {"dtype": dtype, "__module__": "torch"}
        globals()[name] = type(name, (_LegacyStorage,), members)
        __all__.append(name)


_make_legacy_storages()
Storage = globals()["FloatStorage"]
__all__.append("Storage")


# storage.float() and the like.
_CONVERSIONS = {
    "double": _C.float64,
    "float": _C.float32,
    "half": _C.float16,
    "bfloat16": _C.bfloat16,
    "long": _C.int64,
    "int": _C.int32,
    "short": _C.int16,
    "char": _C.int8,
    "byte": _C.uint8,
    "bool": _C.bool,
    "complex_float": _C.complex64,
    "complex_double": _C.complex128,
}


def _add_conversions():
    for name, dtype in _CONVERSIONS.items():

        def convert(self, _dtype=dtype):
            return self._to(_dtype)

        convert.__name__ = name
        convert.__qualname__ = f"TypedStorage.{name}"
        convert.__doc__ = f"A storage of the elements as {dtype}."
        setattr(TypedStorage, name, convert)


_add_conversions()
