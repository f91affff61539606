"""Samples of rows of every family: see registry.collected()."""

import torch
from sampling import (
    backward_of,
    case,
    clamp_of,
    div_of,
    floats,
    inexact,
    integers,
    mask,
    not_bool,
    numbers,
    operator_of,
    product,
    real,
    t,
    whole,
    wide,
)


def number_of(t):
    return t.ops.aten._local_scalar_dense.default


# Rows that PyTorch's tables have no samples for. torch has the function of that name.
EXTRA = {
    "convolution": [
        case(
            *(t(2, 4, 5, 5), t(4, 2, 3, 3), t(4)),
            *([2, 1], [1, 1], [1, 2], transposed, [int(transposed), 0], 2),
            only=wide,
        )
        for transposed in (False, True)
    ],
    "_convolution_input": [
        backward_of(lambda t, x, w: t.conv2d(x, w), t(2, 3, 5, 5), t(4, 3, 3, 3))
    ],
    "_convolution_weight": [
        backward_of(lambda t, w, x: t.conv2d(x, w), t(4, 3, 3, 3), t(2, 3, 5, 5))
    ],
    "copy": [
        case(t(3, 2), t(2, seed=1), via=lambda t: lambda x, y: x.clone().copy_(y))
    ],
    "_local_scalar_dense": [
        case(t(*sizes), via=number_of, only=whole) for sizes in ((1,), (), (1, 1))
    ],
    "_to_copy": [case(t(3, 2), via=lambda t: lambda x: x.to(t.float16))],
    **{
        f"__{name}__.{kind}": [
            case(t(3, 2), x, via=operator_of(f"__{name}__"), only=bits)
        ]
        for name, bits in (
            ("and", whole),
            ("or", whole),
            ("xor", whole),
            ("lshift", integers),
            ("rshift", integers),
        )
        for kind, x in (("Tensor", t(3, 2, low=0)), ("Scalar", 1))
    },
    **{
        f"bitwise_{name}.Scalar": [case(t(3, 2, low=0), 3, only=whole)]
        for name in ("and", "or", "xor")
    },
    **{
        f"bitwise_{name}.Scalar_Tensor": [case(5, t(3, 2, low=0), only=bits)]
        for name, bits in (
            ("and", whole),
            ("or", whole),
            ("xor", whole),
            ("left_shift", integers),
            ("right_shift", integers),
        )
    },
    "clamp": [
        case(t(3, 2), -1, 1, only=real),
        case(t(3, 2), min=0.5, only=real),
        case(t(3, 2), max=1, only=real),
    ],
    "clip": [case(t(3, 2), -1, 1, only=real), case(t(3, 2), max=0.5, only=real)],
    "_clamp": [
        case(
            *(t(3, 2), t(3, 2, low=-1, high=0), t(2, low=0, high=1)),
            via=clamp_of,
            only=numbers,
        )
    ],
    "masked_fill.Tensor": [case(t(3, 2), mask(3, 2), t())],
    "rsub.Scalar": [
        case(t(3, 2), 2, only=not_bool),
        case(t(3, 2), 2, 3, only=not_bool),
    ],
    **{
        f"_div_{mode}": [
            case(
                *(t(3, 2), t(3, 2, low=1, seed=1)),
                rounding_mode=mode,
                via=div_of,
                only=numbers,
            )
        ]
        for mode in ("floor", "trunc")
    },
    **{
        name: [case(t(3, 2), dim, False, only=floats) for dim in (0, 1)]
        for name in ("_softmax", "_log_softmax")
    },
    "_prelu_kernel": [
        case(t(3, 2), t(2, seed=3), via=lambda t: t.prelu, only=floats),
    ],
    "threshold_backward": [
        case(
            *(t(3, 2), t(3, 2, seed=1), 0),
            via=lambda t: t.ops.aten.threshold_backward,
            only=floats,
        )
    ],
    "where": [case(t(3, 2))],
    "where.Scalar": [case(mask(3, 2), 1, 2.5)],
    "where.ScalarSelf": [case(mask(3, 2), 1, t(3, 2))],
    "where.ScalarOther": [case(mask(3, 2), t(3, 2), 1)],
    "_neg_view": [case(t(3, 2), only=not_bool)],
    "_conj": [case(t(3, 2), via=lambda t: lambda x: x.conj())],
    "detach": [case(t(3, 2))],
    "value_selecting_reduction_backward": [
        backward_of(lambda t, x: t.max(x, 1), t(3, 4), only=floats),
        backward_of(lambda t, x: t.min(x, 0, True), t(3, 4), only=floats),
        backward_of(lambda t, x: t.max(x, 0), t(), only=floats),
    ],
    "_linalg_svd": [case(t(4, 3), via=lambda t: t.linalg.svdvals, only=wide)],
    "_linalg_solve": [
        case(t(2, 3, 3), t(3, 2), via=lambda t: t.linalg.solve, only=wide)
    ],
    "_solve_triangular": [
        case(
            t(2, 3, 3),
            t(3, 2),
            upper=u,
            via=lambda t: t.linalg.solve_triangular,
            only=wide,
        )
        for u in (False, True)
    ],
    "linalg_pinv": [case(t(4, 3), 1e-5, only=wide)],
    "linalg_pinv.rcond_tensor": [
        case(
            *(t(4, 3), t(low=0.1, high=0.2)),
            via=lambda t: lambda a, rcond: t.linalg.pinv(a, rcond.detach()),
            only=wide,
        )
    ],
    "float_power.Tensor_Scalar": [
        case(t(3, 4, low=0.5), x, only=real) for x in (2, 0.5, True)
    ],
    "float_power.Scalar": [case(x, t(3, 4), only=real) for x in (2, 0.5)],
    "float_power_.Tensor": [
        case(
            t(3, 4, low=0.5),
            t(4),
            via=lambda t: t.Tensor.float_power_,
            only=lambda dtype: dtype == torch.float64,
        )
    ],
    "float_power_.Scalar": [
        case(
            t(3, 4, low=0.5),
            1.5,
            via=lambda t: t.Tensor.float_power_,
            only=lambda dtype: dtype == torch.float64,
        )
    ],
    "remainder.Scalar": [case(t(3, 4), x, only=numbers) for x in (2, -3)],
    "fmod.Scalar": [case(t(3, 4), x, only=numbers) for x in (2, -3)],
    "xlogy.Scalar_Other": [case(t(3, 4), 2, only=real)],
    "remainder.Scalar_Tensor": [case(5, t(3, 4, low=1), only=numbers)],
    "xlogy.Scalar_Self": [case(2, t(3, 4, low=0.5), only=real)],
    "linalg_pinv.atol_rtol_float": [
        case(t(4, 3), only=wide),
        case(t(4, 3), atol=1e-3, rtol=0.1, only=wide),
    ],
    "slogdet": [case(t(2, 3, 3), only=wide)],
    "matrix_power": [case(t(3, 3), n, only=wide) for n in (0, 1, 2, 5, -2)],
    "inverse": [case(t(3, 3), only=wide)],
    "_tied": [case(t(3, 2), t(4, 2), 0.0, via=lambda t: t.cdist, only=wide)],
    "_norm_backward": [
        backward_of(lambda t, x, p=p: t.linalg.vector_norm(x, p, 1), t(3, 4))
        for p in (1, 0.5, 1.5, 3, -1, float("inf"), float("-inf"))
    ],
    "norm.Scalar": [
        case(t(3, 4), p, via=lambda t: t.ops.aten.norm, only=inexact) for p in (1, 2, 3)
    ],
    "norm.ScalarOpt_dim": [
        case(t(3, 4), 1, [0], True, via=lambda t: t.ops.aten.norm, only=inexact)
    ],
    "_euclidean_dist": [
        case(t(30, 3), t(4, 3), via=lambda t: t.cdist, only=wide),
        case(t(2, 2, 3), t(1, 27, 3), via=lambda t: t.cdist, only=wide),
    ],
    "ger": [case(t(3), t(4))],
    "chain_matmul": [case(t(3, 2), t(2, 5), t(5, 4), only=not_bool)],
    "linalg_matrix_power": [case(t(3, 3), n, only=wide) for n in (0, 1, 2, 5, -2)],
    "addbmm_": [
        product(t(3, 5), t(2, 3, 4), t(2, 4, 5), via=lambda t: t.Tensor.addbmm_),
        product(t(1), t(2, 3, 4), t(2, 4, 5), via=lambda t: t.Tensor.addbmm_),
    ],
    "_cumsum_backward": [backward_of(lambda t, x: t.cumsum(x, 1), t(3, 4))],
    "_cumprod_backward": [
        backward_of(lambda t, x: t.cumprod(x, 1), t(3, 5), graph=True),
        # Zeros, of which the gradient is seen.
        backward_of(
            lambda t, x: t.cumprod(x - x.detach() * x.real.lt(0.5), 0),
            t(4, 3),
            graph=True,
        ),
    ],
    "cumprod": [
        backward_of(lambda t, x: t.cumprod(x, 1), t(3, 5)),
        backward_of(
            lambda t, x: t.cumprod(x - x.detach() * x.real.lt(-0.5), 0), t(6, 3)
        ),
        backward_of(lambda t, x: t.cumprod(x, 0), t()),
    ],
    "_logcumsumexp_backward": [
        backward_of(lambda t, x: t.logcumsumexp(x, 1), t(3, 5), only=wide)
    ],
    "cummaxmin_backward": [
        backward_of(lambda t, x: t.cummax(x, 1), t(3, 5), only=floats),
        backward_of(lambda t, x: t.cummin(x, 0), t(3, 5), only=floats),
    ],
    "_between": [case(t(3, 4), 0.3, 1, via=lambda t: t.quantile, only=wide)],
    "_pick": [case(t(3, 4), 0.3, 1, via=lambda t: t.quantile, only=wide)],
    "_unique2": [
        case(t(3, 4, low=0, high=4), True, i, c, via=lambda t: t.unique, only=real)
        for i in (False, True)
        for c in (False, True)
    ],
    "unique_dim": [
        case(t(4, 2, high=1), True, True, True, d, via=lambda t: t.unique, only=real)
        for d in (0, 1)
    ],
    "isin.Tensor_Scalar": [case(t(3, 4), 1, invert=i, only=wide) for i in (False, True)]
    + [case(t(3, 4), 1, only=lambda d: d == torch.int64)],
    "isin.Scalar_Tensor": [case(1, t(3, 4), only=lambda d: d == torch.int64)],
    "bucketize.Scalar": [
        case(x, t(5, low=0, high=4, seed=1), via=lambda t: t.bucketize, only=wide)
        for x in (1, 2.5, -3.0)
    ],
    "searchsorted.Scalar": [
        case(t(5, low=0, high=4, seed=1), x, right=True, only=wide) for x in (1, 2.5)
    ],
    "_prod_backward": [
        backward_of(lambda t, x: t.prod(x, 1), t(3, 5)),
        backward_of(lambda t, x: t.prod(x), t(2, 4)),
        backward_of(lambda t, x: t.prod(x * x.real.gt(0.5), 0), t(4, 3)),
    ],
    "_matmul": [
        product(t(2, 3, 4), t(4, 5), via=lambda t: t.matmul),
        product(t(2, 3, 4), t(2, 4, 5), via=lambda t: t.matmul),
        product(t(3, 4), t(3, 2, 4, 5), via=lambda t: t.matmul),
        product(t(3, 1, 3, 4), t(2, 4, 1), via=lambda t: t.matmul),
        product(t(2, 3, 0), t(0, 5), via=lambda t: t.matmul),
        product(t(4), t(2, 4, 5), via=lambda t: t.matmul),
        product(t(2, 3, 4), t(4), via=lambda t: t.matmul),
    ],
    "linalg_matmul": [case(t(2, 3, 4), t(4, 5), only=not_bool)],
    "_linear": [
        product(t(3, 4), t(5, 4), t(5), via=lambda t: t.nn.functional.linear),
        product(t(2, 3, 4), t(5, 4), t(5), via=lambda t: t.nn.functional.linear),
        product(t(0, 4), t(5, 4), t(5), via=lambda t: t.nn.functional.linear),
    ],
    "slice_backward": [
        case(t(2, 2), (5, 2), 0, 0, 3, 2, via=lambda t: t.ops.aten.slice_backward)
    ],
}
