"""Operators of one's own, with names, schemas, derivatives and rules for ``vmap``."""

import collections.abc
import contextlib
import inspect
import typing

import flashlight
from flashlight._custom_ops import (
    NAMESPACES,
    OpOverload,
    Schema,
)
from flashlight._custom_ops import define as _define
from flashlight._custom_ops import lookup

__all__ = [
    "CustomOpDef",
    "Library",
    "custom_op",
    "define",
    "impl",
    "infer_schema",
    "register_autograd",
    "register_fake",
    "register_kernel",
    "register_vmap",
]


# --- schemas of signatures ---------------------------------------------------


def _types():
    """Annotations, and their names in schemas."""
    base = {
        flashlight.Tensor: "Tensor",
        int: "SymInt",
        float: "float",
        bool: "bool",
        str: "str",
        typing.Union[int, float, bool]: "Scalar",
        flashlight.dtype: "ScalarType",
        flashlight.device: "Device",
    }
    sequences = (typing.List, typing.Sequence, list, collections.abc.Sequence)
    table = {}
    for kind, name in base.items():
        table[kind] = name
        table[typing.Optional[kind]] = name + "?"
        if name in ("str", "ScalarType", "Device"):
            continue
        for sequence in sequences:
            table[sequence[kind]] = name + "[]"
            table[typing.Optional[sequence[kind]]] = name + "[]?"
            if kind is flashlight.Tensor:
                table[sequence[typing.Optional[kind]]] = "Tensor?[]"
    return table


def _returns():
    t = flashlight.Tensor
    return {
        t: "Tensor",
        typing.List[t]: "Tensor[]",
        list[t]: "Tensor[]",
        int: "SymInt",
        float: "float",
        bool: "bool",
        typing.Union[int, float, bool]: "Scalar",
    }


def _default_text(value, fail):
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, flashlight.dtype):
        return str(value).split(".")[-1]
    if isinstance(value, flashlight.device):
        return f'"{value}"'
    fail(
        f"has an unsupported default value type {type(value)}. Please file an issue on "
        "GitHub so we can prioritize this."
    )


def infer_schema(prototype_function, /, *, mutates_args, op_name=None):
    """Return the schema of a function, by its annotations.

    Args:
        prototype_function: every parameter and the result are annotated.
        mutates_args: the names of the arguments that it writes to, or ``"unknown"``.
        op_name: the name to begin with.

    Raises:
        ValueError: an annotation or a default that a schema cannot have.

    Example:
        >>> import flashlight as torch
        >>> def scale(x: torch.Tensor, by: float = 2.0) -> torch.Tensor: ...
        >>> torch.library.infer_schema(scale, mutates_args=())
        '(Tensor x, float by=2.0) -> Tensor'
    """
    signature = inspect.signature(prototype_function)
    hints = typing.get_type_hints(prototype_function)

    def fail(what):
        raise ValueError(
            f"infer_schema(func): {what} Got func with signature " f"{signature})"
        )

    table, parts, seen_star = _types(), [], False
    for name, p in signature.parameters.items():
        if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            fail("We do not support positional-only args, varargs, or varkwargs.")
        if p.kind is p.KEYWORD_ONLY and not seen_star:
            parts.append("*")
            seen_star = True
        if p.annotation is p.empty:
            fail(f"Parameter {name} must have a type annotation.")
        annotation = hints[name]
        if annotation not in table:
            fail(
                f"Parameter {name} has unsupported type {p.annotation}. The valid "
                f"types are: {table.keys()}."
            )
        kind = table[annotation]
        written = mutates_args == "unknown" or name in mutates_args
        if written and kind.startswith("Tensor"):
            kind = f"Tensor(a{len([x for x in parts if x != '*'])}!){kind[6:]}"
        default = ""
        if p.default is not p.empty:
            default = "=" + _default_text(
                p.default, lambda what: fail(f"Parameter {name} {what}")
            )
        parts.append(f"{kind} {name}{default}")
    if mutates_args != "unknown":
        unknown = set(mutates_args) - set(signature.parameters)
        if unknown:
            fail(
                f"{unknown} in mutates_args were not found in the custom op's "
                "signature. mutates_args should contain the names of all args that the "
                "custom op mutates, or just the string 'unknown' if you don't know."
            )
    text = (
        f"({', '.join(parts)}) -> {_return_text(hints.get('return'), signature, fail)}"
    )
    return text if op_name is None else op_name + text


def _return_text(annotation, signature, fail):
    if signature.return_annotation is inspect.Signature.empty:
        fail("No return type annotation was provided. Please add one.")
    if annotation in (None, type(None)):
        return "()"
    known = _returns()
    if annotation in known:
        return known[annotation]
    if typing.get_origin(annotation) is tuple:
        parts = typing.get_args(annotation)
        if all(p in known for p in parts):
            return f"({', '.join(known[p] for p in parts)})"
    fail(f"Return has unsupported type {annotation}. The valid types are: {known}.")


# --- custom_op ---------------------------------------------------------------


class CustomOpDef:
    """An operator that :func:`custom_op` made; call it as its function."""

    def __init__(self, namespace, name, schema, fn):
        self._namespace, self._name, self._init_fn = namespace, name, fn
        self._qualname = f"{namespace}::{name}"
        self._operator = _define(Schema(self._qualname + schema))

    @property
    def _opoverload(self):
        return self._operator.packet.default

    def __repr__(self):
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args, **kwargs):
        return self._operator(*args, **kwargs)

    def register_kernel(self, device_types, fn=None, /):
        """Register the function for some types of devices; ``None`` for all others."""

        def register(fn):
            kinds = device_types
            if kinds is None or isinstance(kinds, str):
                kinds = (kinds,)
            for kind in kinds:
                self._operator.kernels[kind] = fn
            return fn

        return register if fn is None else register(fn)

    def register_fake(self, fn, /):
        """Register what gives results of the right shapes, without values."""
        self._operator.fake = fn
        return fn

    def register_autograd(self, backward, /, *, setup_context=None):
        """Register the gradient.

        Args:
            backward: of ``ctx`` and the gradients of the results, to those of the
                arguments.
            setup_context: of ``ctx``, ``inputs`` and ``output`` (and
                ``keyword_only_inputs``): saves what ``backward`` needs.

        Raises:
            RuntimeError: the operator writes to an argument.
        """
        if self._operator.schema.is_mutable:
            raise RuntimeError(
                "Cannot register autograd formula for non-functional operator "
                f"{self} with schema {self._operator.schema}. Please create a "
                "functional operator and register an autograd formula for that."
            )
        self._operator.backward = backward
        self._operator.setup_context = setup_context

    def register_vmap(self, func=None):
        """Register what the operator is of a batch, as ``vmap`` of a Function."""

        def register(func):
            self._operator.vmap = func
            return func

        return register if func is None else register(func)


def custom_op(
    name, fn=None, /, *, mutates_args, device_types=None, schema=None, tags=None
):
    """Make an operator of a function: a black box with a name and a schema.

    Args:
        name: ``"namespace::name"``; it is ``torch.ops.namespace.name`` from then on.
        fn: the function; without it, this is a decorator.
        mutates_args: the names of the arguments that it writes to, or ``"unknown"``.
        device_types: the types of devices that it is for; all by default.
        schema: by default, that of the function's annotations.
        tags: kept, of no effect.

    Raises:
        ValueError: a name without a namespace, or no schema can be told.

    Example:
        >>> import flashlight as torch
        >>> @torch.library.custom_op("docs::twice", mutates_args=())
        ... def twice(x: torch.Tensor) -> torch.Tensor:
        ...     return x * 2
        >>> twice.register_autograd(lambda ctx, grad: grad * 2)
        >>> x = torch.ones(2, requires_grad=True)
        >>> twice(x).sum().backward()
        >>> x.grad
        tensor([2., 2.])
    """

    def make(fn):
        namespace, short = name.split("::")
        text = infer_schema(fn, mutates_args=mutates_args) if schema is None else schema
        op = CustomOpDef(namespace, short, text, fn)
        op.register_kernel(device_types, fn)
        return op

    return make if fn is None else make(fn)


# --- Library -----------------------------------------------------------------

_COMPOSITE = "CompositeImplicitAutograd"
_KEYS = {
    "": None,
    "CompositeExplicitAutograd": None,
    "CPU": "cpu",
    "CUDA": "cuda",
    "MPS": "mps",
}
_defining = {"aten", "prim", "prims"}


class Library:
    """A namespace of operators.

    Args:
        ns: its name.
        kind: ``"DEF"`` (there can be one), ``"FRAGMENT"`` or ``"IMPL"``.
        dispatch_key: the key of :meth:`impl` where none is given.

    Raises:
        ValueError: another kind.
        RuntimeError: a second ``"DEF"`` of a namespace.
    """

    def __init__(self, ns, kind, dispatch_key=""):
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}")
        if kind == "DEF":
            if ns in _defining:
                raise RuntimeError(
                    "Only a single TORCH_LIBRARY can be used to register the namespace "
                    f"{ns}; please put all of your definitions in a single "
                    "TORCH_LIBRARY block.  If you were trying to specify "
                    "implementations, consider using TORCH_LIBRARY_IMPL (which can be "
                    "duplicated).  If you really intended to define operators for a "
                    "single namespace in a distributed way, you can use "
                    "TORCH_LIBRARY_FRAGMENT to explicitly indicate this."
                )
            _defining.add(ns)
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema, alias_analysis="", *, tags=()):
        """Register a schema; the name of the operator is returned."""
        operator = _define(Schema(f"{self.ns}::{schema}"))
        return operator.schema.name.split("::")[1]

    def impl(
        self, op_name, fn, dispatch_key="", *, with_keyset=False, allow_override=False
    ):
        """Register a function for an operator, under a dispatch key."""
        if with_keyset:
            raise NotImplementedError("Library.impl(): with_keyset is not supported")
        if isinstance(op_name, str) and "::" not in op_name:
            op_name = f"{self.ns}::{op_name}"
        operator = lookup(op_name)
        key = dispatch_key or self.dispatch_key
        if key in (_COMPOSITE, "Autograd", "AutogradCPU"):
            operator.composite = fn
        elif key == "Meta":
            operator.fake = fn
        elif key in _KEYS:
            operator.kernels[_KEYS[key]] = fn
        else:
            raise NotImplementedError(
                f"Library.impl(): the dispatch key {key!r} is not supported"
            )

    def _destroy(self):
        _defining.discard(self.ns)
        NAMESPACES.pop(self.ns, None)


@contextlib.contextmanager
def _scoped_library(*args, **kwargs):
    """A library whose operators go with the block."""
    library = Library(*args, **kwargs)
    try:
        yield library
    finally:
        library._destroy()


def define(qualname, schema, *, lib=None, tags=()):
    """Register ``qualname`` with a schema such as ``"(Tensor x) -> Tensor"``."""
    if "::" not in qualname:
        raise ValueError(
            "torch.library.define(qualname, schema): expected qualname to be "
            f"'namespace::name', got {qualname}"
        )
    _define(Schema(qualname + schema))


def impl(qualname, types, func=None, *, lib=None):
    """Register a function of an operator for types of devices (``"default"``: all)."""

    def register(func):
        kinds = (types,) if isinstance(types, str) else types
        for kind in kinds:
            lookup(qualname).kernels[None if kind == "default" else kind] = func
        return func

    return register if func is None else register(func)


def _of(op):
    if isinstance(op, CustomOpDef):
        return op._operator
    if not isinstance(op, (str, OpOverload)):
        raise ValueError(f"expected a name, an OpOverload or a CustomOpDef, got {op!r}")
    return lookup(op)


def register_kernel(op, device_types, func=None, /, *, lib=None):
    """As :meth:`CustomOpDef.register_kernel`, of an operator or its name."""

    def register(func):
        kinds = device_types
        if kinds is None or isinstance(kinds, str):
            kinds = (kinds,)
        for kind in kinds:
            _of(op).kernels[kind] = func
        return func

    return register if func is None else register(func)


def register_fake(op, func=None, /, *, lib=None, _stacklevel=1, allow_override=False):
    """As :meth:`CustomOpDef.register_fake`, of an operator or its name."""

    def register(func):
        _of(op).fake = func
        return func

    return register if func is None else register(func)


def register_autograd(op, backward, /, *, setup_context=None, lib=None):
    """As :meth:`CustomOpDef.register_autograd`, of an operator or its name."""
    operator = _of(op)
    operator.backward, operator.setup_context = backward, setup_context


def register_vmap(op, func=None, /, *, lib=None):
    """As :meth:`CustomOpDef.register_vmap`, of an operator or its name."""

    def register(func):
        _of(op).vmap = func
        return func

    return register if func is None else register(func)
