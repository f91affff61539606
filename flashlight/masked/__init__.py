"""Reductions and normalizations of the elements that a mask keeps.

A mask is a bool tensor that broadcasts to the input: True where an element counts.
An element that does not is replaced by what leaves the result as it is. Where a mask
keeps nothing, so is the result: 0 is the sum of nothing, 1 the product, NaN the mean.
"""

import math as _math

import flashlight as _t

__all__ = [
    "amax",
    "amin",
    "argmax",
    "argmin",
    "cumprod",
    "cumsum",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "mean",
    "median",
    "norm",
    "normalize",
    "prod",
    "softmax",
    "softmin",
    "std",
    "sum",
    "var",
]

_SMALL = (_t.uint8, _t.bool, _t.int8, _t.int16, _t.int32)


def _dims(dim, ndim):
    """Dimensions in order, all if there are none, as the reductions take them."""
    if dim is None or dim == ():
        return tuple(range(ndim))
    ndim = max(ndim, 1)
    found = []
    for d in (dim,) if isinstance(dim, int) else dim:
        if d in found:
            raise RuntimeError(f"dim={d} appears multiple times in the list of dims")
        if not -ndim <= d < ndim:
            raise IndexError(
                "Dimension out of range (expected to be in range of "
                f"[{-ndim}, {ndim - 1}], but got {d})"
            )
        found.append(d % ndim)
    return tuple(sorted(found))


def _mask_of(input, mask):
    if mask.ndim > input.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher "
            "than of the input)"
        )
    return mask.to(_t.bool).broadcast_to(input.shape)


def _filled(input, mask, number):
    """`input`, with a number where the mask keeps nothing."""
    if mask is None:
        return input
    fill = _t.tensor(number, dtype=input.dtype, device=input.device)
    return _t.where(_mask_of(input, mask), input, fill)


def _least(dtype):
    return -_math.inf if dtype.is_floating_point else _t.iinfo(dtype).min


def _greatest(dtype):
    return _math.inf if dtype.is_floating_point else _t.iinfo(dtype).max


def _wide(input, dtype):
    """The dtype of sums: int64 of small integers, unless one is given."""
    if dtype is not None:
        return dtype
    return _t.int64 if input.dtype in _SMALL else input.dtype


def sum(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The sum of what the mask keeps.

    Args:
        input: Of any sizes.
        dim: One dimension or several; all if None.
        keepdim: Whether those stay, of size 1.
        dtype: Of the result.
        mask: True where an element counts, broadcast to the input; all if None.

    Example::

        >>> mask = torch.tensor([True, False, True])
        >>> torch.masked.sum(torch.tensor([1, 2, 3]), mask=mask)
        tensor(4)
    """
    dims = _dims(dim, input.ndim)
    return _t.sum(
        _filled(input, mask, 0), dims, bool(keepdim), dtype=_wide(input, dtype)
    )


def prod(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The product of what the mask keeps."""
    dtype = _wide(input, dtype)
    result = _filled(input, mask, 1)
    for d in reversed(_dims(dim, input.ndim)):
        result = result.prod(dim=d, keepdim=bool(keepdim))
    return result.to(dtype)


def amax(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The greatest of what the mask keeps; the least there is, if nothing."""
    filled = input if mask is None else _filled(input, mask, _least(input.dtype))
    result = _t.amax(filled, _dims(dim, input.ndim), bool(keepdim))
    return result.to(dtype or input.dtype)


def amin(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The least of what the mask keeps; the greatest there is, if nothing."""
    filled = input if mask is None else _filled(input, mask, _greatest(input.dtype))
    result = _t.amin(filled, _dims(dim, input.ndim), bool(keepdim))
    return result.to(dtype or input.dtype)


def argmax(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Where the greatest of what the mask keeps is."""
    filled = input if mask is None else _filled(input, mask, _least(input.dtype))
    return _t.argmax(filled, dim, bool(keepdim)).to(dtype or input.dtype)


def argmin(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Where the least of what the mask keeps is."""
    filled = input if mask is None else _filled(input, mask, _greatest(input.dtype))
    return _t.argmin(filled, dim, bool(keepdim)).to(dtype or input.dtype)


def _count(input, dim, keepdim, mask):
    kept = _t.ones_like(input, dtype=_t.bool)
    kept = kept if mask is None else _mask_of(input, mask)
    return kept.sum(dim=_dims(dim, input.ndim), keepdim=bool(keepdim))


def mean(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The mean of what the mask keeps; NaN, if nothing.

    Raises:
        ValueError: the input's dtype, or the one that is given, is not of numbers that
            a mean could be.
    """
    source = "Input" if dtype is None else "Optional"
    dtype = dtype or input.dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(
            f"mean(): Could not infer output dtype. {source} dtype must be either "
            f"a floating point or complex dtype. Got: {dtype}"
        )
    total = sum(input, dim, keepdim=keepdim, dtype=dtype, mask=mask)
    return total / _count(input, dim, keepdim, mask)


def median(input, dim=-1, *, keepdim=False, dtype=None, mask=None):
    """The median (the lower of two) of what the mask keeps.

    Raises:
        ValueError: the mask keeps nothing somewhere, and the dtype has no NaN.
    """
    floating = input.is_floating_point()
    numbers = input if floating else input.float()
    (d,) = _dims(dim, input.ndim)[:1]
    result = _t.nanmedian(_filled(numbers, mask, _math.nan), d, keepdim).values
    if floating:
        return result
    if result.isnan().any():
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating "
            "point"
        )
    return result.to(dtype or input.dtype)


def logsumexp(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The logarithm of the sum of exponentials of what the mask keeps."""
    least = -_math.inf if input.is_complex() else _least(input.dtype)
    filled = input if mask is None else _filled(input, mask, least)
    result = _t.logsumexp(filled, _dims(dim, input.ndim), keepdim=keepdim)
    return result.to(dtype or input.dtype)


def logaddexp(input, other, *, dtype=None, input_mask=None, other_mask=None):
    """The logarithm of the sum of exponentials of two tensors' kept elements."""
    a = _filled(input, input_mask, -_math.inf)
    b = _filled(other, other_mask, -_math.inf)
    return _t.logaddexp(a, b).to(dtype or input.dtype)


def norm(input, ord=2.0, dim=None, *, keepdim=False, dtype=None, mask=None):
    """The vector norm of what the mask keeps.

    Args:
        ord: Which norm: a number, or an infinity.
    """
    number = 0
    if ord == -_math.inf or ord is not None and ord < 0:
        number = _math.inf  # the least, or what its reciprocal adds nothing
    filled = _filled(input, mask, number)
    dims = _dims(dim, input.ndim)
    return _t.linalg.vector_norm(
        filled, ord, dims, bool(keepdim), dtype=dtype or input.dtype
    )


def _spread(input, dim, unbiased, correction, keepdim, dtype, mask):
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 0.0 if unbiased is False else 1.0
    if dtype is None:
        inexact = input.is_floating_point() or input.is_complex()
        dtype = input.dtype if inexact else _t.float32
    count = _count(input, dim, True, mask)
    middle = sum(input, dim, keepdim=True, dtype=dtype, mask=mask) / count
    off = input - middle
    squares = off * off.conj() if off.is_complex() else off * off
    total = sum(squares, dim, keepdim=keepdim, dtype=dtype, mask=mask)
    if not keepdim:
        count = count.reshape(total.shape)
    rest = _t.maximum(count - correction, count.new_zeros([]))
    return total / rest


def var(
    input,
    dim=None,
    unbiased=None,
    *,
    correction=None,
    keepdim=False,
    dtype=None,
    mask=None,
):
    """The variance of what the mask keeps.

    Args:
        unbiased: Whether to divide by one less than how many there are.
        correction: By how many less, instead.
    """
    return _spread(input, dim, unbiased, correction, keepdim, dtype, mask)


def std(
    input,
    dim=None,
    unbiased=None,
    *,
    correction=None,
    keepdim=False,
    dtype=None,
    mask=None,
):
    """The standard deviation of what the mask keeps: see :func:`var`."""
    return _t.sqrt(_spread(input, dim, unbiased, correction, keepdim, dtype, mask))


def cumsum(input, dim, *, dtype=None, mask=None):
    """Sums so far of what the mask keeps."""
    dtype = dtype or input.dtype
    (d,) = _dims(dim, input.ndim)[:1]
    return _t.cumsum(_filled(input, mask, 0), d, dtype=dtype).to(dtype)


def cumprod(input, dim, *, dtype=None, mask=None):
    """Products so far of what the mask keeps."""
    dtype = dtype or input.dtype
    (d,) = _dims(dim, input.ndim)[:1]
    return _t.cumprod(_filled(input, mask, 1), d, dtype=dtype).to(dtype)


def softmax(input, dim, *, dtype=None, mask=None):
    """Softmax over what the mask keeps; 0 elsewhere."""
    (d,) = _dims(dim, input.ndim)[:1]
    filled = input if mask is None else _filled(input, mask, _least(input.dtype))
    return _t.nn.functional.softmax(filled, d, dtype=dtype or input.dtype)


def log_softmax(input, dim, *, dtype=None, mask=None):
    """The logarithm of :func:`softmax`."""
    (d,) = _dims(dim, input.ndim)[:1]
    filled = input if mask is None else _filled(input, mask, _least(input.dtype))
    return _t.nn.functional.log_softmax(filled, d, dtype=dtype or input.dtype)


def softmin(input, dim, *, dtype=None, mask=None):
    """Softmax of the negatives of what the mask keeps."""
    (d,) = _dims(dim, input.ndim)[:1]
    filled = input if mask is None else _filled(input, mask, _greatest(input.dtype))
    return _t.nn.functional.softmin(filled, d, dtype=dtype or input.dtype)


def normalize(input, ord, dim, *, eps=1e-12, dtype=None, mask=None):
    """What the mask keeps over its norm, or `eps` if that is greater."""
    size = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _filled(input, mask, 0) / _t.maximum(size, size.new_full([], eps))
