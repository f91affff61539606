"""Samples of rows that only transforms call."""

from sampling import case, floats, t


def of_entries(t):
    """The gradient of each row, by what reads its values: nanmean, and derivatives."""

    def one(x, y):
        return x.nanmean() + t.maximum(x, y).sum()

    return t.vmap(t.func.grad(one))


EXTRA = {
    name: [case(t(3, 4), t(3, 4, seed=2), via=of_entries, only=floats, direct=False)]
    for name in ("_vmap_unstack", "_vmap_stack")
}
