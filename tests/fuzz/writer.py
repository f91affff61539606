"""Writes programs: operands, and the helpers that the kinds share."""

import importlib
import random
import warnings

import torch

from .kinds import MIXED, OF_MIXED
from .machine import AT_THE_END, Machine

SHAPES = [(2, 3), (2, 3), (3,), (2, 2, 2), (), (1, 3), (4,), (2, 1), (0, 2), (3, 2, 2)]
MODES = ["torch.no_grad()", "torch.inference_mode()", "torch.enable_grad()"]
LARGEST = 96  # elements of a tensor; where there is one of more, a program ends
FARTHEST = 1e6  # ... and where there is a larger value, as rounding errors grow too


class Writer:
    """What a maker of lines is given."""

    def __init__(self, rng, machine, count):
        self.rng = rng
        self.machine = machine
        self.tensors = machine.tensors()
        self.names = list(self.tensors)
        self.new = f"t{count}"
        self.handle = f"h{count}"

    def chance(self, p):
        return self.rng.random() < p

    def any(self, fits=lambda t: True):
        """The name of a tensor that fits, if there is one; rather a recent one."""
        names = [n for n in self.names if fits(self.tensors[n])]
        if not names:
            return None
        recent = [n for n in names if n in self.names[-4:]]
        return self.rng.choice(recent if recent and self.chance(0.6) else names)

    def fitting(self, t):
        """A tensor that broadcasts with t; sometimes any."""
        if self.chance(0.04):
            return self.any()
        return self.any(lambda o: broadcasts(t.shape, o.shape))

    def dim(self, t, wrong=0.03):
        n = t.dim()
        if self.chance(wrong):
            return n + 1
        return self.rng.randrange(-n, n) if n else self.rng.choice([0, -1])

    def literal(self, shape, dtype, low=-2, high=2):
        """A nested list of that shape as text."""

        def number():
            if dtype == "bool":
                return self.chance(0.5)
            if dtype.startswith(("int", "uint")):
                return self.rng.randint(0 if dtype == "uint8" else low, high)
            if dtype.startswith("complex"):
                return complex(
                    round(self.rng.uniform(low, high), 2),
                    round(self.rng.uniform(low, high), 2),
                )
            return round(self.rng.uniform(low, high), 2)

        def nest(sizes):
            if not sizes:
                return number()
            return [nest(sizes[1:]) for _ in range(sizes[0])]

        return str(nest(shape))

    def tensor(self, dtypes, shapes=SHAPES, grad=0.6):
        """A line that makes a tensor of given values."""
        shape, dtype = self.rng.choice(shapes), self.rng.choice(dtypes)
        can = dtype.startswith(("float", "complex"))
        grad = f", requires_grad={self.chance(grad)}" if can else ""
        if 0 in shape:
            return f"{self.new} = torch.zeros({shape}, dtype=torch.{dtype}{grad})"
        values = self.literal(shape, dtype)
        return f"{self.new} = torch.tensor({values}, dtype=torch.{dtype}{grad})"

    def several(self, expression):
        """Keep two of several results, or one."""
        second = f" {self.new}b," if self.chance(0.8) else ""
        return f"{self.new},{second} *_ = {expression}"


def is_leaf(t):
    """Not asked of a view whose history may not be made: that is an error."""
    try:
        return t.is_leaf
    except RuntimeError:
        return False


def is_float(t):
    return t.is_floating_point()


def is_number(t):
    return t.is_floating_point() or t.is_complex()


def places(t):
    """Where in memory each element lies, in bytes."""
    size = t.element_size()
    found = [t.untyped_storage().data_ptr() + t.storage_offset() * size]
    for n, stride in zip(t.shape, t.stride()):
        found = [p + i * stride * size for p in found for i in range(n)]
    return found


def _bytes(t):
    return {p + i for p in places(t) for i in range(t.element_size())}


def names_twice(t):
    """Whether elements overlap in a way that PyTorch does not find out.

    What a write to such a tensor gives is then not defined.
    """
    if any(n > 1 and s == 0 for n, s in zip(t.shape, t.stride())):
        return False
    found = places(t)
    return len(set(found)) < len(found)


def shares(a, b):
    """Whether both are of one storage, or of storages on the same memory."""
    a, b = a.untyped_storage(), b.untyped_storage()
    if not a.nbytes() or not b.nbytes():
        return a.data_ptr() == b.data_ptr()
    begin = max(a.data_ptr(), b.data_ptr())
    return begin < min(a.data_ptr() + a.nbytes(), b.data_ptr() + b.nbytes())


def overlap(a, b):
    """Whether writing to one while reading the other gives what it happens to give."""
    if not shares(a, b):
        return False
    if a.dtype == b.dtype and a.shape == b.shape:
        if a.is_contiguous() and b.is_contiguous():
            return False
    return not _bytes(a).isdisjoint(_bytes(b))


def broadcasts(a, b):
    return all(x == y or x == 1 or y == 1 for x, y in zip(a[::-1], b[::-1]))


def makers(kind):
    if kind == MIXED:
        return [m for k in OF_MIXED for m in makers(k)]
    return importlib.import_module(f"fuzz.{kind}").MAKERS


def next_line(kind, rng, machine, count):
    """A line whose operands are tensors that the machine has."""
    writer = Writer(rng, machine, count)
    table = makers(kind)
    first = [m for m in table if m[1].__name__ == "new"]
    while True:
        few = len(writer.names) < 2 or rng.random() < 0.08
        weights, functions = zip(*(first if few else table))
        line = rng.choices(functions, weights)[0](writer)
        if line:
            break
    with_mode = rng.random() < 0.1 and not line.startswith(("with ", "del "))
    # unsafe_split in inference mode is a view that counts writes of its own.
    never = (".data =", "detach_", "multi_grad_hook", "unsafe_")
    if with_mode and not any(part in line for part in never):
        mode = rng.choice(MODES)
        # With inference tensors that require a gradient outside the mode, PyTorch's
        # kernels record steps of their own, or find them wrong. A transposed conjugate
        # is written back as if it were not.
        refused = ("requires_grad", "swapdims_", "swapaxes_")
        if "inference" in mode and any(part in line for part in refused):
            mode = "torch.no_grad()"
        line = f"with {mode}: {line}"
    return line


def _goes_on(machine):
    """Whether a program may have more lines."""
    for t in machine.tensors().values():
        if t.numel() > LARGEST:
            return False
        if is_number(t) and t.numel() and t.detach().abs().max() > FARTHEST:
            return False
    return True


def write_program(kind, seed, length=14):
    """A program, and what PyTorch shows after each line."""
    rng = random.Random(f"{kind} {seed}")
    late = rng.random() < 0.3
    machine = Machine(torch)
    lines, seen = [], []
    if late:
        lines.append(AT_THE_END)
        seen.append(machine.run(AT_THE_END))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for count in range(length):
            line = next_line(kind, rng, machine, count)
            lines.append(line)
            seen.append(machine.run(line, values=not late or count == length - 1))
            if not _goes_on(machine):
                break
    if late and len(lines) <= length:  # it has ended early
        return lines, None
    return lines, seen
