"""Operators that a program defines: their schemas, kernels and derivatives."""

import numbers
import re
import types
import warnings

import flashlight
from flashlight import _C
from flashlight.amp.autocast_mode import _cast as cast
from flashlight.autograd.function import Function
from flashlight.utils import _python_dispatch
from flashlight.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["Operator", "OpOverload", "OpOverloadPacket", "Schema"]


# --- schemas -----------------------------------------------------------------


def _split(text):
    """The parts between commas that are in no brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if c == "," and not depth:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [p.strip() for p in parts if p.strip()]


_LITERALS = {"None": None, "True": True, "False": False}


def _default(text, kind):
    if text in _LITERALS:
        return _LITERALS[text]
    if text[:1] in "\"'":
        device = kind.startswith("Device")
        return flashlight.device(text[1:-1]) if device else text[1:-1]
    if text.startswith("["):
        return [_default(x, kind) for x in _split(text[1:-1])]
    if hasattr(flashlight, text):
        return getattr(flashlight, text)  # a dtype's name
    number = float(text)
    whole = number.is_integer() and not kind.startswith("float")
    return int(number) if whole else number


class Argument:
    """One argument of a schema."""

    _PATTERN = re.compile(
        r"(?P<type>\w+)(\((?P<alias>[^)]*)\))?(?P<rest>[\[\]?\d]*) (?P<name>\w+)"
        r"(\s*=\s*(?P<default>.*))?$"
    )

    def __init__(self, text, kwarg_only):
        match = self._PATTERN.match(text)
        if match is None:
            raise RuntimeError(f"cannot parse the argument {text!r} of a schema")
        self.name = match["name"]
        self.type = match["type"] + match["rest"]
        alias = match["alias"] or ""
        self.alias, self.is_write = alias.rstrip("!"), alias.endswith("!")
        self.kwarg_only = kwarg_only
        self.has_default = match["default"] is not None
        self.default_value = (
            _default(match["default"], self.type) if self.has_default else None
        )


_KINDS = {
    "Tensor": lambda x: _is_tensor(x),
    "int": lambda x: hasattr(x, "__index__"),
    "SymInt": lambda x: hasattr(x, "__index__"),
    "float": lambda x: isinstance(x, numbers.Real),
    "bool": lambda x: isinstance(x, bool),
    "str": lambda x: isinstance(x, str),
    "Scalar": lambda x: isinstance(x, numbers.Number) or _is_tensor(x),
    "ScalarType": lambda x: isinstance(x, flashlight.dtype),
    "Device": lambda x: isinstance(x, (str, int, flashlight.device)),
}


def _fits(kind, value):
    """Whether a value is of a type of schemas, such as ``Tensor?[]``."""
    if kind.endswith("?"):
        return value is None or _fits(kind[:-1], value)
    if kind.endswith("]"):
        inner, _, count = kind[:-1].rpartition("[")
        if isinstance(value, (list, tuple)):
            return all(_fits(inner, x) for x in value)
        return bool(count) and _fits(inner, value)  # int[2]: one for both
    return kind not in _KINDS or _KINDS[kind](value)


class Schema:
    """``ns::name(Tensor x, *, int n=2) -> Tensor``, parsed."""

    def __init__(self, text):
        match = re.match(
            r"(?P<name>[\w:.]+)\s*\((?P<args>.*)\)\s*->\s*(?P<to>.*)$", text
        )
        if match is None:
            raise RuntimeError(f"cannot parse the schema {text!r}")
        self.text = text
        self.name, _, self.overload_name = match["name"].partition(".")
        self.arguments = []
        kwarg_only = False
        for part in _split(match["args"]):
            if part == "*":
                kwarg_only = True
            else:
                self.arguments.append(Argument(part, kwarg_only))
        to = match["to"].strip()
        self.returns = _split(to[1:-1] if to.startswith("(") else to)

    @property
    def is_mutable(self):
        return any(a.is_write for a in self.arguments)

    def __str__(self):
        return self.text

    __repr__ = __str__

    def bound(self, args, kwargs):
        """The arguments of a call in order, and those by keyword; defaults filled."""
        places = [a for a in self.arguments if not a.kwarg_only]
        if len(args) > len(places):
            raise RuntimeError(
                f"{self.name}() expected at most {len(places)} argument(s) but "
                f"received {len(args)} argument(s). Declaration: {self.text}"
            )
        given = dict(zip((a.name for a in places), args))
        for name, value in kwargs.items():
            if name in given or name not in {a.name for a in self.arguments}:
                what = (
                    "specified twice" if name in given else "Unknown keyword argument"
                )
                raise RuntimeError(
                    f"{self.name}() {what} '{name}'. Declaration: {self.text}"
                )
            given[name] = value
        for a in self.arguments:
            if a.name not in given:
                if not a.has_default:
                    raise RuntimeError(
                        f"{self.name}() is missing value for argument '{a.name}'. "
                        f"Declaration: {self.text}"
                    )
                given[a.name] = a.default_value
            value = given[a.name]
            if not _fits(a.type, value):
                raise RuntimeError(
                    f"{self.name}() Expected a value of type '{a.type}' for argument "
                    f"'{a.name}' but instead found type '{type(value).__name__}'.\n"
                    f"Position: {self.arguments.index(a)}\nValue: {value!r}\n"
                    f"Declaration: {self.text}\n"
                    f"Cast error details: Unable to cast {value} to {a.type}"
                )
        positional = tuple(given[a.name] for a in places)
        keywords = {a.name: given[a.name] for a in self.arguments if a.kwarg_only}
        return positional, keywords


# --- operators ---------------------------------------------------------------


def _is_tensor(x):
    return isinstance(x, flashlight.Tensor)


def backend_key(device_type):
    """The dispatch key of a type of devices: ``"cpu"`` has ``"CPU"``."""
    return "Meta" if device_type == "meta" else device_type.upper()


EXPLICIT, IMPLICIT = "CompositeExplicitAutograd", "CompositeImplicitAutograd"

_NO_AUTOGRAD_KERNEL = (
    "{}: an autograd kernel was not registered to the Autograd key(s) but we are "
    "trying to backprop through it. This may lead to silently incorrect behavior. This "
    "behavior is deprecated and will be removed in a future version of PyTorch. If "
    "your operator is differentiable, please ensure you have registered an autograd "
    "kernel to the correct Autograd key (e.g. DispatchKey::Autograd, "
    "DispatchKey::CompositeImplicitAutograd). If your operator is not differentiable, "
    "or to squash this warning and use the previous behavior, please register "
    "torch::CppFunction::makeFallthrough() to DispatchKey::Autograd."
)


class _Unknown(Function):
    """Results of a kernel that autograd knows nothing of."""

    @staticmethod
    def forward(ctx, name, count, *tensors):
        ctx.name, ctx.inputs = name, len(tensors) + 2
        return tuple(t.detach() for t in tensors[:count])

    @staticmethod
    def backward(ctx, *grads):
        warnings.warn(_NO_AUTOGRAD_KERNEL.format(ctx.name), stacklevel=2)
        return (None,) * ctx.inputs


class Operator:
    """One overload: what is registered of it, by dispatch key, and how it is called.

    A call goes through the keys as PyTorch's dispatcher does: autocast, autograd, the
    modes and classes that dispatch, the kernel of the device.
    """

    def __init__(self, schema, packet, tags=()):
        self.schema, self.tags = schema, tuple(tags)
        self.kernels: dict = {}  # by dispatch key
        self.disabled: set = set()  # keys whose kernels are not used
        self.casts: dict = {}  # of autocast: device type -> dtype
        self.records = False  # custom_op() and register_autograd(): by the formula
        self.backward = self.setup_context = None
        self.vmap = None
        self.owner = None  # the CustomOpDef
        self.overload = OpOverload(packet, schema.overload_name or "default", self)

    @property
    def dotted(self):
        return str(self.overload)

    def kernel(self, args, kwargs, tensors):
        """The function that runs the operator: of the device, or of all."""
        on_device = bool(tensors)
        if on_device:
            kinds = [t.device.type for t in tensors]
            device = next((kind for kind in kinds if kind != "cpu"), "cpu")
        else:
            device = self._device_argument(args, kwargs)
        for key in (device and backend_key(device), EXPLICIT, IMPLICIT):
            if key in self.kernels and key not in self.disabled:
                return self.kernels[key]
            if key == "Meta" and self.owner is not None:
                return self.owner._trivial_fake
        if self.owner is not None and device is not None:
            raise RuntimeError(
                f"{self.owner._name} does not have a kernel registered for {device}. "
                "Please use register_kernel to do so."
            )
        if not on_device:
            raise NotImplementedError(
                "There were no tensor arguments to this function (e.g., you passed an "
                "empty list of Tensors), but no fallback function is registered for "
                f"schema {self.overload.name()}. This usually means that this function "
                "requires a non-empty list of Tensors, or that you (the operator "
                "writer) forgot to register a fallback function."
            )
        raise NotImplementedError(
            f"Could not run '{self.overload.name()}' with arguments from the "
            f"'{backend_key(device)}' backend. This could be because the operator "
            "doesn't exist for this backend, or was omitted during the "
            "selective/custom build process (if using custom build)."
        )

    def _device_argument(self, args, kwargs):
        given = dict(zip((a.name for a in self.schema.arguments), args), **kwargs)
        for a in self.schema.arguments:
            if a.type.startswith("Device") and given[a.name] is not None:
                return flashlight.device(given[a.name]).type
        return None

    def run(self, args, kwargs, tensors):
        """What is below autograd: modes, classes that dispatch, and the kernel."""
        overloaded = _C._overloaded(tensors)
        if overloaded or _python_dispatch.modes():
            func = self.overload
            return _python_dispatch.dispatch(func, args, kwargs, overloaded)
        kernel = self.kernel(args, kwargs, tensors)
        versions = [(t, t._version) for t in self._written(args, kwargs)]
        result = kernel(*args, **kwargs)
        for t, version in versions:
            if t._version == version:  # what numpy writes is not seen
                t._bump_version()
        if self.owner is not None:
            self._check_aliases(tensors, result)
        return result

    def _written(self, args, kwargs):
        """The tensors that the schema says are written to."""
        given = None
        for i, a in enumerate(self.schema.arguments):
            if not a.is_write:
                continue
            given = given or [*args, *kwargs.values()]
            for t in tree_flatten(given[i])[0]:
                if _is_tensor(t) and not t.is_inference():
                    yield t

    def _check_aliases(self, tensors, result):
        seen = {t.untyped_storage()._cdata for t in tensors}
        for y in filter(_is_tensor, tree_flatten(result)[0]):
            storage = y.untyped_storage()._cdata
            if storage in seen:
                raise RuntimeError(
                    f"{self.owner._qualname} (with implementation in "
                    f"{self.owner._init_fn.__module__}): The output of this custom "
                    "operator (1) must not also be an input to this custom operator "
                    "and (2) may not alias any inputs to this custom operator or other "
                    "returns. The most common way to trigger this error is if we have "
                    "y = custom_op(x) and y and x are the same Tensor. Please instead "
                    "return a clone of the offending output tensor(s) (e.g. return "
                    "x.clone()) or refactor the custom operator to not return y."
                )
            seen.add(storage)

    def __call__(self, *args, **kwargs):
        args, kwargs = self.schema.bound(args, kwargs)
        leaves, spec = tree_flatten((args, kwargs))
        tensors = [x for x in leaves if _is_tensor(x)]
        device = tensors[0].device.type if tensors else None
        autocasts = device not in (None, "meta")  # there is none of meta tensors
        if autocasts and flashlight.is_autocast_enabled(device):
            if device in self.casts:
                dtype = self.casts[device]
                with flashlight.autocast(device, enabled=False):
                    return self.overload(
                        *cast(args, device, dtype), **cast(kwargs, device, dtype)
                    )
            kernel = self.kernels.get("Autocast" + backend_key(device))
            if kernel is not None:
                return kernel(*args, **kwargs)
        if device is None or _python_dispatch.is_below_autograd():
            return self.run(args, kwargs, tensors)
        kernel = self.autograd_kernel(device)
        if kernel is not None:
            return kernel(*args, **kwargs)
        recording = flashlight.is_grad_enabled() and any(
            x.requires_grad for x in tensors
        )
        inside = _C._top_level() is not None or _C._forward_enabled()
        if not recording and not inside:
            return self.run(args, kwargs, tensors)
        if self.schema.is_mutable:
            with flashlight.no_grad():
                return self.run(args, kwargs, tensors)
        if not self.records and not inside:
            return self._unknown(args, kwargs, tensors)
        found = [None]
        outputs = _function(self, spec, found).apply(*leaves)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return tree_unflatten(outputs, found[0])

    def autograd_kernel(self, device):
        """What is called in the place of the formula, if there is such a kernel."""
        key = backend_key(device)
        for name in (f"Autograd{key}", "Autograd"):
            if name in self.kernels:
                return self.kernels[name]
        # That of all keys is autograd's where nothing else is for the device.
        if self.records or key in self.kernels or EXPLICIT in self.kernels:
            return None
        return self.kernels.get(IMPLICIT)

    def _unknown(self, args, kwargs, tensors):
        # As PyTorch: what the kernel itself records stands.
        leaves, spec = tree_flatten(self.run(args, kwargs, tensors))
        places = [
            i
            for i, y in enumerate(leaves)
            if _is_tensor(y)
            and not y.requires_grad
            and (y.is_floating_point() or y.is_complex())
        ]
        if places:
            outputs = [leaves[i] for i in places]
            name = self.overload.name()
            made = _Unknown.apply(name, len(outputs), *outputs, *tensors)
            for i, y in zip(places, made):
                leaves[i] = y
        return tree_unflatten(leaves, spec)


def _function(op, spec, found):
    """The Function of one call: flat inputs of ``spec`` to flat outputs."""

    class Generated(Function):
        @staticmethod
        def forward(*leaves):
            args, kwargs = tree_unflatten(leaves, spec)
            tensors = [x for x in leaves if _is_tensor(x)]
            outputs, found[0] = tree_flatten(op.run(args, kwargs, tensors))
            return tuple(outputs)

        @staticmethod
        def setup_context(ctx, inputs, output):
            if op.setup_context is None:
                return
            args, kwargs = tree_unflatten(inputs, spec)
            result = tree_unflatten(output, found[0])
            needs = ctx.needs_input_grad
            ctx.needs_input_grad = tree_unflatten(needs, spec)[0]
            if kwargs:
                op.setup_context(
                    ctx=ctx, inputs=args, keyword_only_inputs=kwargs, output=result
                )
            else:
                op.setup_context(ctx=ctx, inputs=args, output=result)

        @staticmethod
        def backward(ctx, *grads):
            if op.backward is None:
                raise RuntimeError(
                    f"Trying to backward through {op.dotted} but no autograd formula "
                    "was registered. Please use register_autograd to add one."
                )
            tree = tree_unflatten(grads, found[0])
            each = tuple(tree) if isinstance(tree, tuple) else (tree,)
            result = op.backward(ctx, *each)
            result = result if isinstance(result, tuple) else (result,)
            return tuple(_flat_grads(result, spec))

        @staticmethod
        def vmap(info, in_dims, *leaves):
            args, kwargs = tree_unflatten(leaves, spec)
            if op.vmap is not None:
                dims = tree_unflatten(in_dims, spec)[0]
                result, out_dims = op.vmap(info, dims, *args, **kwargs)
                outputs, found[0] = tree_flatten(result)
                dims = tree_flatten(out_dims)[0]
                return tuple(outputs), tuple(dims * (len(outputs) // len(dims)))
            rows = []
            for k in range(info.batch_size):
                entry = [
                    x if d is None else x.select(d, k) for x, d in zip(leaves, in_dims)
                ]
                args, kwargs = tree_unflatten(entry, spec)
                outputs, found[0] = tree_flatten(op(*args, **kwargs))
                rows.append(outputs)
            return tuple(flashlight.stack(ys) for ys in zip(*rows)), 0

    Generated.__name__ = "GeneratedBackwardFor_" + op.dotted.replace(".", "_")
    Generated._backward_cls.__name__ = Generated.__name__ + "Backward"
    return Generated


def _flat_grads(result, spec):
    """Gradients of the arguments as those of the leaves below them."""
    args_spec, kwargs_spec = spec.children_specs
    for k, child in enumerate(args_spec.children_specs):
        grad = result[k] if k < len(result) else None
        if grad is None:
            yield from [None] * child.num_leaves
        else:
            yield from tree_flatten(grad, is_leaf=lambda x: x is None)[0]
    yield from [None] * kwargs_spec.num_leaves


# --- torch.ops ---------------------------------------------------------------


class OpOverload:
    """``torch.ops.ns.name.overload``."""

    _rules: dict = {}  # register_torch_dispatch(): class -> function

    def __init__(self, packet, overload="default", operator=None):
        self._overloadpacket = packet
        self._overloadname = overload
        self._operator = operator
        self.__name__ = f"{packet.__name__}.{overload}"
        self.__module__ = packet.__module__
        self.__qualname__ = self.name()

    @property
    def overloadpacket(self):
        """All overloads of the name."""
        return self._overloadpacket

    @property
    def namespace(self):
        """``"aten"``"""
        return self._overloadpacket._qualified_op_name.split("::")[0]

    @property
    def tags(self):
        """What the operator was defined with."""
        return [] if self._operator is None else list(self._operator.tags)

    @property
    def _schema(self):
        return self._operator.schema

    @property
    def _qualified_op_name(self):
        return self._overloadpacket._qualified_op_name

    @property
    def _defined_in_python(self):
        return self._operator is not None

    @property
    def _name(self):
        return self.name()

    def name(self):
        """``"ns::name.overload"``, of the default overload ``"ns::name"``."""
        name = self._qualified_op_name
        default = self._overloadname == "default"
        return name if default else f"{name}.{self._overloadname}"

    def has_kernel_for_dispatch_key(self, key):
        """Whether a function is registered under that very key."""
        return self._operator is not None and str(key) in self._operator.kernels

    def __call__(self, *args, **kwargs):
        return self._operator(*args, **kwargs)

    def __hash__(self):
        return hash((self._qualified_op_name, self._overloadname))

    def __eq__(self, other):
        return self is other

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        return (
            f"<OpOverload(op='{self._overloadpacket}', "
            f"overload='{self._overloadname}')>"
        )

    def __str__(self):
        return f"{self._overloadpacket}.{self._overloadname}"


class OpOverloadPacket:
    """``torch.ops.ns.name``: all overloads of a name."""

    def __init__(self, qualname):
        self._qualified_op_name = qualname
        ns, self.__name__ = qualname.split("::")
        self.__module__ = f"torch._ops.{ns}"
        self._operators: dict = {}  # by the name of the overload

    def overloads(self):
        """The names of the overloads."""
        return list(self._operators)

    def __getattr__(self, which):
        operator = vars(self).get("_operators", {}).get(which)
        if operator is None:
            raise AttributeError(
                f"The underlying op of '{self}' has no overload name '{which}'"
            )
        return operator.overload

    def __call__(self, *args, **kwargs):
        operators = list(self._operators.values())
        if len(operators) == 1:
            return operators[0](*args, **kwargs)
        mismatches = []
        for operator in operators:
            try:
                operator.schema.bound(args, kwargs)
            except RuntimeError as error:
                mismatches.append(str(error))
            else:
                return operator(*args, **kwargs)
        raise RuntimeError(
            "Overloaded torch operator invoked from Python failed to match any "
            "schema:\n" + "\n\n".join(mismatches)
        )

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __str__(self):
        return self._qualified_op_name.replace("::", ".")

    def __repr__(self):
        return f"<OpOverloadPacket(op='{self}')>"


class Namespace(types.ModuleType):
    """``torch.ops.ns``."""

    def __init__(self, name):
        super().__init__("torch.ops." + name)
        self._name = name

    def __getattr__(self, name):
        packet = _packets.get(f"{self._name}::{name}")
        if packet is None:
            raise AttributeError(
                f"'_OpNamespace' '{self._name}' object has no attribute '{name}'"
            )
        return packet

    def __dir__(self):
        start = self._name + "::"
        return [name[len(start) :] for name in _packets if name.startswith(start)]


_packets: dict = {}  # "ns::name"


def define(schema, tags=(), replace=False):
    """Register an operator and return it.

    Raises:
        RuntimeError: there is one of that name, which is not to be replaced.
    """
    packet = _packets.get(schema.name) or OpOverloadPacket(schema.name)
    which = schema.overload_name or "default"
    if which in packet._operators and not replace:
        raise RuntimeError(
            f"Tried to register an operator ({schema}) with the same name and overload "
            "name multiple times. Each overload's schema should only be registered "
            "with a single call to def()."
        )
    operator = Operator(schema, packet, tags)
    packet._operators[which] = operator
    _packets[schema.name] = packet
    return operator


def forget(operator):
    """Undo :func:`define`."""
    name, which = operator.schema.name, operator.overload._overloadname
    packet = _packets.get(name)
    if packet is None or packet._operators.get(which) is not operator:
        return
    del packet._operators[which]
    if not packet._operators:
        del _packets[name]


def lookup(name):
    """The operator ``ns::name.overload``.

    Raises:
        RuntimeError: there is none.
        NotImplementedError: it is one of PyTorch's.
    """
    if isinstance(name, OpOverload) and name._operator is not None:
        return name._operator
    name = name.name() if isinstance(name, OpOverload) else name
    whole, _, which = name.partition(".")
    packet = _packets.get(whole)
    operator = packet and packet._operators.get(which or "default")
    if operator is not None:
        return operator
    if whole.startswith("aten::") and hasattr(flashlight.ops.aten, whole[6:]):
        raise NotImplementedError(
            f"other kernels for PyTorch's own operators are not supported: {name}"
        )
    raise RuntimeError(f"operator {name} does not exist")
