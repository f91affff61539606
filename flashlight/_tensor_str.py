"""How tensors are printed: the text is PyTorch's, to the letter.

Everything works on Python numbers, got by slicing and `tolist()`: printing needs
no arithmetic of tensors.
"""

import contextlib
import dataclasses
import itertools
import math
from typing import Optional

import flashlight

__all__ = ["get_printoptions", "printoptions", "set_printoptions"]


@dataclasses.dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: Optional[bool] = None


PRINT_OPTS = _Options()

_PROFILES = {
    "default": dict(precision=4, threshold=1000, edgeitems=3, linewidth=80),
    "short": dict(precision=2, threshold=1000, edgeitems=2, linewidth=80),
    "full": dict(precision=4, threshold=math.inf, edgeitems=3, linewidth=80),
}

# Stands in the nested lists of values where a summary leaves some out.
_LEFT_OUT = "..."


def set_printoptions(
    precision=None,
    threshold=None,
    edgeitems=None,
    linewidth=None,
    profile=None,
    sci_mode=None,
):
    """Set how tensors are printed. What is None stays, but for `sci_mode`.

    Args:
        precision: digits after the point (4)
        threshold: tensors with more elements are summarised (1000)
        edgeitems: elements that a summary keeps at both ends of a dimension (3)
        linewidth: characters a line (80)
        profile: `default`, `short` or `full`; the other arguments override it
        sci_mode: scientific notation always, never, or (None) where it is needed
    """
    if profile is not None:
        for name, value in _PROFILES.get(profile, {}).items():
            setattr(PRINT_OPTS, name, value)
    given = dict(
        precision=precision,
        threshold=threshold,
        edgeitems=edgeitems,
        linewidth=linewidth,
    )
    for name, value in given.items():
        if value is not None:
            setattr(PRINT_OPTS, name, value)
    PRINT_OPTS.sci_mode = sci_mode


def get_printoptions():
    """The options in force, as a dictionary for `set_printoptions`."""
    return dataclasses.asdict(PRINT_OPTS)


@contextlib.contextmanager
def printoptions(**options):
    """`set_printoptions` for the body of a `with` statement."""
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


# --- one number --------------------------------------------------------------


class _Formatter:
    """Formats the real numbers of one tensor, all of them equally wide."""

    def __init__(self, values, floating):
        # What is neither zero, infinite nor NaN decides on the style and width.
        counted = [v for v in values if v and math.isfinite(v)] if floating else []
        self.whole = floating and all(v.is_integer() for v in counted)
        if not floating:
            self.style = "{}"
            counted = values
        elif counted and self._wants_exponent(counted):
            self.style = f"{{:.{PRINT_OPTS.precision}e}}"
            self.whole = False
        elif self.whole:
            self.style = "{:.0f}"
        else:
            self.style = f"{{:.{PRINT_OPTS.precision}f}}"
        self.width = 1
        self.width = max((len(self(v)) for v in counted), default=1)

    def _wants_exponent(self, counted):
        if PRINT_OPTS.sci_mode is not None:
            return PRINT_OPTS.sci_mode
        largest, smallest = max(map(abs, counted)), min(map(abs, counted))
        return largest / smallest > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4

    def __call__(self, value):
        text = self.style.format(value)
        if self.whole and math.isfinite(value):
            text += "."
        return text.rjust(self.width)


class _ComplexFormatter:
    """Formats complex numbers: each part is as wide as that part of the others."""

    def __init__(self, values):
        self.real = _Formatter([v.real for v in values], floating=True)
        self.imag = _Formatter([v.imag for v in values], floating=True)
        self.width = self.real.width + self.imag.width + 1

    def __call__(self, value):
        imag = self.imag(value.imag).lstrip() + "j"
        sign = "" if imag[0] in "+-" else "+"
        return self.real(value.real) + sign + imag


# --- nested lists of numbers -------------------------------------------------


def _values(tensor, edge):
    """`tensor` as nested lists, with the middle of long dimensions left out."""
    if edge is None or all(size <= 2 * edge for size in tensor.shape):
        return tensor.tolist()
    size = tensor.shape[0]
    long = size > 2 * edge
    if tensor.dim() == 1:
        return tensor[:edge].tolist() + [_LEFT_OUT] + tensor[size - edge :].tolist()
    if not long:
        return [_values(tensor[i], edge) for i in range(size)]
    head = [_values(tensor[i], edge) for i in range(edge)]
    tail = [_values(tensor[i], edge) for i in range(size - edge, size)]
    return head + [_LEFT_OUT] + tail


def _flatten(values):
    if not isinstance(values, list):
        return [values]
    rows = (_flatten(value) for value in values if value is not _LEFT_OUT)
    return list(itertools.chain.from_iterable(rows))


def _layout(values, dim, indent, formatter):
    """Text of nested lists; lines after the first start at column `indent`."""
    if dim == 0:
        return formatter(values)
    if dim > 1:
        rows = [
            v if v is _LEFT_OUT else _layout(v, dim - 1, indent + 1, formatter)
            for v in values
        ]
        between = "," + "\n" * (dim - 1) + " " * (indent + 1)
        return "[" + between.join(rows) + "]"
    # Among the numbers of a line, the dots have a space of their own.
    words = [" " + v if v is _LEFT_OUT else formatter(v) for v in values]
    if values == [_LEFT_OUT]:
        words = [_LEFT_OUT]
    room = PRINT_OPTS.linewidth - indent
    a_line = max(1, math.floor(room / (formatter.width + 2)))
    lines = [", ".join(words[i : i + a_line]) for i in range(0, len(words), a_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _contents(tensor, indent):
    summarise = tensor.numel() > PRINT_OPTS.threshold
    edge = PRINT_OPTS.edgeitems if summarise else None
    values = _values(tensor, edge)
    numbers = _flatten(values)
    if tensor.is_complex():
        formatter = _ComplexFormatter(numbers)
    else:
        formatter = _Formatter(numbers, tensor.is_floating_point())
    return _layout(values, tensor.dim(), indent, formatter)


# --- the whole text ----------------------------------------------------------


def _says_dtype(tensor, empty):
    """Whether the numbers alone do not tell the dtype."""
    default = flashlight.get_default_dtype()
    if empty or tensor.device.type == "meta":
        return tensor.dtype != default
    double = default == flashlight.float64
    default_complex = flashlight.complex128 if double else flashlight.complex64
    told = (default, default_complex, flashlight.int64, flashlight.bool)
    return tensor.dtype not in told


def _suffixes(tensor):
    empty = tensor.numel() == 0
    meta = tensor.device.type == "meta"
    if tensor.device.type != "cpu":
        yield f"device='{tensor.device}'"
    left_out_whole = not empty and not PRINT_OPTS.edgeitems
    if meta or left_out_whole or (empty and tensor.dim() != 1):
        yield f"size={tuple(tensor.shape)}"
    if _says_dtype(tensor, empty):
        yield f"dtype={tensor.dtype}"
    try:
        grad_fn = tensor.grad_fn
    except RuntimeError:  # it was changed in place where that is an error
        yield "grad_fn=<Invalid>"
        return
    if grad_fn is not None:
        yield f"grad_fn=<{grad_fn.name().rpartition('::')[2]}>"
    elif tensor.requires_grad:
        yield "requires_grad=True"
    tangent = flashlight._C._tangent(tensor)
    if tangent is not None:
        yield f"tangent={tangent}"


def _wrapped_str(level, inner, batch_dim):
    """A tensor inside a function transform: the level, and what it stands for."""
    kind = "BatchedTensor" if level.is_batch else "GradTrackingTensor"
    depth = level.depth if level.alive else -2
    where = f"lvl={depth}, bdim={batch_dim}" if level.is_batch else f"lvl={depth}"
    text = _str(inner).replace("\n", "\n    ")
    return f"{kind}({where}, value=\n    {text}\n)"


def _str(tensor, *, tensor_contents=None):
    """The text of `tensor`; `tensor_contents` takes the place of its numbers."""
    wrapped = flashlight._C._wrapped(tensor)
    if wrapped is not None:
        return _wrapped_str(*wrapped)
    parameter = flashlight.nn.Parameter
    plain = type(tensor) in (flashlight.Tensor, parameter)
    prefix = "tensor(" if plain else type(tensor).__name__ + "("
    indent = len(prefix)
    if tensor_contents is not None:
        contents = tensor_contents
    elif tensor.device.type == "meta":
        contents = "..."
    elif tensor.numel() == 0:
        contents = "[]"
    else:
        contents = _contents(tensor.detach(), indent)
    text = prefix + contents
    column = len(text) - text.rfind("\n") + 1
    for suffix in _suffixes(tensor):
        if column + len(suffix) + 2 > PRINT_OPTS.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    text += ")"
    if isinstance(tensor, parameter) and not plain:
        return f"Parameter({text})"
    return text
