"""Write docs/reference: a page for each family of operators, an entry for each name.

python tools/gen_reference.py [--out docs/reference]

Signatures, forms and descriptions come from the op table of the built package; which
family an operator is of, from the file that has its row.
"""

import argparse
import pathlib
import re

from gen_functions import aliases, rows

from flashlight import _C

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "csrc" / "flashlight"
NOTE = "<!-- Written by tools/gen_reference.py from the op table. -->\n"

SELF = re.compile(r"\bTensor(\(\w!?\))? self\b")


def full_name(schema):
    return schema.split("(")[0]


def families():
    """Stem of the file -> full names of its rows, in order."""
    files = sorted((*SOURCES.glob("ops/*.cpp"), *SOURCES.glob("optim/*.cpp")))
    table = [row for path in files for row in rows(path)]
    found = {}
    for path in files:
        names = [full_name(s) for s, _ in (*rows(path), *aliases(path, table))]
        if names:
            found[path.stem] = names
    listed = {name for names in found.values() for name in names}
    # Rows whose schemas are put together in a loop.
    found["others"] = [n for n in map(full_name, _C._schemas) if n not in listed]
    # Overloads that lie in several files are told on one page, the first.
    page = {}
    for family, names in found.items():
        for name in names:
            page.setdefault(name.split(".")[0], family)
    merged = {family: [] for family in found}
    for names in found.values():
        for name in names:
            merged[page[name.split(".")[0]]].append(name)
    return {family: names for family, names in merged.items() if names}


def place(info, name):
    """Where Python has the function."""
    module = {"": "torch", "nn": "torch._C._nn"}.get(
        info["module"], f"torch.{info['module']}"
    )
    return f"{module}.{name.removeprefix(info['module'] + '_')}"


def entry(name, overloads):
    """The lines of one name: `overloads` are (schema, info) of its rows."""
    yield f"## {name}\n"
    forms = []
    for schema, info in overloads:
        arguments = schema[len(full_name(schema)) :]
        if info["function"]:
            arguments = SELF.sub(r"Tensor\1 input", arguments)
            call, also = place(info, name), " Takes `out=`." if info["out"] else ""
        elif info["method"]:
            call, also = f"Tensor.{name}", ""
            arguments = re.sub(SELF.pattern + "(, )?", "", arguments)
        else:
            continue
        yield f"- `{call}{arguments}`  \n  {info['doc']}{also}"
        for form, text in (("method", f"Tensor.{name}"), ("inplace", f"{name}_")):
            if info[form] and info["function"] and text not in forms:
                forms.append(text)
    notes = [f"Also {' and '.join(f'`{f}`' for f in forms)}."] if forms else []
    if any(info["view"] for _, info in overloads):
        notes.append("The result is a view.")
    if all(info["derivative"] == "not_differentiable" for _, info in overloads):
        notes.append("Not differentiable.")
    yield f"\n{' '.join(notes)}\n" if notes else ""


def page(family, names):
    schemas = {full_name(s): s for s in _C._schemas}
    by_name = {}
    for full in names:
        info = _C._op_info(full)
        by_name.setdefault(full.split(".")[0], []).append((schemas[full], info))
    yield f"# {family.replace('_', ' ').capitalize()}\n"
    yield NOTE
    for name, overloads in sorted(by_name.items()):
        if not name.startswith("_"):
            yield from entry(name, overloads)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "reference")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    index = ["# Operators\n", NOTE]
    for family, names in families().items():
        public = {n.split(".")[0] for n in names if not n.startswith("_")}
        if not public:
            continue
        text = "\n".join(page(family, names))
        (out / f"{family}.md").write_text(text.rstrip() + "\n")
        links = ", ".join(f"[{n}]({family}.md#{n})" for n in sorted(public))
        index.append(f"**{family.replace('_', ' ').capitalize()}**: {links}\n")
    (out / "index.md").write_text("\n".join(index))


if __name__ == "__main__":
    main()
