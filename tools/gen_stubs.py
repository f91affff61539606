"""Write what type checkers and editors read: _C.pyi, _dtypes.pyi, ops/__init__.pyi.

Everything comes from the built module: operators from their schemas, classes and
functions that nanobind binds from the signatures these have. Only the members of
TensorBase that are written by hand have their types here (MEMBERS). Run by CMake.
"""

import argparse
import importlib.util
import keyword
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
BANNER = """\
# Written by tools/gen_stubs.py from the op table and the module.
# isort: skip_file
"""

# Builtins under other names: the module has dtypes called int, float and bool.
HEADER = """\
from builtins import bool as _bool
from builtins import complex as _complex
from builtins import float as _float
from builtins import int as _int
from builtins import str as _str
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, overload
"""

TYPES = {
    "Tensor": "Tensor",
    "Scalar": "_Number",
    "int": "_int",
    "SymInt": "_int",
    "float": "_float",
    "bool": "_bool",
    "ScalarType": "_dtype",
    "Device": "_device | _str | _int",
    "Layout": "_layout",
    "MemoryFormat": "_memory_format",
    "str": "_str",
    "Generator": "Generator",
    "Dimname": "_str",
}
ARGUMENT = re.compile(
    r"(?P<base>\w+)(?:\([^)]*\))?(?P<opt>\?)?(?P<list>\[\d*\])?(?:\([^)]*\))?"
    r"(?P<optlist>\?)?\s+(?P<name>\w+)(?:=(?P<default>.+))?$"
)
SCHEMA = re.compile(r"(?P<name>\w+)(?:\.(?P<overload>\w+))?\((?P<args>.*)\) -> (.+)$")

# Of TensorBase, what is neither an operator nor a slot that object has.
PROPERTIES = {
    "shape": "Size",
    "dtype": "_dtype",
    "device": "_device",
    "layout": "_layout",
    "ndim": "_int",
    "itemsize": "_int",
    "nbytes": "_int",
    "requires_grad": "_bool",
    "grad": "Tensor | None",
    "_grad": "Tensor | None",
    "grad_fn": "_NodeBase | None",
    "_grad_fn": "_NodeBase | None",
    "is_leaf": "_bool",
    "data": "Tensor",
    "_version": "_int",
    "_base": "Tensor | None",
    "output_nr": "_int",
    "retains_grad": "_bool",
}
SETTABLE = {"requires_grad", "grad", "_grad", "data", "_grad_fn"}
METHODS = {
    "item": ["(self) -> _Number"],
    "size": ["(self) -> Size", "(self, dim: _int) -> _int"],
    "stride": ["(self) -> tuple[_int, ...]", "(self, dim: _int) -> _int"],
    "dim": ["(self) -> _int"],
    "ndimension": ["(self) -> _int"],
    "numel": ["(self) -> _int"],
    "nelement": ["(self) -> _int"],
    "storage_offset": ["(self) -> _int"],
    "data_ptr": ["(self) -> _int"],
    "element_size": ["(self) -> _int"],
    "is_contiguous": ["(self, memory_format: _memory_format = ...) -> _bool"],
    "is_conj": ["(self) -> _bool"],
    "is_neg": ["(self) -> _bool"],
    "is_inference": ["(self) -> _bool"],
    "_is_view": ["(self) -> _bool"],
    "retain_grad": ["(self) -> None"],
    "tolist": ["(self) -> Any"],
    "is_floating_point": ["(self) -> _bool"],
    "is_complex": ["(self) -> _bool"],
    "is_set_to": ["(self, tensor: TensorBase) -> _bool"],
    "_bump_version": ["(self) -> None"],
    "__complex__": ["(self) -> _complex"],
    "as_subclass": ["(self, cls: type) -> Tensor"],
    "_make_subclass": ["(cls: type, data: Tensor, require_grad: _bool = False) -> Any"],
    "__bool__": ["(self) -> _bool"],
    "__int__": ["(self) -> _int"],
    "__float__": ["(self) -> _float"],
    "__index__": ["(self) -> _int"],
    "__len__": ["(self) -> _int"],
    "__hash__": ["(self) -> _int"],
    "__getitem__": ["(self, indices: Any) -> Tensor"],
    "__setitem__": ["(self, indices: Any, value: Tensor | _Number) -> None"],
    "__delitem__": ["(self, indices: Any) -> None"],
    "__init__": ["(self, *args: Any, **kwargs: Any) -> None"],
    "__new__": ["(cls, *args: Any, **kwargs: Any) -> Any"],
}
UNARY = {"__neg__", "__pos__", "__abs__", "__invert__"}
COMPARISONS = {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"}


def split(text):
    """Split at commas outside brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    parts.append(text[start:].strip())
    return [p for p in parts if p]


def takes_numbers():
    """Operators whose tensor arguments may be numbers, as signature.cpp has them."""
    text = (ROOT / "csrc" / "flashlight" / "bind" / "signature.cpp").read_text()
    table = re.search(r"bool takes_numbers\(.*?\{(.*?)\};", text, re.DOTALL)
    return set(re.findall(r'"(\w+)"', table[1]))


class Parameter:
    def __init__(self, text, numbers):
        m = ARGUMENT.match(text)
        if not m:
            raise ValueError(f"cannot read argument {text!r}")
        self.name, self.base, self.list = m["name"], m["base"], m["list"]
        kind = TYPES[self.base]
        if numbers and kind == "Tensor":
            kind = "Tensor | _Number"
        if self.list:
            element = f"{kind} | None" if m["opt"] else kind
            kind = f"Sequence[{element}]"
            if self.list != "[]":
                kind = f"{TYPES[self.base]} | {kind}"
        optional = m["optlist"] if self.list else m["opt"]
        if optional or (m["default"] == "None"):
            kind += " | None"
        self.type, self.default = kind, m["default"]

    def __str__(self):
        name = self.name + ("_" if keyword.iskeyword(self.name) else "")
        text = f"{name}: {self.type}"
        if self.default is None:
            return text
        plain = re.fullmatch(r"None|True|False|-?[\d.]+(e-?\d+)?", self.default)
        return f"{text} = {self.default if plain else '...'}"


NAMED = {}  # results with names: class -> (name, type) of each


def returns_of(text):
    if text == "()":
        return "None"
    if text.startswith("("):
        fields = [re.match(r"(\S+) (\w+)$", part) for part in split(text[1:-1])]
        if all(fields):
            name = "_" + "_".join(f[2] for f in fields)
            NAMED[name] = [(f[2], returns_of(f[1])) for f in fields]
            return name
        return f"tuple[{', '.join(returns_of(t) for t in split(text[1:-1]))}]"
    base = re.match(r"\w+", text)[0]
    return f"tuple[{TYPES[base]}, ...]" if "[]" in text else TYPES[base]


class Schema:
    """One row: its parameters and what it returns."""

    def __init__(self, text, numbers):
        m = SCHEMA.match(text)
        self.name, self.returns = m["name"], returns_of(m[4])
        self.positional, self.keywords = [], []
        into = self.positional
        for part in split(m["args"]):
            if part == "*":
                into = self.keywords
            else:
                into.append(Parameter(part, m["name"] in numbers))
        # The functions that make tensors take requires_grad, too.
        makes = {"ScalarType", "Layout", "Device"} <= {k.base for k in self.keywords}
        if makes and m["name"] != "_to_copy":
            self.keywords.append(Parameter("bool requires_grad=False", False))

    def signatures(self, method, out=False):
        """The texts of `(...) -> ...`: all ints of x.view(2, 3) are a list, too."""
        positional = list(self.positional)
        if method:
            positional = [p for p in positional if p.name != "self"]
        keywords = [str(k) for k in self.keywords]
        if out:
            many = self.returns.startswith(("tuple", "_"))
            kind = "tuple[Tensor, ...] | list[Tensor]" if many else "Tensor"
            keywords.append(f"out: {kind} | None = None")
        own = ["self"] if method else []
        star = ["*", *keywords] if keywords else []

        def text(parameters):
            return f"({', '.join(parameters)}) -> {self.returns}"

        rest = [re.sub(r"^self:", "input:", str(p)) for p in positional]
        yield text([*own, *rest, *star])
        only = positional[0] if len(positional) == 1 else None
        if only and only.base in ("int", "SymInt") and only.list:
            yield text([*own, f"*{only.name}: _int", *keywords])


def definition(name, signatures, indent="", decorator=None):
    lines = []
    signatures = list(dict.fromkeys(signatures))
    for signature in signatures:
        if len(signatures) > 1:
            lines.append(f"{indent}@overload")
        if decorator:
            lines.append(f"{indent}@{decorator}")
        lines.append(f"{indent}def {name}{signature}: ...")
    return lines


class Operators:
    """The op table: the signatures of each name."""

    def __init__(self, module):
        numbers = takes_numbers()
        self.rows = {}
        for text in module._schemas:
            info = module._op_info(text.split("(")[0])
            schema = Schema(text, numbers)
            self.rows.setdefault(schema.name, []).append((schema, info))

    def signatures(self, name, method):
        """Of a function or method, which may be the in-place form of an operator."""
        found = self.rows.get(name)
        form = None if found else "inplace"
        found = found or self.rows.get(name.removesuffix("_"))
        if not found:
            return ["(*args: Any, **kwargs: Any) -> Any"]
        texts = []
        for schema, info in found:
            if info[form or ("method" if method else "function")]:
                out = info["out"] and not method and not form
                texts += schema.signatures(method, out)
        return texts or ["(*args: Any, **kwargs: Any) -> Any"]


def bound(text):
    """A signature of nanobind's as one of ours."""
    text = re.sub(r"= \\\d+", "= ...", text)
    text = text.replace("flashlight._C.", "").replace("torch.", "")
    for name in ("int", "float", "bool", "str", "complex"):
        text = re.sub(rf"(: |-> |\[|\| ){name}\b", rf"\1_{name}", text)
    for name in ("dtype", "device", "layout", "memory_format"):
        text = re.sub(rf"(: |-> |\| ){name}\b", rf"\1_{name}", text)
    return text.replace("collections.abc.", "").replace("-> object", "-> Any")


def bound_signatures(function):
    return [bound(re.sub(r"^def \w*", "", s[0])) for s in function.__nb_signature__]


def bound_class(cls):
    yield f"class {cls.__name__}:"
    lines = []
    for name, value in vars(cls).items():
        if hasattr(value, "__nb_signature__"):
            signatures = bound_signatures(value)
            if name in ("__eq__", "__ne__"):
                signatures = ["(self, other: object, /) -> _bool"]
            lines += definition(name, signatures, "    ")
        elif isinstance(value, property):
            result = bound_signatures(value.fget)[0].split(" -> ")[1]
            lines += ["    @property", f"    def {name}(self) -> {result}: ..."]
    yield from lines or ["    ..."]


def tensor_class(module, operators):
    yield "class TensorBase:"
    for name, value in vars(module.TensorBase).items():
        kind = type(value).__name__
        if kind == "OpMethod":
            yield from definition(name, operators.signatures(name, True), "    ")
        elif name in METHODS:
            decorator = "staticmethod" if kind == "staticmethod" else None
            yield from definition(name, METHODS[name], "    ", decorator)
        elif kind == "getset_descriptor":
            result = PROPERTIES.get(name, "Any")
            yield from ["    @property", f"    def {name}(self) -> {result}: ..."]
            if name in SETTABLE:
                yield f"    @{name}.setter"
                yield f"    def {name}(self, value: {result}) -> None: ..."
        elif name in UNARY:
            yield f"    def {name}(self) -> Tensor: ..."
        elif kind == "wrapper_descriptor":
            other = "Any" if name in ("__eq__", "__ne__") else "Tensor | _Number"
            ignore = "  # type: ignore[override]" if other == "Any" else ""
            yield f"    def {name}(self, other: {other}) -> Tensor: ...{ignore}"
        elif callable(value):
            yield f"    def {name}(self, *args: Any, **kwargs: Any) -> Any: ..."


def namespace(name, functions, operators):
    yield f"class {name}:"
    lines = []
    for function in sorted(functions):
        signatures = operators.signatures(function, False)
        lines += definition(function, signatures, "    ", "staticmethod")
    yield from lines or ["    ..."]


def module_stub(module, operators):
    yield BANNER + HEADER
    yield "from flashlight._size import Size\nfrom flashlight.tensor import Tensor\n"
    yield "_Number = _int | _float | _bool | _complex\n"
    for name, fields in sorted(NAMED.items()):
        yield f"class {name}(NamedTuple):"
        yield from (f"    {field}: {kind}" for field, kind in fields)
    names = vars(module)
    classes = {n: v for n, v in names.items() if isinstance(v, type)}
    for name, cls in classes.items():
        if name == "TensorBase":
            yield from tensor_class(module, operators)
        elif issubclass(cls, BaseException):
            yield f"class {name}({cls.__mro__[1].__name__}): ..."
        elif type(cls).__name__ == "nb_type":
            yield from bound_class(cls)
        else:
            yield f"class {name}:"
            yield "    def __call__(self, *args: Any, **kwargs: Any) -> Any: ..."
        if name in ("dtype", "device", "layout", "memory_format"):
            yield f"_{name} = {name}"
    for name, value in names.items():
        if name in classes or name.startswith("__"):
            continue
        if hasattr(value, "__nb_signature__"):
            yield from definition(name, bound_signatures(value))
        elif type(value).__name__ in classes:
            kind = type(value).__name__
            yield f"{name}: {'Generator' if kind == 'Generator' else '_' + kind}"
        else:
            known = {
                "_dtypes": "list[_dtype]",
                "_schemas": "list[_str]",
                "_return_types": "dict[_str, type]",
            }
            yield f"{name}: {known.get(name, 'Any')}"
    for place, functions in module._functions.items():
        name = f"_{place}" if place else "_VariableFunctions"
        yield from namespace(name, functions, operators)


def ops_stub(module, operators):
    yield BANNER + HEADER
    yield (
        "from flashlight._C import Generator, _Number, _device, _dtype, _layout\n"
        f"from flashlight._C import {', '.join(['_memory_format', *sorted(NAMED)])}\n"
        "from flashlight.tensor import Tensor\n"
    )
    for name in sorted(module._functions[""]):
        hidden = name in ("alias", "index", "slice", "unique_dim")
        if not name.startswith("__") and not hidden:
            yield from definition(name, operators.signatures(name, False))
    yield "aten: Any"


def dtypes_stub(module):
    yield BANNER
    yield "from flashlight._C import dtype as _dtype\n"
    for name, value in vars(module).items():
        if isinstance(value, module.dtype):
            yield f"{name}: _dtype"


def load(path):
    """The built module, without the package around it."""
    spec = importlib.util.spec_from_file_location("flashlight._C", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(path, lines):
    """Only if it differs, so that nothing is done again for nothing."""
    text = "\n".join(lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--module", required=True, help="the built flashlight._C")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    module = load(args.module)
    operators = Operators(module)
    write(args.out / "_C.pyi", module_stub(module, operators))
    write(args.out / "ops" / "__init__.pyi", ops_stub(module, operators))
    write(args.out / "_dtypes.pyi", dtypes_stub(module))


if __name__ == "__main__":
    main()
