"""Operators that a program defines: their schemas, kernels and derivatives."""

import re
import types

import flashlight
from flashlight import _C
from flashlight.autograd.function import Function
from flashlight.utils import _python_dispatch
from flashlight.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["NAMESPACES", "Operator", "OpOverload", "OpOverloadPacket", "Schema"]


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
        return text[1:-1]
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
            if a.type == "Tensor" and not isinstance(value, flashlight.Tensor):
                raise RuntimeError(
                    f"{self.name}() Expected a value of type 'Tensor' for argument "
                    f"'{a.name}' but instead found type '{type(value).__name__}'.\n"
                    f"Position: {self.arguments.index(a)}\nValue: {value!r}\n"
                    f"Declaration: {self.text}\n"
                    f"Cast error details: Unable to cast {value} to Tensor"
                )
        positional = tuple(given[a.name] for a in places)
        keywords = {a.name: given[a.name] for a in self.arguments if a.kwarg_only}
        return positional, keywords


# --- operators ---------------------------------------------------------------


def _is_tensor(x):
    return isinstance(x, flashlight.Tensor)


class Operator:
    """What is registered of one name, and how it is called."""

    def __init__(self, schema):
        self.schema = schema
        self.kernels: dict = {}  # by device type; None for all others
        self.composite = None  # differentiated through its parts
        self.fake = None
        self.backward = self.setup_context = None
        self.vmap = None
        self.packet = OpOverloadPacket(self)

    @property
    def dotted(self):
        return self.schema.name.replace("::", ".") + ".default"

    def kernel(self, leaves):
        for x in leaves:
            if isinstance(x, flashlight.Tensor) and x.device.type in self.kernels:
                return self.kernels[x.device.type]
        if None in self.kernels:
            return self.kernels[None]
        device = next(
            (x.device.type for x in leaves if isinstance(x, flashlight.Tensor)), "cpu"
        )
        raise NotImplementedError(
            f"Could not run '{self.schema.name}' with arguments from the "
            f"'{device.upper()}' backend. This could be because the operator doesn't "
            "exist for this backend, or was omitted during the selective/custom build "
            "process (if using custom build)."
        )

    def run(self, args, kwargs):
        """The kernel alone, and what it may not return."""
        leaves = tree_flatten((args, kwargs))[0]
        overloaded = _C._overloaded([x for x in leaves if _is_tensor(x)])
        if overloaded or _python_dispatch.modes():
            func = self.packet.default
            return _python_dispatch.dispatch(func, args, kwargs, overloaded)
        result = self.kernel(leaves)(*args, **kwargs)
        given = {id(x) for x in leaves if isinstance(x, flashlight.Tensor)}
        for y in tree_flatten(result)[0]:
            if id(y) in given and not self.schema.is_mutable:
                name = self.schema.name.split("::")[-1]
                raise RuntimeError(
                    f"{name}: The output of this custom operator (1) must not also be "
                    "an input to this custom operator and (2) may not alias any inputs "
                    "to this custom operator or other returns. The most common way to "
                    "trigger this error is if we have y = custom_op(x) and y and x are "
                    "the same Tensor. Please instead return a clone of the offending "
                    "output tensor(s) (e.g. return x.clone()) or refactor the custom "
                    "operator to not return y."
                )
        return result

    def __call__(self, *args, **kwargs):
        args, kwargs = self.schema.bound(args, kwargs)
        if self.composite is not None:
            return self.composite(*args, **kwargs)
        leaves, spec = tree_flatten((args, kwargs))
        tensors = [x for x in leaves if isinstance(x, flashlight.Tensor)]
        differentiated = flashlight.is_grad_enabled() and any(
            x.requires_grad for x in tensors
        )
        inside = _C._top_level() is not None or _C._forward_enabled()
        if self.schema.is_mutable or not (differentiated or inside):
            with flashlight.no_grad():
                return self.run(args, kwargs)
        found = [None]
        outputs = _function(self, spec, found).apply(*leaves)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return tree_unflatten(outputs, found[0])


def _function(op, spec, found):
    """The Function of one call: flat inputs of ``spec`` to flat outputs."""

    class Generated(Function):
        @staticmethod
        def forward(*leaves):
            args, kwargs = tree_unflatten(leaves, spec)
            outputs, found[0] = tree_flatten(op.run(args, kwargs))
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

    def __init__(self, packet, overload="default"):
        self._overloadpacket = packet
        self._overloadname = overload
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
    def _schema(self):
        return self._overloadpacket._operator.schema

    @property
    def _operator(self):
        return self._overloadpacket._operator

    @property
    def _qualified_op_name(self):
        return self._overloadpacket._qualified_op_name

    def name(self):
        """``"ns::name.overload"``, of the default overload ``"ns::name"``."""
        name = self._qualified_op_name
        default = self._overloadname == "default"
        return name if default else f"{name}.{self._overloadname}"

    def __call__(self, *args, **kwargs):
        return self._overloadpacket._operator(*args, **kwargs)

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
    """``torch.ops.ns.name``."""

    def __init__(self, operator):
        self._operator = operator
        ns, self.__name__ = operator.schema.name.split("::")
        self.__module__ = f"torch._ops.{ns}"
        self.default = OpOverload(self)

    @property
    def _qualified_op_name(self):
        return self._operator.schema.name

    def overloads(self):
        """The names of the overloads: an operator of a program has one."""
        return ["default"]

    def __call__(self, *args, **kwargs):
        return self._operator(*args, **kwargs)

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
        raise AttributeError(
            f"'_OpNamespace' '{self._name}' object has no attribute '{name}'"
        )


NAMESPACES: dict = {}


def namespace(name):
    """The namespace of that name, which may be empty."""
    if name not in NAMESPACES:
        NAMESPACES[name] = Namespace(name)
    return NAMESPACES[name]


def define(schema):
    """Register an operator and return it."""
    ns, name = schema.name.split("::")
    operator = Operator(schema)
    setattr(namespace(ns), name, operator.packet)
    return operator


def lookup(name):
    """The operator ``ns::name``.

    Raises:
        RuntimeError: there is none.
    """
    if isinstance(name, OpOverload):
        return name._operator
    ns, _, short = name.partition("::")
    packet = vars(namespace(ns)).get(short.partition(".")[0])
    if packet is None:
        raise RuntimeError(f"operator {name} does not exist")
    return packet._operator
