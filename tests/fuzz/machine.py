"""Runs the lines of a program under one library, and sees what can be seen."""

import gc
import math
import warnings
import weakref

import torch
from comparing import plain, same

import flashlight

from .functions import functions

# The first line of a program of which values are looked at only after the last line,
# so that what was recorded meanwhile is evaluated together.
AT_THE_END = "# values are read at the end"


def doubled(grads):
    """For hooks of nodes."""
    return tuple(g if g is None else g * 2 for g in grads)


def attribute(f):
    """What f returns, or the error that it raises."""
    try:
        return f()
    except Exception as e:
        return f"{type(e).__name__}: {e}"


class Machine:
    def __init__(self, lib):
        self.lib = lib
        self.notes = []
        self.env = {"torch": lib, "note": self.note, "doubled": doubled}
        self.env |= functions(lib, self.note)
        self.names = []
        self.handles = []
        # The graph of a gradient is made of other nodes than PyTorch's.
        self.second_order = False
        # What PyTorch does to an inference tensor outside the mode shows in versions.
        self.inferred = False
        # What has been a tensor's gradient: whether the engine took it over, copied it
        # or added to it shows in its version.
        self.gradients = weakref.WeakValueDictionary()

    def note(self, *items):
        """Called by hooks: what they were given, in order. Returns the last item."""
        self.notes.append([self._noted(i) for i in items])
        return items[-1]

    def _noted(self, item):
        if isinstance(item, (list, tuple)):
            return [self._noted(i) for i in item]
        if isinstance(item, self.lib.Tensor):
            return [plain(item), list(item.shape), str(item.dtype), item.requires_grad]
        return item

    def tensors(self):
        return {n: self.env[n] for n in self.names if n in self.env}

    def run(self, line, values=True):
        """Run a line; what can be seen after it."""
        self.second_order = self.second_order or "create_graph=True" in line
        before = set(self.env)
        seen = []
        if "swap_tensors" in line:
            gc.collect()  # it is refused while anything holds the tensors
        try:
            exec(line, self.env)
        except NameError as e:
            if "is not defined" not in str(e):
                raise
            return ["skipped"]
        except Exception as e:
            # PyTorch goes on with advice of its compiler.
            seen.append([type(e).__name__, str(e).split("\n\nTip: ")[0].rstrip()])
        seen += self.notes
        self.notes.clear()
        for name in list(self.env):
            value = self.env[name]
            if name not in before and not name.startswith("__"):
                if isinstance(value, self.lib.Tensor):
                    self.names.append(name)
                elif hasattr(value, "remove") and not isinstance(value, list):
                    self.handles.append(name)
                else:
                    seen.append([name, plain(value)])
                    del self.env[name]
        tensors = self.tensors()
        self.inferred = self.inferred or any(t.is_inference() for t in tensors.values())
        for t in tensors.values():
            gradient = attribute(lambda: t.grad)
            if isinstance(gradient, self.lib.Tensor):
                self.gradients[id(gradient)] = gradient
        storages = [attribute(lambda: _storage(t)) for t in tensors.values()]
        for (name, t), storage in zip(tensors.items(), storages):
            seen.append([name, *self.look(t, values), storages.index(storage)])
        return seen

    def look(self, t, values):
        def node():
            fn = t.grad_fn
            if fn is None or self.second_order:
                return fn is not None
            following = [n[0] and n[0].name() for n in fn.next_functions]
            return [fn.name(), following]

        def gradient():
            g = t.grad if t.is_leaf or t.retains_grad else None
            if g is None:
                return None
            return [plain(g) if values else None, list(g.stride()), g.requires_grad]

        tensors = self.tensors()
        base = None if self.inferred else t._base
        taken = attribute(lambda: _storage(t)) in [
            attribute(lambda: _storage(g)) for g in self.gradients.values()
        ]
        return [
            attribute(lambda: plain(t)) if values else None,
            [list(t.shape), list(t.stride()), t.storage_offset()],
            str(t.dtype).replace("flashlight", "torch"),
            None if self.inferred or taken else attribute(lambda: t._version),
            attribute(node),  # first: makes a stale view's history, or raises
            attribute(lambda: t.requires_grad),
            attribute(lambda: t.is_leaf),
            None if self.inferred else t._is_view(),
            [n for n, other in tensors.items() if other is base],
            attribute(lambda: t.output_nr),
            attribute(lambda: t.retains_grad),
            None if self.inferred else attribute(lambda: t.is_inference()),
            [t.is_contiguous(), t.is_conj(), t.is_neg()],
            attribute(lambda: t.untyped_storage().nbytes()),
            attribute(gradient),
        ]


def _storage(t):
    return t.untyped_storage().data_ptr() or id(t)


# What look() gives, in its order.
SEEN = [
    *["value", "geometry", "dtype", "_version", "grad_fn", "requires_grad", "is_leaf"],
    *["_is_view", "_base", "output_nr", "retains_grad", "is_inference"],
    *["is_contiguous, is_conj, is_neg", "nbytes of the storage", "grad", "storage"],
]


def run_program(lib, lines):
    """What the library shows after each line."""
    machine = Machine(lib)
    late = lines[0] == AT_THE_END
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            machine.run(line, not late or i == len(lines) - 1)
            for i, line in enumerate(lines)
        ]


def _refused(seen):
    error = seen[0] if seen else []
    return (
        isinstance(error, list)
        and len(error) == 2
        and str(error[1]).startswith("Inplace update to inference")
    )


def _asserted(seen):
    """Whether a check of PyTorch's own failed that it has no words for."""
    text = str(seen)
    texts = ["INTERNAL ASSERT FAILED", "Could this error message be"]
    texts += ["with unallocated storage"]  # zeros without data, from a derivative
    return any(t in text for t in texts)


def _half_done(before, a, e):
    """Whether both raise the same, where PyTorch has written a part and we nothing."""
    facts = a[1:]
    raised = len(a[0]) == 2 and isinstance(a[0][0], str) and a[0][0].endswith("Error")
    return raised and a[0] == e[0] and same(facts, before[len(before) - len(facts) :])


def _largest(x):
    """Of the numbers in nested lists."""
    if isinstance(x, list):
        return max(map(_largest, x), default=0)
    return abs(x) if isinstance(x, (float, complex)) and abs(x) < math.inf else 0


def _near(a, e, ever):
    """Whether two rows are the same up to the rounding of the row's largest number.

    Or of a product of the largest that there ever was: it may have been multiplied by
    a difference of two that are the same but for rounding.
    """
    atol = max(1e-5, 4e-6 * _largest(e), 1e-15 * ever**2)
    return same(a, e, rtol=1e-4, atol=atol)


def _smallest(x):
    """Of the numbers in nested lists that are not zero."""
    if isinstance(x, list):
        return min(map(_smallest, x), default=math.inf)
    return abs(x) or math.inf if isinstance(x, (float, complex)) else math.inf


def _nearly_whole(x):
    """Whether a number in nested lists is nearly an integer, and not one."""
    if isinstance(x, list):
        return any(map(_nearly_whole, x))
    finite = isinstance(x, float) and abs(x) < 1e15
    return finite and 0 < abs(x - round(x)) < 1e-6 * max(1, abs(x))


def _cut_off(a, e, seen, expected):
    """Whether integers differ that were cut off from what rounding has a say in."""
    rows = [r for r in (a, e) if len(r) == len(SEEN) + 1]
    whole = len(rows) == 2 and all("int" in str(r[3]) for r in rows)
    return whole and (_nearly_whole(seen) or _nearly_whole(expected))


def _strides_of_none(row):
    """Whether a leaf has other dimensions than its gradient.

    PyTorch has compared strides then that are not there.
    """
    if len(row) != len(SEEN) + 1 or row[7] is not True or not isinstance(row[15], list):
        return False
    return len(row[15][1]) != len(row[2][0])


def disagreement(lib, lines, expected=None):
    """The first line after which the two differ, with what each shows; or None."""
    if expected is None:
        expected = run_program(torch, lines)
    seen = run_program(lib, lines)
    for i, (a, e) in enumerate(zip(seen, expected)):
        if _refused(a) and _refused(e):
            return None  # PyTorch raises that after it has written
        if same(a, e, rtol=1e-4, atol=1e-5):
            continue
        # Nothing after it is defined.
        if any(isinstance(row, list) and _strides_of_none(row) for row in e):
            return None
        if _asserted(e) or (i > 0 and _half_done(seen[i - 1], a, e)):
            return None
        if lines[0] == AT_THE_END and any("is out of bounds" in str(x) for x in seen):
            return None  # PyTorch may have written a part then
        if _smallest(expected[: i + 1]) < 1e-13 or _smallest(seen[: i + 1]) < 1e-13:
            return None  # what is more than zero then is for rounding to say
        if len(a) == len(e):
            ever = _largest(expected[: i + 1])
            pairs = [(x, y) for x, y in zip(a, e) if not _near(x, y, ever)]
            if not pairs:
                continue
            a, e = pairs[0]
            if _cut_off(a, e, seen[: i + 1], expected[: i + 1]):
                return None
        return i, a, e
    return None


def _candidates(lines):
    """Programs that are a little simpler."""
    for i in reversed(range(len(lines) - 1)):
        yield lines[:i] + lines[i + 1 :]
    for i, line in enumerate(lines):
        if line.startswith("with "):
            yield lines[:i] + [line.split(": ", 1)[1]] + lines[i + 1 :]


def shortest(lib, lines):
    """The program without what the disagreement does not need."""
    lines = lines[: disagreement(lib, lines)[0] + 1]
    changed = True
    while changed:
        changed = False
        for simpler in _candidates(lines):
            try:
                found = disagreement(lib, simpler)
            except Exception:
                continue  # PyTorch does not run it
            if found and found[0] == len(simpler) - 1:
                lines, changed = simpler, True
                break
    return lines


def report(lib, lines):
    """A disagreement as text, its program as the regression table wants it."""
    _, ours, theirs = disagreement(lib, lines)
    if len(ours) == len(theirs) == len(SEEN) + 1 and ours[0] == theirs[0]:
        differ = [
            (f"{ours[0]}'s {what}", a, b)
            for what, a, b in zip(SEEN, ours[1:], theirs[1:])
            if not same(a, b, 1e-4, 1e-5)
        ]
        ours = "; ".join(f"{what}: {a}" for what, a, _ in differ)
        theirs = "; ".join(f"{what}: {b}" for what, _, b in differ)
    program = "\n".join(lines)
    return f'    "...": """\n{program}\n""",\nours:  {ours}\ntorch: {theirs}'


LIBRARIES = {"torch": torch, "flashlight": flashlight}
