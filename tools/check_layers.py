"""Check that the engine's layers include only downward.

Each folder of csrc/flashlight is a layer. A file may include headers of its own
layer and of those below it:  core < kernels < autograd < ops < optim < bind.
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAYERS = ("core", "kernels", "autograd", "ops", "optim", "bind")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"](?:\.\./|flashlight/)(\w+)/', re.MULTILINE)


def check(source):
    """What is wrong with the includes below the folder `source`, a line each."""
    errors = []
    for file in sorted(source.rglob("*")):
        if file.suffix not in (".h", ".cpp", ".mm", ".inc") or file.parent == source:
            continue
        layer = file.relative_to(source).parts[0]
        if layer not in LAYERS:
            errors.append(f"{file}: folder {layer!r} is no layer; they are {LAYERS}")
            continue
        text = file.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            target = match[1]
            line = text.count("\n", 0, match.start(1)) + 1
            if target not in LAYERS:
                errors.append(f"{file}:{line}: includes from {target!r}, no layer")
            elif LAYERS.index(target) > LAYERS.index(layer):
                errors.append(
                    f"{file}:{line}: {layer} includes from {target}, above it"
                )
    return errors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", default=ROOT / "csrc" / "flashlight")
    errors = check(pathlib.Path(parser.parse_args().source))
    for error in errors:
        print(error, file=sys.stderr)
    if errors:
        sys.exit(1)
    print("layers: every include goes downward")


if __name__ == "__main__":
    main()
