"""Samples of the rows of linear algebra: see registry.extra()."""

import torch
from sampling import case, t, wide


def full_rank(*shape, seed=0):
    """A maker of matrices that are far from singular."""

    def make(dtype):
        x = t(*shape, seed=seed)(dtype)
        x.diagonal(dim1=-2, dim2=-1).add_(4)
        return x

    return make


def precise(dtype):
    return dtype in (torch.float32, torch.float64, torch.complex64)


def symmetric(dtype):
    x = t(3, 3)(dtype)
    return x + x.mH


def constant(value):
    """A maker of a tensor of real numbers, whatever the dtype."""
    return lambda dtype: torch.tensor(value)


def in_double(product):
    """PyTorch's derivatives undo the reflectors, and lose digits in complex64."""

    def call(a, tau):
        wide = torch.promote_types(a.dtype, torch.float64)
        return product(a.to(wide), tau.to(wide)).to(a.dtype)

    return call


CORRECTED = {"linalg_householder_product": in_double}

EXTRA = {
    "_linalg_pinv": [
        case(
            full_rank(*shape),
            atol=1e-3,
            rtol=0.01,
            via=lambda t: t.linalg.pinv,
            only=wide,
        )
        for shape in ((4, 3), (2, 3, 3))
    ],
    "_linalg_lstsq": [
        case(
            *(full_rank(2, *shape), t(2, shape[0], 2)),
            driver=driver,
            via=lambda t: t.linalg.lstsq,
            only=wide,
        )
        for driver in ("gels", "gelsy", "gelsd", "gelss")
        for shape in ((4, 3), (3, 3))
    ],
    "_linalg_eig": [
        case(
            t(*shape),
            via=lambda t: t.linalg.eigvals,
            only=lambda d: d in (torch.float32, torch.complex64),
        )
        for shape in ((3, 3), (2, 4, 4))
    ],
    "linalg_cond.p_str": [
        # torch has no gradient: it writes over the inverse.
        case(
            full_rank(2, 3, 3),
            p,
            via=lambda t: lambda a, p: t.linalg.cond(a.detach(), p),
            only=precise,
        )
        for p in ("fro", "nuc")
    ],
    "linalg_matrix_rank": [case(t(3, 2), tol, only=precise) for tol in (0.0, 1.5, 2.0)]
    + [case(symmetric, 1.0, True, only=precise)],
    "linalg_matrix_rank.tol_tensor": [
        case(t(2, 4, 3), constant(1.0), only=precise),
        case(t(2, 4, 3), constant([0.5, 3.0]), only=precise),
    ],
    "_lu_with_info": [
        case(t(*shape), only=wide) for shape in ((3, 3), (2, 4, 3), (3, 5))
    ],
}
