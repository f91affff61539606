"""``torch.ops.aten``: the rows of the op table by PyTorch's names of overloads."""

import functools
import sys
import types

from flashlight import _C
from flashlight._custom_ops import OpOverload, OpOverloadPacket, Schema

__all__ = ["aten", "overload"]


@functools.cache
def _rows():
    """Name -> overload -> schema, of all rows."""
    rows = {}
    for text in _C._schemas:
        name, _, which = text.partition("(")[0].partition(".")
        rows.setdefault(name, {})[which or "default"] = text
    return rows


@functools.cache
def _info(full_name):
    return _C._op_info(full_name)


def _full_name(name, which):
    return name if which == "default" else f"{name}.{which}"


class RowOverload(OpOverload):
    """One row, or its in-place form, as a function."""

    def __init__(self, packet, which, row, inplace, text):
        super().__init__(packet, which)
        self._call = _C._overload(row, inplace)
        self._text = text
        self.is_view = _info(row)["view"]
        self.is_inplace_view = self.is_view and inplace

    @functools.cached_property
    def _schema(self):
        return Schema(f"aten::{self._text}")

    def __call__(self, *args, **kwargs):
        return self._call(*args, **kwargs)


class RowPacket(OpOverloadPacket):
    """All rows of one name, or their in-place forms."""

    def __init__(self, name, row, inplace):
        self.__name__ = name
        self.__module__ = "torch._ops.aten"
        self._row, self._inplace = row, inplace
        # Of a row, the names under which it goes: add.Tensor is add.out, too.
        self._rows = {}
        for which, text in _rows()[row].items():
            info = _info(_full_name(row, which))
            if inplace and not info["inplace"]:
                continue
            self._rows[which] = (which, text)
            if info["out"] and not inplace:
                out = "out" if which in ("default", "Tensor") else f"{which}_out"
                self._rows.setdefault(out, (which, _out_schema(out, text)))

    @property
    def _qualified_op_name(self):
        return f"aten::{self.__name__}"

    def overloads(self):
        """The names of the overloads."""
        return list(self._rows)

    def __getattr__(self, which):
        if which.startswith("__") or which not in self._rows:
            raise AttributeError(
                f"The underlying op of '{self}' has no overload name '{which}'"
            )
        row, text = self._rows[which]
        if self._inplace:
            text = _inplace_schema(text)
        found = RowOverload(
            self, which, _full_name(self._row, row), self._inplace, text
        )
        setattr(self, which, found)
        return found

    def __call__(self, *args, **kwargs):
        if self._inplace:
            return getattr(_C.TensorBase, self.__name__)(*args, **kwargs)
        return getattr(_C._aten, self._row)(*args, **kwargs)


class PropertyOverload(OpOverload):
    """What a tensor shows, as an overload that a ``__torch_dispatch__`` is asked."""

    is_view = is_inplace_view = False

    def __init__(self, packet, which, function, text):
        super().__init__(packet, which)
        self._call, self._text = function, text

    @functools.cached_property
    def _schema(self):
        return Schema(f"aten::{self._text}")

    def __call__(self, *args, **kwargs):
        return self._call(*args, **kwargs)


class PropertyPacket(OpOverloadPacket):
    """The overloads of one property."""

    def __init__(self, name, **overloads):
        self.__name__ = name
        self.__module__ = "torch._ops.aten"
        self._names = list(overloads)
        for which, (function, text) in overloads.items():
            setattr(self, which, PropertyOverload(self, which, function, text))

    @property
    def _qualified_op_name(self):
        return f"aten::{self.__name__}"

    def overloads(self):
        """The names of the overloads."""
        return list(self._names)

    def __getattr__(self, which):
        raise AttributeError(
            f"The underlying op of '{self}' has no overload name '{which}'"
        )

    def __call__(self, *args, **kwargs):
        last = self._names[-1] if len(args) + len(kwargs) > 1 else self._names[0]
        return getattr(self, last)(*args, **kwargs)


def _properties():
    def of(name, function, to="int"):
        return name, (function, f"{name}(Tensor self) -> {to}")

    contiguous = (
        lambda self, memory_format: self.is_contiguous(memory_format=memory_format),
        "is_contiguous.memory_format(Tensor self, MemoryFormat memory_format) -> bool",
    )
    more = {"is_contiguous": {"memory_format": contiguous}}
    all_of_them = [
        of("dim", lambda self: self.dim()),
        of("sym_size", lambda self: list(self.size()), "SymInt[]"),
        of("sym_stride", lambda self: list(self.stride()), "SymInt[]"),
        of("sym_numel", lambda self: self.numel(), "SymInt"),
        of("sym_storage_offset", lambda self: self.storage_offset(), "SymInt"),
        of("is_contiguous", lambda self: self.is_contiguous(), "bool"),
    ]
    for name, default in all_of_them:
        packet = PropertyPacket(name, default=default, **more.get(name, {}))
        setattr(aten, name, packet)


def _inplace_schema(text):
    """The schema of the in-place form of a row."""
    name, _, rest = text.partition("(")
    name, dot, which = name.partition(".")
    args, _, to = rest.rpartition(" -> ")
    args = args.replace("Tensor(a) self", "Tensor self")
    args = args.replace("Tensor self", "Tensor(a!) self", 1)
    return f"{name}_{dot}{which}({args} -> Tensor(a!)"


def _out_schema(which, text):
    """The schema of the ``out=`` form of a row that has one result."""
    name, _, rest = text.partition("(")
    args, _, to = rest.rpartition(") -> ")
    if to != "Tensor":
        return text  # several: the functional form's
    args += ", " if "*" in args else ", *, " if args else "*, "
    return f"{name.partition('.')[0]}.{which}({args}Tensor(a!) out) -> Tensor(a!)"


def _packet(name):
    """A packet, looked up when it is asked for."""
    row, inplace = name, False
    if name not in _rows() and name.endswith("_"):
        row, inplace = name[:-1], True
    packet = RowPacket(name, row, inplace) if row in _rows() else None
    if packet is None or not packet.overloads():
        raise AttributeError(f"'_OpNamespace' 'aten' object has no attribute '{name}'")
    setattr(aten, name, packet)
    return packet


aten = types.ModuleType("torch.ops.aten")
aten.__getattr__ = _packet  # type: ignore[method-assign]
aten.__dir__ = lambda: sorted(_rows())  # type: ignore[method-assign]
sys.modules["flashlight.ops.aten"] = aten
_properties()


def overload(full_name, form=""):
    """The overload that stands for a row: ``("add.Tensor", "")``.

    Its form is functional, or ``"inplace"`` or ``"out"``.
    """
    name, _, which = full_name.partition(".")
    if form == "out":
        which = "out" if which in ("", "Tensor") else f"{which}_out"
    return getattr(getattr(aten, name + "_" * (form == "inplace")), which or "default")
