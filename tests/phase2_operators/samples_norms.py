"""Samples of norms."""

from sampling import case, t, wide

EXTRA = {
    "norm_except_dim": [
        case(t(3, 4, 2), *args, only=wide)
        for args in ((), (2, 0), (2, -1), (1, 2), (3, 1))
    ],
    "_weight_norm": [
        case(t(3, 4), t(3, 1), only=wide),
        case(t(3, 4), t(1, 4), 1, only=wide),
    ],
}
