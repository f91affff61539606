"""Samples of the rows of special.cpp, numeric.cpp and factorizations.cpp."""

import math

import torch
from sampling import case, integers, not_bool, real, t, wide

POLYNOMIALS = [
    *(f"chebyshev_polynomial_{k}" for k in "tuvw"),
    *(f"shifted_chebyshev_polynomial_{k}" for k in "tuvw"),
    *("hermite_polynomial_h", "hermite_polynomial_he"),
    *("laguerre_polynomial_l", "legendre_polynomial_p"),
]


def special(name):
    return lambda t: getattr(t.special, name)


def degrees(dtype):
    return t(3, 4, low=0, high=5, seed=1)(dtype).floor()


def nan_at_nan(polynomial):
    """PyTorch's recurrences return a variable never written to where x is NaN.

    What it holds is another element's value, or none's.
    """

    def call(x, n, **kwargs):
        recurs = torch.as_tensor(n) >= 2
        out = polynomial(x, n, **kwargs)
        return out.masked_fill(torch.as_tensor(x).isnan() & recurs, math.nan)

    return call


def in_float32(matrix_exp):
    """PyTorch has thresholds of the norm for wider dtypes alone: NaN of most halves."""

    def call(x):
        narrow = x.dtype in (torch.float16, torch.bfloat16)
        return matrix_exp(x.float()).to(x.dtype) if narrow else matrix_exp(x)

    return call


CORRECTED = {
    **{f"special_{name}": nan_at_nan for name in POLYNOMIALS},
    "matrix_exp": in_float32,
    "linalg_matrix_exp": in_float32,
}

EXTRA = {
    **{
        f"special_{name}.x_scalar": [
            case(x, degrees, via=special(name), only=wide) for x in (0.5, -1.5)
        ]
        for name in POLYNOMIALS
    },
    **{
        f"special_{name}.n_scalar": [
            case(t(3, 4), n, via=special(name), only=wide) for n in (0, 1, 4)
        ]
        for name in POLYNOMIALS
    },
    **{
        f"special_{name}.self_scalar": [
            case(x, t(3, 4, low=0.5), via=special(name), only=wide) for x in (0, 2, 2.5)
        ]
        for name in ("xlog1py", "xlogy")
    },
    **{
        f"special_{name}.other_scalar": [
            case(t(3, 4, low=0.5), x, via=special(name), only=wide) for x in (2, 2.5)
        ]
        for name in ("xlog1py", "xlogy")
    },
    "special_zeta.self_scalar": [
        case(
            x,
            t(3, 4, low=0.5),
            via=lambda t: lambda x, q: t.special.zeta(x, q.detach()),
            only=wide,
        )
        for x in (2, 3.5)
    ],
    "special_zeta.other_scalar": [
        case(
            t(3, 4, low=1.5, high=4),
            x,
            via=lambda t: lambda s, q: t.special.zeta(s.detach(), q),
            only=wide,
        )
        for x in (1, 2.5)
    ],
    "special_multigammaln": [
        case(t(3, 4, low=2, high=5), p, via=special("multigammaln"), only=wide)
        for p in (1, 3)
    ],
    "special_gammainc": [
        case(
            *(t(3, 4, low=0.2, high=30), t(3, 4, low=0.1, high=30, seed=2)),
            via=lambda t: lambda a, x: t.special.gammainc(a.detach(), x),
            only=wide,
        )
    ],
    "special_gammaincc": [
        case(
            *(t(3, 4, low=0.2, high=30), t(3, 4, low=0.1, high=30, seed=2)),
            via=lambda t: lambda a, x: t.special.gammaincc(a.detach(), x),
            only=wide,
        )
    ],
    "polygamma_": [
        case(t(3, 4, low=0.5), n, via=lambda t: t.Tensor.polygamma_, only=wide)
        for n in (0, 1, 3)
    ],
    "gcd": [case(t(3, 4, low=-40, high=40), t(4, low=0, high=9), only=integers)],
    "special_exp2": [case(t(3, 4), via=special("exp2"), only=real)],
    "special_gammaln": [case(t(3, 4), via=special("gammaln"), only=real)],
    "matrix_exp": [case(t(2, 3, 3), only=wide), case(t(0, 0), only=wide)],
    "cholesky_solve": [
        case(t(3, 2), t(2, 3, 3, low=0.5), upper, only=wide) for upper in (False, True)
    ],
    "triangular_solve": [
        case(t(3, 2), t(2, 3, 3, low=0.5), upper, transpose, unit, only=wide)
        for upper in (False, True)
        for transpose in (False, True)
        for unit in (False, True)
    ],
    "qr": [case(t(4, 3), only=wide), case(t(3, 3), False, only=wide)],
    "conj_physical": [case(t(3, 4), only=not_bool)],
    "conj_physical_": [
        case(t(3, 4), via=lambda t: t.Tensor.conj_physical_, only=not_bool)
    ],
}
