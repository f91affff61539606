"""Samples of the rows that make and fill tensors."""

from sampling import case, floats, not_bool, t


def in_place(name):
    """The in-place method of that name, on a copy of its argument."""

    def via(t):
        return lambda x, *args: getattr(x.clone(), f"{name}_")(*args)

    return via


def points(name):
    """The function of that name, its first two arguments tensors that record."""

    def via(t):
        def run(start, end, *args):
            ends = [
                x.detach().requires_grad_() if isinstance(x, t.Tensor) else x
                for x in (start, end)
            ]
            return getattr(t, name)(*ends, *args)

        return run

    return via


def spaced(name, *more):
    """Cases of each overload of linspace or logspace."""
    ends = {
        "Tensor_Tensor": (t(), t(seed=1)),
        "Tensor_Scalar": (t(), 3),
        "Scalar_Tensor": (-1.5, t()),
    }
    return {
        f"{name}.{overload}": [
            case(*pair, n, *more, via=points(name), only=floats) for n in (0, 1, 5)
        ]
        for overload, pair in ends.items()
    }


def unrecorded(name):
    """The function of that name, whose gradient PyTorch's own cannot give."""
    return lambda t: lambda x, *args: getattr(t, name)(x.detach(), *args)


def set_to(*args):
    def via(t):
        return lambda x, *source: t.empty(0, dtype=x.dtype).set_(x, *args)

    return via


def filled(wrap):
    return lambda t: lambda x: x.clone().fill_diagonal_(3, wrap)


EXTRA = {
    "zero": [case(t(3, 2), via=in_place("zero")), case(t(), via=in_place("zero"))],
    "fill.Tensor": [case(t(3, 2), t(seed=5), via=in_place("fill"))],
    "fill_diagonal_": [
        case(t(*shape), via=filled(wrap))
        for shape in ((3, 4), (7, 2), (3, 3, 3), (9, 3))
        for wrap in (False, True)
    ],
    "set_.source_Tensor": [case(t(3, 2), via=set_to())],
    "set_.source_Tensor_storage_offset": [
        case(t(6), via=set_to(1, (2, 2), (1, 2))),
        case(t(6), via=set_to(2, (3,))),
    ],
    "set_": [case(t(3), via=lambda t: lambda x: x.clone().set_())],
    "range.step": [case(1, 5), case(0, 1, 0.25), case(3, -2, -2)],
    "vander": [
        case(t(3), *args, via=unrecorded("vander"), only=not_bool)
        for args in ((), (5,), (2, True), (0,), (4, False))
    ],
    **spaced("linspace"),
    **spaced("logspace", 2.0),
}
