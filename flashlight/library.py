"""Operators of one's own, with names, schemas, derivatives and rules for ``vmap``."""

import collections.abc
import contextlib
import inspect
import logging
import re
import typing
import warnings
import weakref

import flashlight
from flashlight._custom_ops import OpOverload, Schema, backend_key
from flashlight._custom_ops import define as _define
from flashlight._custom_ops import forget, lookup

__all__ = [
    "CustomOpDef",
    "Library",
    "custom_op",
    "define",
    "fallthrough_kernel",
    "get_ctx",
    "impl",
    "impl_abstract",
    "infer_schema",
    "register_autocast",
    "register_autograd",
    "register_fake",
    "register_kernel",
    "register_torch_dispatch",
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

    if isinstance(mutates_args, str) and mutates_args != "unknown":
        raise ValueError(
            "mutates_args must either be a sequence of the names of the arguments that "
            "are mutated or the string 'unknown'. "
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

_log = logging.getLogger("torch._library.custom_ops")


def _is_tensors(argument):
    return argument.type.startswith("Tensor")


def _check_no_keyword_tensors(schema, what):
    if any(a.kwarg_only and _is_tensors(a) for a in schema.arguments):
        raise NotImplementedError(
            f"{what} with kwarg-only Tensor args. Please make your tensors not "
            f"kwarg-only. Got: {schema}"
        )


class CustomOpDef:
    """An operator that :func:`custom_op` made; call it as its function."""

    def __init__(self, namespace, name, schema, fn, tags=()):
        self._namespace, self._name, self._init_fn = namespace, name, fn
        self._qualname = f"{namespace}::{name}"
        schema = Schema(self._qualname + schema)
        _check_no_keyword_tensors(schema, "custom_op")
        self._operator = _define(schema, tags, replace=True)
        self._operator.owner, self._operator.records = self, True

    @property
    def _opoverload(self):
        return self._operator.overload

    def __repr__(self):
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args, **kwargs):
        return self._operator(*args, **kwargs)

    def _trivial_fake(self, *args, **kwargs):
        """On meta tensors, where no other function is registered for them."""
        schema = self._operator.schema
        if not schema.is_mutable or schema.returns:
            raise RuntimeError(
                f"There was no fake impl registered for {self}. This is necessary for "
                "torch.compile/export/fx tracing to work. Please use "
                f"`{self._init_fn.__name__}.register_fake` to add an fake impl."
            )

    def register_kernel(self, device_types, fn=None, /):
        """Register the function for some types of devices; ``None`` for all others."""

        def register(fn):
            schema = self._operator.schema
            if device_types is not None and not (
                any(map(_is_tensors, schema.arguments))
                or any(a.name == "device" for a in schema.arguments)
            ):
                raise ValueError(
                    "Functions without tensor inputs are required to have a `device: "
                    "torch.device` argument"
                )
            for key in _keys_of(device_types):
                self._operator.kernels[key] = fn
            return fn

        return register if fn is None else register(fn)

    def register_fake(self, fn, /):
        """Register what gives results of the right shapes, without values."""
        self._operator.kernels["Meta"] = fn
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
        _register_formula(self._operator, self, backward, setup_context)

    def register_vmap(self, func=None):
        """Register what the operator is of a batch, as ``vmap`` of a Function."""

        def register(func):
            self._operator.vmap = func
            return func

        return register if func is None else register(func)

    def register_torch_dispatch(self, torch_dispatch_class, fn=None, /):
        """Register what a mode, or a class of tensors, makes of the operator.

        Args:
            torch_dispatch_class: the class; of its subclasses nothing is said.
            fn: of the mode or the class, then as ``__torch_dispatch__``.
        """

        def register(fn):
            _add_rule(self._opoverload, torch_dispatch_class, fn)
            return fn

        return register if fn is None else register(fn)

    def register_autocast(self, device_type, cast_inputs):
        """Register the dtype that autocast gives floating inputs.

        Args:
            device_type: ``"cpu"`` or ``"cuda"``.
            cast_inputs: the dtype.
        """
        if not isinstance(device_type, str):
            raise ValueError(
                f"Expected `device_type` of type `str`, got: `{type(device_type)}`"
            )
        if device_type not in ("cpu", "cuda"):
            raise ValueError(f"Unknown device type: {device_type}")
        self._operator.casts[device_type] = cast_inputs

    @contextlib.contextmanager
    def set_kernel_enabled(self, device_type, enabled=True):
        """A block in which the function for a type of devices is used, or is not.

        Args:
            device_type: ``"cpu"``, ...
            enabled: whether it is used; else that for all others.
        """
        operator, key = self._operator, backend_key(device_type)
        before = set(operator.disabled)
        if key not in operator.kernels:
            _log.warning(
                "Attempted to set kernel enabled for %s but no kernel was registered "
                "for this device type.",
                device_type,
            )
        if enabled and key not in before:
            _log.warning(
                "Attempted to enable kernel for %s but it was already enabled.",
                device_type,
            )
        if not enabled and key in before:
            _log.warning(
                "Attempted to disable kernel for %s but it was already disabled.",
                device_type,
            )
        (operator.disabled.discard if enabled else operator.disabled.add)(key)
        try:
            yield
        finally:
            operator.disabled = before


def _keys_of(device_types):
    kinds = device_types
    if kinds is None or isinstance(kinds, str):
        kinds = (kinds,)
    return [
        _EXPLICIT if kind in (None, "default") else backend_key(kind) for kind in kinds
    ]


def _register_formula(operator, what, backward, setup_context):
    if operator.schema.is_mutable:
        raise RuntimeError(
            "Cannot register autograd formula for non-functional operator "
            f"{what} with schema {operator.schema}. Please create a functional "
            "operator and register an autograd formula for that."
        )
    _check_no_keyword_tensors(operator.schema, "register_autograd")
    operator.backward, operator.setup_context = backward, setup_context
    operator.records = True


def _add_rule(overload, cls, fn):
    overload._rules = {**overload._rules, cls: fn}


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
        tags: what the overload shows as its ``tags``.

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
        namespace, short = _split_name(name)
        text = infer_schema(fn, mutates_args=mutates_args) if schema is None else schema
        if schema is not None:
            _check_mutates(name, Schema(name + schema), mutates_args)
        op = CustomOpDef(namespace, short, text, fn, _tags(tags))
        op.register_kernel(device_types, fn)
        return op

    return make if fn is None else make(fn)


def _split_name(name):
    parts = name.split("::")
    if len(parts) != 2:
        raise ValueError(
            'Expected `qualname` to be of the form "namespace::name", but got '
            f"{name}. The qualname passed to the torch.library APIs must consist of a "
            "namespace and a name, e.g. aten::sin"
        )
    return parts


def _tags(tags):
    if tags is None:
        return ()
    return tuple(tags) if isinstance(tags, (list, tuple, set)) else (tags,)


def _check_mutates(name, schema, mutates_args):
    written = {a.name for a in schema.arguments if a.is_write}
    if mutates_args != "unknown" and set(mutates_args) != written:
        raise ValueError(
            f"Attempted to create a custom op with `mutates_args={mutates_args}` and "
            f"`schema={schema}. The schema suggests that the op mutates "
            f"{written or set()} which is different from what was provided to us in "
            "`mutates_args`. Please make these consistent."
        )


# --- Library -----------------------------------------------------------------

_EXPLICIT, _IMPLICIT = "CompositeExplicitAutograd", "CompositeImplicitAutograd"
_BACKENDS = ("CPU", "CUDA", "MPS", "XPU", "Meta")
_KEYS = {
    *(_EXPLICIT, _IMPLICIT, *_BACKENDS),
    *("Autograd" + key for key in ("", *_BACKENDS)),
    *("Autocast" + key for key in _BACKENDS),
}
_defining = {"aten", "prims"}
_impls: set = set()  # "ns/name/key"
_defs: set = set()  # "ns::name"
_kept: list = []  # libraries of define() and impl(), which nobody else holds


def _undo(impls, own_impls, defs, own_defs, undone):
    """What a library has registered goes, the last first."""
    while undone:
        undone.pop()()
    impls -= own_impls
    defs -= own_defs


class Library:
    """A namespace of operators, which are there for as long as it is.

    Args:
        ns: its name.
        kind: ``"DEF"`` (there can be one), ``"FRAGMENT"`` or ``"IMPL"``.
        dispatch_key: the key of :meth:`impl` where none is given.

    Raises:
        ValueError: another kind, or a name that is reserved.
        RuntimeError: a second ``"DEF"`` of a namespace.
    """

    def __init__(self, ns, kind, dispatch_key=""):
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}")
        if ns == "prim" and kind != "IMPL":
            raise ValueError(
                f"{ns} is a reserved namespace. Please try creating a library with "
                "another name."
            )
        if kind == "DEF" and ns in _defining:
            raise RuntimeError(
                "Only a single TORCH_LIBRARY can be used to register the namespace "
                f"{ns}; please put all of your definitions in a single "
                "TORCH_LIBRARY block.  If you were trying to specify "
                "implementations, consider using TORCH_LIBRARY_IMPL (which can be "
                "duplicated).  If you really intended to define operators for a "
                "single namespace in a distributed way, you can use "
                "TORCH_LIBRARY_FRAGMENT to explicitly indicate this."
            )
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self._op_impls: set = set()
        self._op_defs: set = set()
        self._registration_handles: list = []
        if kind == "DEF":
            _defining.add(ns)
            self._registration_handles.append(lambda: _defining.discard(ns))
        self._end = weakref.finalize(
            self,
            _undo,
            _impls,
            self._op_impls,
            _defs,
            self._op_defs,
            self._registration_handles,
        )
        self._end.atexit = False

    def __repr__(self):
        return (
            f"Library(kind={self.kind}, ns={self.ns}, "
            f"dispatch_key={self.dispatch_key})>"
        )

    def define(self, schema, alias_analysis="", *, tags=()):
        """Register a schema; the name of the operator is returned."""
        if alias_analysis not in ("", "FROM_SCHEMA", "CONSERVATIVE"):
            raise RuntimeError(f"Invalid alias_analysis type {alias_analysis}")
        operator = _define(Schema(f"{self.ns}::{schema}"), _tags(tags))
        name = operator.overload.name()
        self._op_defs.add(name)
        _defs.add(name)
        self._registration_handles.append(lambda: forget(operator))
        return operator.schema.name.split("::")[1]

    def impl(
        self, op_name, fn, dispatch_key="", *, with_keyset=False, allow_override=False
    ):
        """Register a function for an operator, under a dispatch key."""
        if not callable(fn):
            raise TypeError(
                f"Input function is required to be a callable but found type {type(fn)}"
            )
        if with_keyset:
            raise NotImplementedError("Library.impl(): with_keyset is not supported")
        if fn is fallthrough_kernel:
            raise NotImplementedError("fallthrough_kernel is not supported")
        if isinstance(op_name, OpOverload):
            op_name = op_name.name()
        ns, _, short = op_name.rpartition("::")
        if ns and ns != self.ns:
            raise RuntimeError(
                f'impl("{op_name}", ...): Explicitly provided namespace ({ns}) in '
                "operator name does not match namespace of enclosing "
                f"TORCH_LIBRARY_IMPL block ({self.ns}).  Move this definition to the "
                "(unique) TORCH_LIBRARY block corresponding to this namespace (and "
                "consider deleting the namespace from your schema string.)"
            )
        key = dispatch_key or self.dispatch_key or _IMPLICIT
        if self.dispatch_key and key != self.dispatch_key:
            raise RuntimeError(
                f'impl("{op_name}", ...): Explicitly provided dispatch key ({key}) is '
                "inconsistent with the dispatch key of the enclosing "
                f"TORCH_LIBRARY_IMPL block ({self.dispatch_key}).  Please declare a "
                "separate TORCH_LIBRARY_IMPL block for this dispatch key and move your "
                "impl() there."
            )
        if key not in _KEYS:
            raise NotImplementedError(
                f"Library.impl(): the dispatch key {key!r} is not supported"
            )
        whole = f"{self.ns}/{short}/{key}"
        if whole in _impls and not allow_override:
            warnings.warn(
                "Overriding a previously registered kernel for the same operator and "
                f"the same dispatch key\n  operator: {self.ns}::{short}\n  dispatch "
                f"key: {key}",
                stacklevel=2,
            )
        self._put(lookup(f"{self.ns}::{short}").kernels, key, fn)
        _impls.add(whole)
        self._op_impls.add(whole)

    def _put(self, table, key, value):
        """Set an entry; what was there comes back with the library's end."""
        missing = object()
        before = table.get(key, missing)
        table[key] = value

        def undo():
            if table.get(key) is value:
                table.pop(key) if before is missing else table.update({key: before})

        self._registration_handles.append(undo)

    def fallback(self, fn, dispatch_key="", *, with_keyset=False):
        """Not supported: there are no operators that a key is asked for in general."""
        raise NotImplementedError("Library.fallback() is not supported")

    def _register_fake(self, op_name, fn, _stacklevel=1, *, allow_override=False):
        self._put(lookup(f"{self.ns}::{op_name}").kernels, "Meta", fn)

    def _register_torch_dispatch_rule(self, op_name, torch_dispatch_class, fn):
        overload = lookup(f"{self.ns}::{op_name}").overload
        _add_rule(overload, torch_dispatch_class, fn)

        def undo():
            overload._rules = {
                c: f
                for c, f in overload._rules.items()
                if c is not torch_dispatch_class
            }

        self._registration_handles.append(undo)

    def _destroy(self):
        self._end()


def fallthrough_kernel():
    """A mark that PyTorch takes for "ask the next key"; it cannot be called."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


@contextlib.contextmanager
def _scoped_library(*args, **kwargs):
    """A library whose operators go with the block."""
    library = Library(*args, **kwargs)
    try:
        yield library
    finally:
        library._destroy()


def _kept_library(ns, kind):
    library = Library(ns, kind)
    _kept.append(library)
    return library


def define(qualname, schema=None, *, lib=None, tags=(), alias_analysis=""):
    """Register ``qualname`` with a schema such as ``"(Tensor x) -> Tensor"``.

    Of old also a decorator, ``define(library, "name(Tensor x) -> Tensor")``.
    """
    if isinstance(qualname, Library):

        def wrap(f):
            qualname.define(schema, alias_analysis)
            qualname.impl(schema.partition("(")[0].strip(), f)
            return f

        return wrap
    if not isinstance(qualname, str):
        raise ValueError(
            "define(qualname, schema): expected qualname to be instance of str, got "
            f"{type(qualname)}"
        )
    namespace, name = _split_name(qualname)
    if not re.fullmatch(r"\(.*\) -> .*", schema):
        raise ValueError(
            "define(qualname, schema, ...): expected schema to look like e.g. "
            f'"(Tensor x) -> Tensor" but got "{schema}"'
        )
    library = lib or _kept_library(namespace, "FRAGMENT")
    library.define(name + schema, alias_analysis, tags=tags)


def impl(qualname, types, func=None, *, lib=None):
    """Register a function of an operator for types of devices (``"default"``: all).

    Of old also a decorator, ``impl(library, name, dispatch_key)``.
    """
    if isinstance(qualname, Library):
        library, name, key = qualname, types, func or ""

        def wrap(f):
            library.impl(name, f, key)
            return f

        return wrap
    kinds = (types,) if isinstance(types, str) else tuple(types)
    for kind in kinds:
        if kind not in ("default", *_KEYS):
            flashlight.device(kind)  # raises for what is none
    keys = [kind if kind in _KEYS else _keys_of(kind)[0] for kind in kinds]

    def register(func):
        namespace, name = _split_name(qualname)
        library = lib or _kept_library(namespace, "FRAGMENT")
        for key in keys:
            library.impl(name, func, key)
        return func

    return register if func is None else register(func)


def _of(op):
    if isinstance(op, CustomOpDef):
        return op._operator
    if not isinstance(op, (str, OpOverload)):
        raise ValueError(f"expected a name, an OpOverload or a CustomOpDef, got {op!r}")
    return lookup(op)


def _owner(op):
    return op if isinstance(op, CustomOpDef) else _of(op).owner


def _library_of(operator, lib):
    return lib or _kept_library(operator.schema.name.split("::")[0], "FRAGMENT")


def register_kernel(op, device_types, func=None, /, *, lib=None):
    """As :meth:`CustomOpDef.register_kernel`, of an operator or its name."""

    def register(func):
        operator = _of(op)
        if operator.owner is not None:
            return operator.owner.register_kernel(device_types, func)
        library = _library_of(operator, lib)
        for key in _keys_of(device_types):
            library.impl(operator.overload.name(), func, key)
        return func

    return register if func is None else register(func)


def register_fake(op, func=None, /, *, lib=None, _stacklevel=1, allow_override=False):
    """As :meth:`CustomOpDef.register_fake`, of an operator or its name."""

    def register(func):
        operator = _of(op)
        if operator.owner is not None:
            return operator.owner.register_fake(func)
        name = operator.overload.name().split("::")[1]
        _library_of(operator, lib)._register_fake(name, func)
        return func

    return register if func is None else register(func)


def impl_abstract(qualname, func=None, *, lib=None, _stacklevel=1):
    """The name that :func:`register_fake` had."""
    warnings.warn(
        "torch.library.impl_abstract was renamed to torch.library.register_fake. "
        "Please use that instead; we will remove torch.library.impl_abstract in a "
        "future version of PyTorch.",
        FutureWarning,
        stacklevel=2,
    )
    return register_fake(qualname, func, lib=lib)


def register_autograd(op, backward, /, *, setup_context=None, lib=None):
    """As :meth:`CustomOpDef.register_autograd`, of an operator or its name."""
    operator = _of(op)
    what = operator.owner or operator.overload
    before = operator.backward, operator.setup_context, operator.records
    _register_formula(operator, what, backward, setup_context)

    def undo():
        if operator.backward is backward:
            operator.backward, operator.setup_context, operator.records = before

    if lib is not None:
        lib._registration_handles.append(undo)


def register_vmap(op, func=None, /, *, lib=None):
    """As :meth:`CustomOpDef.register_vmap`, of an operator or its name."""

    def register(func):
        operator = _of(op)
        _check_no_keyword_tensors(operator.schema, "register_vmap")
        operator.vmap = func
        return func

    return register if func is None else register(func)


def register_torch_dispatch(op, torch_dispatch_class, func=None, /, *, lib=None):
    """As :meth:`CustomOpDef.register_torch_dispatch`, of an operator or its name."""

    def register(func):
        operator = _of(op)
        if lib is None:
            _add_rule(operator.overload, torch_dispatch_class, func)
        else:
            name = operator.overload.name().split("::")[1]
            lib._register_torch_dispatch_rule(name, torch_dispatch_class, func)
        return func

    return register if func is None else register(func)


def register_autocast(op, device_type, cast_inputs, /, *, lib=None):
    """As :meth:`CustomOpDef.register_autocast`, of an operator or its name."""
    operator = _of(op)
    if operator.owner is not None:
        operator.owner.register_autocast(device_type, cast_inputs)
        return
    if not isinstance(device_type, str) or device_type not in ("cpu", "cuda"):
        raise ValueError(f"Unknown device type: {device_type}")
    _library_of(operator, lib)._put(operator.casts, device_type, cast_inputs)


def get_ctx():
    """What a fake function asks for sizes that depend on data: there is none here.

    Raises:
        RuntimeError: always: results on the meta device have sizes that are known.
    """
    raise RuntimeError(
        "Attempted to call get_ctx() for the meta implementation for an operator. You "
        "have presumably called get_ctx() because the operator has a data-dependent "
        "output shape; if so, there is no such meta implementation and this error is "
        "the correct behavior."
    )
