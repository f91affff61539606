"""Samples of the rows that view, split and reinterpret tensors."""

import torch
from sampling import case, not_bool, real, t


def named(name):
    """torch.<name>, which is no public function there under any other name."""
    return lambda t: getattr(t, name)


def inner(name):
    """The op of that name, which is no public function."""
    return lambda t: getattr(t.ops.aten, name)


def complexes(dtype):
    return dtype.is_complex


def float32s(dtype):
    return dtype == torch.float32


def as_(name):
    """The view of this tensor under the dtype of that name."""
    return lambda t: lambda x: x.view(getattr(t, name))


def wide_views(dtype):
    return dtype in (torch.float32, torch.int64)


def at(*shape):
    """`start` of narrow as a tensor."""
    return lambda dtype: torch.tensor(*shape)


def written(as_strided_scatter):
    """PyTorch's gradient of `self` goes through a window without dimensions."""

    def call(x, src, size, stride, storage_offset=None):
        if not x.requires_grad:
            return as_strided_scatter(x, src, size, stride, storage_offset)
        out = x.clone()
        out.as_strided(size, stride, storage_offset).copy_(src)
        return out

    return call


def cloned(view):
    """PyTorch refuses complex results of some copies of views a gradient."""

    def corrected(copy):
        def call(x, *args):
            if x.requires_grad and x.is_complex():
                return view(x, *args).clone().resolve_conj().resolve_neg()
            return copy(x, *args)

        return call

    return corrected


CORRECTED = {
    "as_strided_scatter": written,
    "_conj_copy": cloned(torch.conj),
    "_neg_view_copy": cloned(torch._neg_view),
    "_reshape_alias_copy": cloned(torch.ops.aten._reshape_alias),
    "select_copy": cloned(torch.select),
    "slice_copy": cloned(torch.ops.aten.slice),
}

EXTRA = {
    "alias": [case(t(3, 2), via=inner("alias"))],
    "slice.Tensor": [
        case(t(5, 2), *args, via=inner("slice"))
        for args in ((0, 1, 4, 2), (1,), (0, -2))
    ],
    "select_backward": [
        case(t(3), (2, 3), 0, 1, via=inner("select_backward")),
        case(t(2, 2), (2, 3, 2), -2, -1, via=inner("select_backward")),
    ],
    "view.dtype": [
        case(t(3, 4), via=as_(name), only=wide_views)
        for name in ("int32", "int64", "uint8", "float64", "float32")
    ],
    "view_copy.dtype": [
        case(t(3, 4), dtype=dtype, via=named("view_copy"), only=wide_views)
        for dtype in (torch.int32, torch.uint8)
    ],
    "_strided_sum": [
        case(
            t(6),
            via=lambda t: lambda x: t.autograd.grad(
                x.requires_grad_().as_strided(*args), x, t.ones(args[0], dtype=x.dtype)
            ),
            only=float32s,
        )
        for args in (((3, 2), (1, 1)), ((2, 2), (3, 1), 1), ((2, 3), (0, 2)))
    ],
    "diagonal_backward": [
        case(t(3), (3, 4), 1, 0, 1, via=inner("diagonal_backward")),
        case(t(2, 2), (2, 3, 2), -1, 1, 2, via=inner("diagonal_backward")),
    ],
    "unfold_backward": [
        case(t(3, 2), (6,), 0, 2, 2, via=inner("unfold_backward"), only=real),
        case(t(3, 2, 3), (5, 2), 0, 3, 1, via=inner("unfold_backward"), only=real),
    ],
    "movedim.int": [case(t(2, 3, 4), 0, 2), case(t(2, 3, 4), -1, 0)],
    "moveaxis.int": [case(t(2, 3, 4), 0, 2)],
    "narrow.Tensor": [
        case(t(5, 2), 0, at(1), 3),
        case(t(5, 2), 0, at(-2), 2),
    ],
    "split_copy.Tensor": [case(t(5, 2), 2), case(t(5, 2), 2, 1)],
    "unsafe_split_with_sizes": [case(t(5, 2), (2, 3)), case(t(5, 2), (1, 1), 1)],
    "squeeze_copy.dims": [case(t(1, 3, 1), (0, 2)), case(t(1, 3, 1), (0, 1))],
    "_conj_copy": [case(t(3, 2), only=complexes)],
    "_neg_view_copy": [case(t(3, 2), only=not_bool)],
    "_conj_physical": [case(t(3, 2)), case(t(2, 3))],
    "_conj_written": [
        case(t(3, 2), via=lambda t: lambda x: x.clone().conj_physical_())
    ],
    "alias_copy": [case(t(3, 2))],
    "_unsafe_view": [
        case(t(3, 2), sizes, via=inner("_unsafe_view")) for sizes in ((2, 3), (-1,))
    ],
    "_reshape_alias": [
        case(t(4, 3), via=lambda t: lambda x: x.t().reshape(3, 4, 1), direct=False),
        case(t(4, 3), via=lambda t: lambda x: x[:, 1:2].reshape(-1), direct=False),
    ],
    "_reshape_alias_copy": [
        case(t(3, 2), (2, 3), (3, 1), via=named("_reshape_alias_copy")),
        case(t(3, 2), (6,), (1,), via=named("_reshape_alias_copy")),
    ],
    "view_as_real_copy": [case(t(3, 2), only=complexes)],
    "view_as_complex_copy": [case(t(3, 2), only=float32s)],
    "slice_copy.Tensor": [case(t(5, 2), 0, 1, 4, 2), case(t(5, 2), 1)],
    "select_copy.int": [case(t(5, 2), 0, 3), case(t(5, 2), 1, -1)],
    "type_as": [
        case(t(3), t(2), via=lambda t: lambda x, y: x.type_as(y)),
        case(t(3), via=lambda t: lambda x: x.type_as(t.ones(1, dtype=t.int32))),
    ],
}
