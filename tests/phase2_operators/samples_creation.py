"""Samples of the rows that make and fill tensors."""

from sampling import case, t


def in_place(name):
    """The in-place method of that name, on a copy of its argument."""

    def via(t):
        return lambda x, *args: getattr(x.clone(), f"{name}_")(*args)

    return via


EXTRA = {
    "zero": [case(t(3, 2), via=in_place("zero")), case(t(), via=in_place("zero"))],
}
