"""Reads a pickle of weights, and runs nothing of it but what is on a list.

The opcodes are those that ``save`` writes with protocol 2. Names are looked up in a
table, never imported; only what is in the table is called.
"""

import collections
import pickle
import struct
import warnings
from pickle import UnpicklingError

from flashlight import _C

_BLOCKED_MODULES = ("sys", "os", "posix", "nt")

_user_globals = set()


def add(items):
    _user_globals.update(items)


def get():
    return list(_user_globals)


def remove(items):
    _user_globals.difference_update(items)


def clear():
    _user_globals.clear()


class StorageType:
    """What ``torch.FloatStorage`` and the like stand for in a file: a dtype."""

    def __init__(self, name):
        from flashlight.storage import dtype_of_storage_name

        self._dtype = dtype_of_storage_name(name)

    @property
    def dtype(self):
        return self._dtype

    def __str__(self):
        return f"StorageType(dtype={self.dtype})"


_table = {}


def allowed_globals():
    """What any file may name: {full name: object}."""
    if not _table:
        _table.update(_make_table())
    return _table


def _make_table():
    import _codecs

    import flashlight
    from flashlight import _tensor, _tensor_types, _utils, serialization, storage

    table = {
        "collections.OrderedDict": collections.OrderedDict,
        "collections.Counter": collections.Counter,
        "torch.nn.parameter.Parameter": flashlight.nn.Parameter,
        "torch.serialization._get_layout": serialization._get_layout,
        "torch.Size": flashlight.Size,
        "torch.Tensor": flashlight.Tensor,
        "torch.device": flashlight.device,
        "torch.storage.UntypedStorage": storage.UntypedStorage,
        "torch.storage.TypedStorage": storage.TypedStorage,
        "torch._tensor._rebuild_from_type_v2": _tensor._rebuild_from_type_v2,
        "_codecs.encode": _codecs.encode,
        "builtins.bytearray": bytearray,
        "builtins.set": set,
        "builtins.complex": complex,
    }
    for dtype in _C._dtypes:
        table[repr(dtype)] = dtype
    for name in storage.STORAGE_NAMES.values():
        table[f"torch.{name}"] = StorageType(name)
    for name in _tensor_types.__all__:
        table[f"torch.{name}"] = getattr(_tensor_types, name)
    for name in _utils.REBUILD_FUNCTIONS:
        table[f"torch._utils.{name}"] = getattr(_utils, name)
    return table


def user_globals():
    """What the user allows: {full name: object}."""
    from flashlight._pickling import name_in_torch

    table = {}
    for item in _user_globals:
        if not isinstance(item, tuple):
            found = name_in_torch(item) or (item.__module__, item.__qualname__)
            table[".".join(found)] = item
            continue
        if len(item) != 2:
            raise ValueError(
                "Expected tuple of length 2 (global, str of callable full path), but "
                f"got tuple of length: {len(item)}"
            )
        if type(item[1]) is not str:
            raise TypeError(
                "Expected second item in tuple to be str of callable full path, but "
                f"got: {type(item[1])}"
            )
        table[item[1]] = item[0]
    return table


def _is_allowed(thing):
    tables = (allowed_globals(), user_globals())
    return any(thing is value for table in tables for value in table.values())


def _read_global(file):
    module = file.readline()[:-1].decode("utf-8")
    name = file.readline()[:-1].decode("utf-8")
    import _compat_pickle

    # Protocol 2 writes names as Python 2 had them.
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def globals_in(file):
    """The names that a pickle mentions, without running any of it."""
    names = set()
    skipper = _Skipper(file)
    while True:
        key = file.read(1)
        if not key:
            raise EOFError
        if key == pickle.STOP:
            return names
        if key == pickle.GLOBAL:
            names.add(".".join(_read_global(file)))
        elif key in _READERS:
            _READERS[key](skipper)
        elif key in _ARGUMENTS:
            _ARGUMENTS[key](skipper)
        elif key not in _HANDLERS:
            raise UnpicklingError(f"Unsupported operand {key[0]}")


class Unpickler:
    """As ``pickle.Unpickler``, for protocol 2 and harmless contents only."""

    def __init__(self, file, *, encoding="bytes"):
        self.file = file
        self.read = file.read
        self.encoding = encoding
        self.memo = {}
        self.stack = []
        self.marks = []

    def load(self):
        while True:
            key = self.read(1)
            if not key:
                raise EOFError
            if key == pickle.STOP:
                return self.stack.pop()
            reader = _READERS.get(key)
            if reader is not None:
                self.stack.append(reader(self))
                continue
            handler = _HANDLERS.get(key)
            if handler is None:
                raise UnpicklingError(f"Unsupported operand {key[0]}")
            handler(self)

    def persistent_load(self, pid):
        raise UnpicklingError("unsupported persistent id encountered")

    # --- what is read from the stream ---

    def number(self, form):
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def byte(self):
        return self.read(1)[0]

    def text(self):
        return str(self.read(self.number("<I")), "utf-8", "surrogatepass")

    def short_bytes(self):
        data = self.read(self.byte())
        return data if self.encoding == "bytes" else data.decode(self.encoding)

    def long(self):
        return pickle.decode_long(self.read(self.byte()))

    def protocol(self):
        version = self.byte()
        if version != 2:
            warnings.warn(
                f"Detected pickle protocol {version} in the checkpoint, which was not "
                "the default pickle protocol used by `torch.load` (2). The "
                "weights_only Unpickler might not support all instructions "
                "implemented by this protocol, please file an issue for adding "
                "support if you encounter this.",
                stacklevel=2,
            )

    # --- the stack ---

    def pop(self):
        return self.stack.pop()

    def pop_mark(self):
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def mark(self):
        self.marks.append(self.stack)
        self.stack = []

    def tuple_of_mark(self):
        items = tuple(self.pop_mark())
        self.stack.append(items)

    def tuple_of(self, n):
        if len(self.stack) < n:
            raise IndexError("pop from empty list")
        items = tuple(self.stack[-n:])
        self.stack[-n:] = [items]

    def get(self, index):
        return self.memo[index]

    def put(self, index):
        self.memo[index] = self.stack[-1]

    def append(self):
        item = self.pop()
        self.target("append to", (list,), "lists").append(item)

    def appends(self):
        items = self.pop_mark()
        self.target("extend", (list,), "lists").extend(items)

    def set_item(self):
        value, key = self.pop(), self.pop()
        self.mapping("SETITEM")[key] = value

    def set_items(self):
        items = self.pop_mark()
        target = self.mapping("SETITEMS")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key] = value

    def target(self, verb, kinds, names):
        top = self.stack[-1]
        if type(top) not in kinds:
            raise UnpicklingError(f"Can only {verb} {names}, but got {type(top)}")
        return top

    def mapping(self, opcode):
        kinds = (dict, collections.OrderedDict, collections.Counter)
        names = "dict, collections.OrderedDict, collections.Counter"
        return self.target(f"{opcode} for", kinds, names)

    # --- what could do harm ---

    def global_(self):
        module, name = _read_global(self.file)
        full = f"{module}.{name}"
        if module in _BLOCKED_MODULES:
            raise UnpicklingError(
                f"Trying to load unsupported GLOBAL {full} whose module {module} is "
                "blocked."
            )
        for table in (allowed_globals(), user_globals()):
            if full in table:
                self.stack.append(table[full])
                return
        shown = full.removeprefix("builtins.")
        raise UnpicklingError(
            f"Unsupported global: GLOBAL {shown} was not an allowed global by default. "
            f"Please use `torch.serialization.add_safe_globals([{shown}])` or the "
            f"`torch.serialization.safe_globals([{shown}])` context manager to "
            "allowlist this global if you trust this class/function."
        )

    def new_object(self):
        args, cls = self.pop(), self.pop()
        from flashlight.nn import Parameter

        if cls is Parameter:
            self.stack.append(Parameter(*args))
        elif isinstance(cls, type) and _is_allowed(cls):
            self.stack.append(cls.__new__(cls, *args))
        else:
            raise UnpicklingError(
                "Can only create new object for nn.Parameter or classes allowlisted "
                f"via `add_safe_globals` but got {cls}"
            )

    def reduce(self):
        args, function = self.pop(), self.pop()
        if not _is_allowed(function):
            message = f"Trying to call reduce for unrecognized function {function}"
            if hasattr(function, "__self__"):
                message += f" which belongs to {function.__self__}"
            raise UnpicklingError(message)
        self.stack.append(function(*args))

    def build(self):
        import flashlight

        state, made = self.pop(), self.stack[-1]
        kind = type(made)
        if kind is flashlight.Tensor:
            flashlight._utils._set_storage(made, *state)
        elif kind is flashlight.nn.Parameter:
            made.__setstate__(state)
        elif kind is collections.OrderedDict:
            made.__dict__.update(state)
        elif not _is_allowed(kind):
            raise UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted "
                f"via `add_safe_globals`, but got {kind}"
            )
        elif hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            slots = None
            if isinstance(state, tuple) and len(state) == 2:
                state, slots = state
            made.__dict__.update(state or {})
            for name, value in (slots or {}).items():
                setattr(made, name, value)

    def persistent(self):
        pid = self.pop()
        if type(pid) not in (tuple, int):
            raise UnpicklingError(
                f"persistent_load id must be tuple or int, but got {type(pid)}"
            )
        if type(pid) is tuple and pid and pid[0] not in ("storage", b"storage"):
            raise UnpicklingError(
                f"Only persistent_load of storage is allowed, but got {type(pid[0])}"
            )
        self.stack.append(self.persistent_load(pid))


class _Skipper(Unpickler):
    """Reads arguments of opcodes and does nothing with them."""

    def get(self, index):
        return None


# Opcodes that push what they read.
_READERS = {
    pickle.BININT: lambda u: u.number("<i"),
    pickle.BININT1: Unpickler.byte,
    pickle.BININT2: lambda u: u.number("<H"),
    pickle.BINFLOAT: lambda u: u.number(">d"),
    pickle.BINUNICODE: Unpickler.text,
    pickle.SHORT_BINSTRING: Unpickler.short_bytes,
    pickle.LONG1: Unpickler.long,
    pickle.BINGET: lambda u: u.get(u.byte()),
    pickle.LONG_BINGET: lambda u: u.get(u.number("<I")),
    pickle.NONE: lambda u: None,
    pickle.NEWFALSE: lambda u: False,
    pickle.NEWTRUE: lambda u: True,
    pickle.EMPTY_TUPLE: lambda u: (),
    pickle.EMPTY_LIST: lambda u: [],
    pickle.EMPTY_DICT: lambda u: {},
    pickle.EMPTY_SET: lambda u: set(),
}

_HANDLERS = {
    pickle.PROTO: Unpickler.protocol,
    pickle.MARK: Unpickler.mark,
    pickle.GLOBAL: Unpickler.global_,
    pickle.NEWOBJ: Unpickler.new_object,
    pickle.REDUCE: Unpickler.reduce,
    pickle.BUILD: Unpickler.build,
    pickle.BINPERSID: Unpickler.persistent,
    pickle.APPEND: Unpickler.append,
    pickle.APPENDS: Unpickler.appends,
    pickle.SETITEM: Unpickler.set_item,
    pickle.SETITEMS: Unpickler.set_items,
    pickle.TUPLE: Unpickler.tuple_of_mark,
    pickle.TUPLE1: lambda u: u.tuple_of(1),
    pickle.TUPLE2: lambda u: u.tuple_of(2),
    pickle.TUPLE3: lambda u: u.tuple_of(3),
    pickle.BINPUT: lambda u: u.put(u.byte()),
    pickle.LONG_BINPUT: lambda u: u.put(u.number("<I")),
}

# Of the handlers, those that read an argument.
_ARGUMENTS = {
    pickle.PROTO: Unpickler.byte,
    pickle.BINPUT: Unpickler.byte,
    pickle.LONG_BINPUT: lambda u: u.number("<I"),
}


def load(file, *, encoding="ASCII"):
    return Unpickler(file, encoding=encoding).load()
