"""Counts the floating-point operations of what runs, module by module.

What counts are matrix products, convolutions and attention, as in PyTorch; a product
with an addition counts as two.
"""

from collections import defaultdict
from functools import wraps
from math import prod

import flashlight
from flashlight.ops import aten
from flashlight.utils._python_dispatch import TorchDispatchMode
from flashlight.utils._pytree import tree_map
from flashlight.utils.module_tracker import ModuleTracker

__all__ = ["FlopCounterMode", "flop_registry", "register_flop_formula"]

flop_registry: dict = {}


def _shape(x):
    return x.shape if isinstance(x, flashlight.Tensor) else x


def register_flop_formula(targets, get_raw=False):
    """Register the count of one or more packets of overloads.

    Args:
        targets: packets such as ``torch.ops.aten.mm``; one, or a list.
        get_raw: the formula is given tensors; otherwise their shapes.

    Returns:
        A decorator of the formula: it takes the op's arguments and ``out_val``, and
        returns an int.

    Raises:
        ValueError: a target is no packet.
        RuntimeError: a target has a formula already.

    Source: :mod:`torch.utils.flop_counter`.
    """
    from flashlight._custom_ops import OpOverloadPacket

    def register(formula):
        @wraps(formula)
        def of_shapes(*args, out_val=None, **kwargs):
            args, kwargs, out = tree_map(_shape, (args, kwargs, out_val))
            return formula(*args, out_shape=out, **kwargs)

        for target in targets if isinstance(targets, (list, tuple)) else [targets]:
            if not isinstance(target, OpOverloadPacket):
                raise ValueError(
                    f"register_flop_formula(targets): expected each target to be "
                    f"OpOverloadPacket (i.e. torch.ops.mylib.foo), got {target} which "
                    f"is of type {type(target)}"
                )
            if target in flop_registry:
                raise RuntimeError(f"duplicate registrations for {target}")
            flop_registry[target] = formula if get_raw else of_shapes
        return formula

    return register


@register_flop_formula(aten.mm)
def mm_flop(a_shape, b_shape, *args, out_shape=None, **kwargs):
    """(m, k) by (k, n)."""
    m, k = a_shape
    return m * b_shape[1] * 2 * k


@register_flop_formula(aten.addmm)
def addmm_flop(self_shape, a_shape, b_shape, out_shape=None, **kwargs):
    """As mm."""
    return mm_flop(a_shape, b_shape)


@register_flop_formula(aten.bmm)
def bmm_flop(a_shape, b_shape, out_shape=None, **kwargs):
    """(b, m, k) by (b, k, n)."""
    b, m, k = a_shape
    return b * m * b_shape[2] * 2 * k


@register_flop_formula(aten.baddbmm)
def baddbmm_flop(self_shape, a_shape, b_shape, out_shape=None, **kwargs):
    """As bmm."""
    return bmm_flop(a_shape, b_shape)


@register_flop_formula([aten._matmul, aten._linear])
def matmul_flop(a_shape, b_shape, *args, out_shape=None, **kwargs):
    """Matrices of any batch; products with a vector are not counted."""
    if len(a_shape) < 2 or len(b_shape) < 2:
        return 0
    return prod(out_shape) * 2 * a_shape[-1]


def conv_flop_count(x_shape, w_shape, out_shape, transposed=False):
    """Of a convolution of x (N, C, ...) with w, without its bias."""
    places = (x_shape if transposed else out_shape)[2:]
    return x_shape[0] * prod(places) * prod(w_shape) * 2


@register_flop_formula(aten.convolution)
def conv_flop(
    x_shape,
    w_shape,
    _bias,
    _stride,
    _padding,
    _dilation,
    transposed,
    *args,
    out_shape=None,
    **kwargs,
):
    """The forward."""
    return conv_flop_count(x_shape, w_shape, out_shape, transposed)


@register_flop_formula(aten._convolution_input)
def conv_input_flop(grad_shape, w_shape, *args, out_shape=None, **kwargs):
    """The gradient of the input."""
    return conv_flop_count(grad_shape, w_shape, out_shape, transposed=True)


@register_flop_formula(aten._convolution_weight)
def conv_weight_flop(grad_shape, x_shape, *args, out_shape=None, **kwargs):
    """The gradient of the weight."""
    n, o, *places = grad_shape
    return x_shape[1] * prod(out_shape[2:]) * o * n * prod(places) * 2


@register_flop_formula(aten._fused_attention)
def sdpa_flop(query_shape, key_shape, value_shape, *args, out_shape=None, **kwargs):
    """Two batched products: the scores, and what they weigh."""
    *batch, queries, width = query_shape
    keys, out = key_shape[-2], value_shape[-1]
    return prod(batch) * queries * keys * 2 * (width + out)


_SUFFIXES = ["", "K", "M", "B", "T"]


def _power(number):
    """Of 1000, in which a number is best written."""
    return max(0, min(len(_SUFFIXES) - 1, (len(str(number)) - 2) // 3))


class FlopCounterMode(TorchDispatchMode):
    """Counts floating-point operations while it is on.

    Args:
        mods: not needed; PyTorch warns of it, and so does this.
        depth: how deep the modules of the table go.
        display: print the table at the end.
        custom_mapping: packets and their formulas, as of
            :func:`register_flop_formula`.

    Source: :mod:`torch.utils.flop_counter`.

    Example:
        >>> with FlopCounterMode(display=False) as counter:
        ...     _ = torch.ones(2, 3) @ torch.ones(3, 4)
        >>> counter.get_total_flops()
        48
    """

    def __init__(self, mods=None, depth=2, display=True, custom_mapping=None):
        super().__init__()
        if mods is not None:
            import warnings

            warnings.warn(
                "mods argument is not needed anymore, you can stop passing it",
                stacklevel=2,
            )
        self.depth, self.display = depth, display
        self.flop_counts: dict = defaultdict(lambda: defaultdict(int))
        self.mod_tracker = ModuleTracker()
        self.flop_registry = {**flop_registry, **(custom_mapping or {})}

    def get_total_flops(self):
        """All operations, as an int."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self):
        """Module name -> packet -> operations."""
        return {name: dict(counts) for name, counts in self.flop_counts.items()}

    def get_table(self, depth=None):
        """The counts as a table of text; needs the package ``tabulate``."""
        import tabulate

        tabulate.PRESERVE_WHITESPACE = True
        depth = self.depth if depth is None else depth
        total = self.get_total_flops()
        power = _power(total)

        def line(name, flops):
            number = f"{flops / 1000**power:.3f}{_SUFFIXES[power]}"
            return [name, number, f"{flops / total:.2%}" if total else "0%"]

        def lines(name, indent):
            counts, pad = self.flop_counts[name], " " * indent
            yield line(pad + name, sum(counts.values()))
            for packet, flops in counts.items():
                yield line(f"{pad} - {packet}", flops)

        rows, whole = [], False
        for name in sorted(self.flop_counts.keys() - {"Global"}):
            level = name.count(".")
            if depth is None or level < depth:
                whole = whole or sum(self.flop_counts[name].values()) >= total
                rows += lines(name, level)
        # Unless one module has it all.
        if "Global" in self.flop_counts and not whole:
            for row in rows:
                row[0] = " " + row[0]
            rows = [*lines("Global", 0), *rows]
        return tabulate.tabulate(
            rows or [["Global", "0", "0%"]],
            headers=("Module", "FLOP", "% Total"),
            colalign=("left", "right", "right"),
        )

    def __enter__(self):
        self.flop_counts.clear()
        self.mod_tracker.__enter__()
        return super().__enter__()

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.mod_tracker.__exit__()
        if self.display:
            print(self.get_table(self.depth))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        formula = self.flop_registry.get(func.overloadpacket)
        if formula is not None:
            flops = formula(*args, **(kwargs or {}), out_val=out)
            for name in set(self.mod_tracker.parents):
                self.flop_counts[name][func.overloadpacket] += flops
        return out
