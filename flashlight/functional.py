"""Functions whose arguments PyTorch sorts out in Python before the native one."""

import functools
import string
import warnings

from flashlight import _C
from flashlight import overrides as _overrides
from flashlight._dtypes import bool as _bool
from flashlight._size import Size as _Size

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "block_diag",
    "broadcast_shapes",
    "broadcast_tensors",
    "cartesian_prod",
    "cdist",
    "chain_matmul",
    "einsum",
    "lu",
    "meshgrid",
    "nonzero",
    "norm",
    "split",
    "stft",
    "tensordot",
    "unique",
    "unique_consecutive",
    "unravel_index",
]

_native = _C._VariableFunctions
_native_nn = _C._nn


def _overridden(function, tensors, *args, **kwargs):
    """What `__torch_function__` of one of the tensors answers, in a tuple, or None."""
    if _overrides.has_torch_function(tensors):
        return (_overrides.handle_torch_function(function, tensors, *args, **kwargs),)
    return None


def broadcast_tensors(*tensors):
    """The tensors, expanded to one size.

    Example::

        >>> x, y = torch.broadcast_tensors(torch.zeros(3), torch.zeros(2, 1))
        >>> x.shape
        torch.Size([2, 3])
    """
    other = _overridden(broadcast_tensors, tensors, *tensors)
    return other[0] if other else tuple(_native.broadcast_tensors(tensors))


def broadcast_shapes(*shapes):
    """The size that tensors of these sizes have when broadcast together.

    Raises:
        RuntimeError: if they cannot be.
    """
    shapes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    result = [1] * max(map(len, shapes), default=0)
    for k, shape in enumerate(shapes):
        for at in range(-1, -1 - len(shape), -1):
            n = shape[at]
            if n == 1 or n == result[at]:
                continue
            if result[at] != 1:
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {n} at {at}! "
                    f"Mismatching argument at index {k} had {shape}; but expected "
                    f"shape should be broadcastable to {result}"
                )
            if n < 0:
                raise ValueError(
                    "Attempting to broadcast a dimension with negative length!"
                )
            result[at] = n
    return _Size(result)


def meshgrid(*tensors, indexing=None):
    """Grids of coordinates: each vector along a dimension of its own.

    Args:
        tensors: Vectors, or tensors without dimensions; or one list of them.
        indexing: ``"ij"``, the dimensions in the order of the vectors, or ``"xy"``,
            the first two swapped.

    Returns:
        A tuple of views, all of one size.

    Example::

        >>> x, y = torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij")
        >>> x
        tensor([[0, 0, 0],
                [1, 1, 1]])
    """
    if (
        other := _overridden(meshgrid, tensors, *tensors, indexing=indexing)
    ) is not None:
        return other[0]
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tensors[0]
    if indexing is None:
        _warn_of_indexing()
        return tuple(_native.meshgrid(tensors))
    return tuple(_native.meshgrid(tensors, indexing=indexing))


@functools.cache
def _warn_of_indexing():
    """Once, as PyTorch does."""
    warnings.warn(
        "torch.meshgrid: in an upcoming release, it will be required to pass the "
        "indexing argument.",
        stacklevel=3,
    )


def cartesian_prod(*tensors):
    """All rows that have one element of each vector, the last varying fastest."""
    other = _overridden(cartesian_prod, tensors, *tensors)
    return other[0] if other else _native.cartesian_prod(tensors)


def block_diag(*tensors):
    """A matrix with these tensors (of two dimensions or fewer) on its diagonal."""
    other = _overridden(block_diag, tensors, *tensors)
    return other[0] if other else _native.block_diag(tensors)


def stft(
    input,
    n_fft,
    hop_length=None,
    win_length=None,
    window=None,
    center=True,
    pad_mode="reflect",
    normalized=False,
    onesided=None,
    return_complex=None,
    align_to_window=None,
):
    """The Fourier transforms of windows of a signal.

    Args:
        input: A signal, or a batch of them.
        n_fft: How long a transform is.
        hop_length: From one window to the next; a quarter of `n_fft` if None.
        win_length: How long a window is, in the middle of a transform; `n_fft` if
            None.
        window: Of that length; ones if None.
        center: Whether windows are around the places that are multiples of
            `hop_length`, the signal being padded, or begin there.
        pad_mode: How it is padded then: see :func:`torch.nn.functional.pad`.
        normalized: Whether to divide by the square root of `n_fft`.
        onesided: Whether to give the frequencies that are not negative alone; so it
            is for real signals.
        return_complex: Whether to give complex numbers, or pairs of real ones.
        align_to_window: Where `center` is False: whether windows, rather than
            transforms, begin at the beginning.

    Returns:
        (..., frequencies, windows).
    """
    other = _overridden(
        stft,
        (input,),
        input,
        n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
        normalized=normalized,
        onesided=onesided,
        return_complex=return_complex,
        align_to_window=align_to_window,
    )
    if other:
        return other[0]
    if center and align_to_window is not None:
        raise RuntimeError(
            "stft align_to_window should only be set when center = false"
        )
    if center:
        ndim = input.dim()
        input = input.view([1] * (3 - ndim) + list(input.size()))
        input = _native_nn.pad(input, [int(n_fft // 2)] * 2, pad_mode)
        input = input.view(input.shape[-ndim:])
    return _native.stft(
        input,
        n_fft,
        hop_length,
        win_length,
        window,
        normalized,
        onesided,
        return_complex,
        align_to_window,
    )


def split(tensor, split_size_or_sections, dim=0):
    """Parts of a tensor along a dimension, views of it.

    Args:
        tensor: What to split.
        split_size_or_sections: The size of each part (the last may be smaller), or
            a list with the size of each.
        dim: Along which dimension.
    """
    other = _overridden(split, (tensor,), tensor, split_size_or_sections, dim=dim)
    return other[0] if other else tensor.split(split_size_or_sections, dim)


def _at_least(function, native, tensors):
    other = _overridden(function, tensors, *tensors)
    if other:
        return other[0]
    return native(tensors[0] if len(tensors) == 1 else tensors)


def atleast_1d(*tensors):
    """Each tensor, with a dimension of size 1 if it has none."""
    return _at_least(atleast_1d, _native.atleast_1d, tensors)


def atleast_2d(*tensors):
    """Each tensor, with dimensions of size 1 in front until it has two."""
    return _at_least(atleast_2d, _native.atleast_2d, tensors)


def atleast_3d(*tensors):
    """Each tensor, with dimensions of size 1 around until it has three."""
    return _at_least(atleast_3d, _native.atleast_3d, tensors)


def _subscript(n):
    if not 0 <= n < 52:
        raise ValueError(
            "einsum(): subscript in subscript list is not within the valid range "
            "[0, 52)"
        )
    return string.ascii_uppercase[n] if n < 26 else string.ascii_lowercase[n - 26]


def _subscripts(items):
    return "".join("..." if s is Ellipsis else _subscript(s) for s in items)


def einsum(*args):
    """Sum of products by an equation, or by lists of subscripts."""
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, "
            "or at least one operand and its subscripts list"
        )
    if isinstance(args[0], _C.TensorBase):
        equation = ",".join(_subscripts(s) for s in args[1::2])
        operands = args[:-1:2] if len(args) % 2 else args[::2]
        if len(args) % 2:
            equation = ",".join(_subscripts(s) for s in args[1:-1:2])
            equation += "->" + _subscripts(args[-1])
    else:
        equation, operands = args[0], args[1:]
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    other = _overridden(einsum, operands, equation, *operands)
    return other[0] if other else _native.einsum(equation, operands)


def tensordot(a, b, dims=2, out=None):
    """Contraction of two tensors over `dims` dimensions, or over lists of them."""
    other = _overridden(tensordot, (a, b), a, b, dims=dims, out=out)
    if other:
        return other[0]
    if not isinstance(dims, (tuple, list, int, _C.TensorBase)):
        raise RuntimeError(
            "tensordot expects dims to be int or "
            "tuple[list[int], list[int]] or "
            "list[list[int]] containing two lists, but got "
            f"dims={dims}"
        )
    if isinstance(dims, _C.TensorBase):
        dims = dims.tolist() if dims.numel() > 1 else int(dims.item())
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(
                f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}"
            )
        dims_a, dims_b = list(range(-dims, 0)), list(range(dims))
    else:
        dims_a, dims_b = (
            [d] if isinstance(d, int) else list(d) for d in (dims[0], dims[1])
        )
    if out is None:
        return _native.tensordot(a, b, dims_a, dims_b)
    return _native.tensordot(a, b, dims_a, dims_b, out=out)


def chain_matmul(*matrices, out=None):
    """Product of matrices in the cheapest order."""
    other = _overridden(chain_matmul, matrices, *matrices)
    if other:
        return other[0]
    if out is None:
        return _native.chain_matmul(matrices)
    return _native.chain_matmul(matrices, out=out)


def lu(A, pivot=True, get_infos=False, out=None):
    """L and U of matrices in one, and the pivots, by PyTorch's older name.

    Args:
        A: Matrices, of sizes (..., m, n).
        pivot: Whether rows may be swapped; without is not there on the CPU.
        get_infos: Whether to give error codes, too, and to raise no errors.
        out: Where to put the results.
    """
    other = _overridden(lu, (A,), A, pivot=pivot, get_infos=get_infos, out=out)
    if other:
        return other[0]
    found = _native._lu_with_info(A, pivot=pivot, check_errors=not get_infos)
    found = tuple(found) if get_infos else tuple(found)[:2]
    if out is None:
        return found
    if not isinstance(out, (tuple, list)):
        raise TypeError(f"argument 'out' must be tuple of Tensors, not {type(out)}")
    if len(out) != len(found):
        raise TypeError(f"expected tuple of {len(found)} elements but got {len(out)}")
    for given, result in zip(out, found):
        given.resize_as_(result).copy_(result)
    return out


_CDIST_MODES = {
    "use_mm_for_euclid_dist_if_necessary": None,
    "use_mm_for_euclid_dist": 1,
    "donot_use_mm_for_euclid_dist": 2,
}


def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """Distances between each pair of rows of `x1` and `x2`."""
    other = _overridden(cdist, (x1, x2), x1, x2, p=p, compute_mode=compute_mode)
    if other:
        return other[0]
    if compute_mode not in _CDIST_MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    return _native.cdist(x1, x2, p, _CDIST_MODES[compute_mode])


def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """The norm of a vector or matrix, by PyTorch's older name."""
    other = _overridden(
        norm, (input,), input, p=p, dim=dim, keepdim=keepdim, out=out, dtype=dtype
    )
    if other:
        return other[0]
    kwargs = {} if out is None else {"out": out}
    dims = [dim] if isinstance(dim, int) else dim
    if p == "fro" and (dims is None or len(dims) <= 2):
        return _C._linalg.linalg_vector_norm(
            input, 2, dims, keepdim, dtype=dtype, **kwargs
        )
    if p == "nuc":
        dims = list(range(input.ndim)) if dims is None else dims
        return _C._linalg.linalg_matrix_norm(
            input, "nuc", dims, keepdim, dtype=dtype, **kwargs
        )
    if isinstance(p, str):
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
    p = 2.0 if p is None else p
    return _C._linalg.linalg_vector_norm(input, p, dims, keepdim, dtype=dtype, **kwargs)


def nonzero(input, *, out=None, as_tuple=False):
    """The places of the elements that are not zero.

    Args:
        input: A tensor of ``n`` dimensions.
        out: A tensor to take the result, which is then no tuple.
        as_tuple: Give a vector of indices a dimension instead: ``input[nonzero(input,
            as_tuple=True)]`` are the elements.

    Returns:
        A tensor of int64, ``(count, n)``; or a tuple of ``n`` of size ``(count,)``.

    Raises:
        RuntimeError: if ``out`` is given with ``as_tuple``.

    Example::

        >>> torch.nonzero(torch.tensor([1, 0, 3]))
        tensor([[0],
                [2]])
        >>> torch.nonzero(torch.tensor([1, 0, 3]), as_tuple=True)
        (tensor([0, 2]),)
    """
    other = _overridden(nonzero, (input, out), input, out=out, as_tuple=as_tuple)
    if other:
        return other[0]
    if not isinstance(as_tuple, bool):
        kind = type(as_tuple).__name__
        raise TypeError(f"nonzero(): argument 'as_tuple' must be bool, not {kind}")
    if not as_tuple:
        return _native.nonzero(input, out=out)
    if out is not None:
        raise RuntimeError(
            "nonzero does not support the out kwarg when as_tuple is True"
        )
    return _native.where(input)


def _asked_for(output, inverse, counts, return_inverse, return_counts):
    parts = [output]
    if return_inverse:
        parts.append(inverse)
    if return_counts:
        parts.append(counts)
    return tuple(parts) if len(parts) > 1 else output


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements, or slices along `dim`, in order."""
    flags = {"return_inverse": return_inverse, "return_counts": return_counts}
    other = _overridden(unique, (input,), input, sorted=sorted, dim=dim, **flags)
    if other:
        return other[0]
    if dim is None:
        found = _native._unique2(input, sorted=sorted, **flags)
    else:
        found = _native.unique_dim(input, dim=dim, sorted=sorted, **flags)
    return _asked_for(*found, return_inverse, return_counts)


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements, or slices along `dim`, that differ from the one before."""
    flags = {"return_inverse": return_inverse, "return_counts": return_counts}
    other = _overridden(unique_consecutive, (input,), input, dim=dim, **flags)
    if other:
        return other[0]
    found = _native.unique_consecutive(input, dim=dim, **flags)
    return _asked_for(*found, return_inverse, return_counts)


def unravel_index(indices, shape):
    """Coordinates of flat indices, a tensor a dimension.

    Args:
        indices: Integers, of any sizes.
        shape: An int or a sequence of ints: what the indices count through, row by
            row.

    Raises:
        TypeError: ``indices`` are not integers, or ``shape`` is not of ints.
        ValueError: A size is negative.

    Example::

        >>> torch.unravel_index(torch.tensor([3, 7]), (2, 4))
        (tensor([0, 1]), tensor([3, 3]))
    """
    if (answer := _overridden(unravel_index, (indices,), indices, shape=shape)) is None:
        return _unravel(indices, shape)
    return answer[0]


def _unravel(indices, shape):
    if indices.is_complex() or indices.is_floating_point() or indices.dtype == _bool:
        raise TypeError(
            f"expected 'indices' to be integer dtype, but got {indices.dtype}"
        )
    if not isinstance(shape, (int, _Size, list, tuple)):
        raise TypeError(
            f"expected 'shape' to be int or sequence of ints, but got {type(shape)}"
        )
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    for size in sizes:
        if not isinstance(size, int):
            raise TypeError(
                "expected 'shape' sequence to only contain ints, but got "
                f"{type(size)}"
            )
    if any(size < 0 for size in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    strides = [1] * len(sizes)
    for d in range(len(sizes) - 2, -1, -1):
        strides[d] = strides[d + 1] * sizes[d + 1]
    columns = indices.unsqueeze(-1).div(
        indices.new_tensor(strides), rounding_mode="floor"
    )
    return (columns % indices.new_tensor(sizes)).unbind(-1)
