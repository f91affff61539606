"""Write the typed C++ functions of every op row, a header a family.

The rows in csrc/flashlight/ops/*.cpp are the only place where a signature is
written; this reads the schema strings there and emits, for each row, the function
that C++ callers use (and its in-place twin): functions/<family>.h and .cpp,
functions.h that includes them all, and families.h, the list for register.cpp. A
file includes the families it calls, so that a new schema in one family is not
compiled into all. Run by CMake.
"""

import argparse
import pathlib
import re

ROW = re.compile(r"\bop\(\s*((?:\"(?:[^\"\\]|\\.)*\"\s*)+)\)")
ALIAS = re.compile(r"\balias_op\(((?:\s*\"(?:[^\"\\]|\\.)*\"[\s,]*)+)\)")
PIECE = re.compile(r"\"((?:[^\"\\]|\\.)*)\"")
FORMS = re.compile(r"\.forms\(\s*((?:\"[^\"]*\"\s*)+)\)")
ARG = re.compile(
    r"(?P<base>\w+)(?:\([^)]*\))?(?P<opt>\?)?(?P<list>\[\d*\])?(?:\([^)]*\))?"
    r"(?P<optlist>\?)?\s+(?P<name>\w+)(?:=(?P<default>.+))?$"
)
BASE = {
    "Tensor": "Tensor",
    "Scalar": "Scalar",
    "int": "int64_t",
    "SymInt": "int64_t",
    "float": "double",
    "bool": "bool",
    "ScalarType": "Dtype",
    "Device": "Device",
    "Layout": "MemoryLayout",
    "MemoryFormat": "MemoryFormat",
    "str": "std::string",
    "Generator": "GeneratorHandle",
}
LISTS = {
    "Tensor": "TensorList",
    "Scalar": "ScalarList",
    "int64_t": "IntList",
    "double": "DoubleList",
    "bool": "BoolList",
}
BY_VALUE = {"int64_t", "double", "bool", "Dtype", "Device", "MemoryLayout"}
KEYWORDS = {"default", "and", "or", "not", "xor", "float", "int", "double", "bool"}


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


def parameter(text):
    """One argument of a schema as (C++ type, name, C++ default or None)."""
    m = ARG.match(text)
    if not m:
        raise ValueError(f"cannot read argument {text!r}")
    base, default = BASE[m["base"]], m["default"]
    optional = bool(m["opt"])
    if m["list"]:
        base, optional = LISTS[base], bool(m["optlist"])
    name = m["name"] + ("_" if m["name"] in KEYWORDS else "")
    if base == "Tensor":
        return "const Tensor&", name, "{}" if default else None
    cpp = f"std::optional<{base}>" if optional else base
    value = None
    if default is not None:
        value = cpp_default(default, base, m["list"])
    if cpp in BY_VALUE or (optional and base in BY_VALUE):
        return cpp, name, value
    return f"const {cpp}&", name, value


def cpp_default(text, base, list_):
    if text == "None":
        return "{}"
    named = {
        "True": "true",
        "False": "false",
        "Mean": "1",
        "Sum": "2",
        "contiguous_format": "MemoryFormat::Contiguous",
        "preserve_format": "MemoryFormat::Preserve",
        "inf": "std::numeric_limits<double>::infinity()",
        "long_max": "std::numeric_limits<int64_t>::max()",
        "9223372036854775807": "std::numeric_limits<int64_t>::max()",
        "long": "Dtype::Int64",
    }
    if list_:
        inside = text[1:-1] if text.startswith("[") else text
        items = [named.get(i.strip(), i.strip()) for i in inside.split(",")]
        if not text.startswith("[") and list_ != "[]":
            items = items * int(list_[1:-1])
        return f"{base}{{{', '.join(items) if inside else ''}}}"
    if base == "std::string":
        return '"' + text.strip("'\"") + '"'
    return named.get(text, text)


def result(text):
    if text.startswith("("):
        return f"std::tuple<{', '.join(result(t) for t in split(text[1:-1]))}>"
    base = BASE[re.match(r"\w+", text)[0]]
    return LISTS[base] if "[]" in text else base


def parse(schema):
    """(name, overload, parameters, returns) of a row."""
    m = re.match(r"(\w+)(?:\.(\w+))?\((.*)\) -> (.+)$", schema)
    name, overload, args, returns = m.groups()
    return name, overload, [parameter(a) for a in split(args) if a != "*"], returns


def without_clashes(parsed):
    """Drop defaults that make two overloads answer the same call."""
    taken = set()
    for name, _, arguments, _ in sorted(parsed, key=lambda p: len(p[2])):
        while True:
            needed = (name, *(t for t, _, d in arguments if d is None))
            k = next((k for k, a in enumerate(arguments) if a[2] is not None), None)
            if needed not in taken or k is None:
                break
            arguments[k] = (*arguments[k][:2], None)
        taken.add(needed)


def functions(parsed, forms):
    """The declarations and definitions of one row."""
    name, overload, arguments, returns = parsed
    if "copy" in forms:
        yield from functions((name + "_copy", *parsed[1:]), [])
    full = f"{name}.{overload}" if overload else name
    names = ", ".join(a[1] for a in arguments)
    row = "row_" if "row" in names.split(", ") else "row"

    def emit(cpp_name, cpp_result, call):
        decl = ", ".join(
            f"{t} {n}" + (f" = {d}" if d is not None else "") for t, n, d in arguments
        )
        plain = ", ".join(f"{t} {n}" for t, n, _ in arguments)
        head = f"FL_API {cpp_result} {cpp_name}({decl});"
        body = (
            f"{cpp_result} {cpp_name}({plain}) {{\n"
            f'  static const Op& {row} = get_op("{full}");\n  {call}\n}}'
        )
        return head, body

    cpp_result = "void" if returns == "()" else result(returns)
    tail = f", {names}" if names else ""
    values = ", ".join(f"Value({n})" for n in names.split(", ") if n)
    if cpp_result == "void":
        call = f"Value args[] = {{{values}}};\n  call({row}, args);"
    else:
        call = f"return invoke<{cpp_result}>({row}{tail});"
    cpp_name = name + "_" if name in KEYWORDS else name
    yield emit(cpp_name, cpp_result, call)
    if "inplace" in forms:
        call = f"Value args[] = {{{values}}};\n  return call_inplace({row}, args);"
        yield emit(name + "_", "Tensor", call)


def rows(path):
    """The (schema, forms) of one family's rows, in order."""
    text = re.sub(r"//[^\n]*", "", path.read_text())
    found = list(ROW.finditer(text))
    for i, m in enumerate(found):
        end = found[i + 1].start() if i + 1 < len(found) else len(text)
        forms = FORMS.search(text, m.end(), end)
        words = "".join(PIECE.findall(forms[1])) if forms else ""
        yield "".join(PIECE.findall(m[1])).replace('\\"', '"'), words.split()


def aliases(path, table):
    """The (schema, forms) of a family's aliases; `table` has the rows of all."""
    text = re.sub(r"//[^\n]*", "", path.read_text())
    for m in ALIAS.finditer(text):
        words = [""]
        for piece, comma in re.findall(PIECE.pattern + "|(,)", m[1]):
            words += [""] if comma else []
            words[-1] += piece
        name, target, forms = (words + [""])[:3]
        if "(" in name:
            yield name, forms.split()
            continue
        for schema, row_forms in table:
            if re.match(re.escape(target) + r"[.(]", schema):
                yield name + schema[len(target) :], forms.split() or row_forms


def write(path, text):
    """Only if it differs, so that nothing is compiled again for nothing."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


BANNER = "// Written by tools/gen_functions.py from the op rows.\n"


def write_family(path, out, table):
    found = [*rows(path), *aliases(path, table)]
    parsed = [
        (parse(schema), forms)
        for schema, forms in found
        if "(a!) out)" not in schema  # rows of an out= form alone are for Python
    ]
    without_clashes([p for p, _ in parsed])
    # Overloads that differ in PyTorch by their name alone (bernoulli.p and .float)
    # are one function in C++: the first row's.
    emitted = {}
    for p, forms in parsed:
        for head, body in functions(p, forms):
            emitted.setdefault(body.split(" {")[0], (head, body))
    emitted = list(emitted.values())
    heads = "\n".join(head for head, _ in emitted)
    bodies = "\n\n".join(body for _, body in emitted)
    write(
        out / f"{path.stem}.h",
        f"{BANNER}#pragma once\n\n#include <limits>\n#include <tuple>\n\n"
        '#include "flashlight/core/value.h"\n\n'
        f"namespace flashlight {{\n\n{heads}\n\n}} // namespace flashlight\n",
    )
    write(
        out / f"{path.stem}.cpp",
        f'{BANNER}#include "flashlight/ops/functions/{path.stem}.h"\n'
        '#include "flashlight/ops/registry.h"\n\n'
        f"namespace flashlight {{\n\n{bodies}\n\n}} // namespace flashlight\n",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("families", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    (args.out / "functions").mkdir(exist_ok=True)
    families = sorted(path.stem for path in args.families)
    table = [row for path in args.families for row in rows(path)]
    for path in args.families:
        write_family(path, args.out / "functions", table)
    includes = "".join(f'#include "flashlight/ops/functions/{f}.h"\n' for f in families)
    write(
        args.out / "functions.h",
        f"{BANNER}#pragma once\n\n{includes}" '#include "flashlight/ops/extras.h"\n',
    )
    calls = " \\\n".join(f"  X({f})" for f in families)
    write(
        args.out / "families.h",
        f"{BANNER}#pragma once\n\n#define FLASHLIGHT_FAMILIES(X) \\\n{calls}\n",
    )


if __name__ == "__main__":
    main()
