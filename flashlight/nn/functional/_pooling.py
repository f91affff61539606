"""Pooling over windows."""

import math

import flashlight

from ..layers._utils import _list_with_default, _pair, _single, _triple

_nn = flashlight._C._nn

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
]


def _stride(stride):
    """None means that windows do not overlap; the engine spells that as []."""
    return [] if stride is None else stride


def avg_pool1d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    """Average over windows of (N, C, L).

    Args:
        input: Input, with or without N.
        kernel_size: Size of the window.
        stride: Step of the window; ``kernel_size`` by default.
        padding: Zeros on both sides.
        ceil_mode: Let the last window run over the edge.
        count_include_pad: Count the zeros of the padding.
    """
    return flashlight.avg_pool1d(
        input, kernel_size, _stride(stride), padding, ceil_mode, count_include_pad
    )


def avg_pool2d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """Average over windows of (N, C, H, W).

    Args:
        input: Input, with or without N.
        kernel_size: Size of the window.
        stride: Step of the window; ``kernel_size`` by default.
        padding: Zeros on both sides.
        ceil_mode: Let the last window run over the edge.
        count_include_pad: Count the zeros of the padding.
        divisor_override: Divide by this instead of the size of the window.
    """
    return _nn.avg_pool2d(
        input,
        kernel_size,
        _stride(stride),
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def avg_pool3d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """Average over windows of (N, C, D, H, W); see :func:`avg_pool2d`."""
    return _nn.avg_pool3d(
        input,
        kernel_size,
        _stride(stride),
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def _fractional(name, nd, input, kernel_size, output_size, output_ratio, samples):
    if output_size is None and output_ratio is None:
        raise ValueError(
            f"{name} requires specifying either an output_size or an output_ratio"
        )
    parse = (_pair, _triple)[nd - 2]
    if output_size is None:
        ratio = parse(output_ratio)
        if len(ratio) > nd:
            raise ValueError(
                f"{name} requires output_ratio to either be a single Int or tuple of "
                "Ints."
            )
        output_size = [int(input.size(i - nd) * ratio[i]) for i in range(nd)]
    if samples is None:
        batch = 1 if input.dim() == nd + 1 else input.size(0)
        samples = flashlight.rand(
            batch, input.size(-nd - 1), nd, dtype=input.dtype, device=input.device
        )
    return getattr(_nn, name)(input, parse(kernel_size), parse(output_size), samples)


def fractional_max_pool2d_with_indices(
    input,
    kernel_size,
    output_size=None,
    output_ratio=None,
    return_indices: bool = False,
    _random_samples=None,
):
    """Return maxima over pseudo-random windows, and their indices."""
    return _fractional(
        "fractional_max_pool2d",
        2,
        input,
        kernel_size,
        output_size,
        output_ratio,
        _random_samples,
    )


def fractional_max_pool2d(
    input,
    kernel_size,
    output_size=None,
    output_ratio=None,
    return_indices: bool = False,
    _random_samples=None,
):
    """Maximum over windows whose places are drawn at random.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: Size of the window.
        output_size: Size of the result.
        output_ratio: Or its ratio to the input's size.
        return_indices: Also return where the maxima are.
    """
    out = fractional_max_pool2d_with_indices(
        input, kernel_size, output_size, output_ratio, True, _random_samples
    )
    return out if return_indices else out[0]


def fractional_max_pool3d_with_indices(
    input,
    kernel_size,
    output_size=None,
    output_ratio=None,
    return_indices: bool = False,
    _random_samples=None,
):
    """Return maxima over pseudo-random windows, and their indices."""
    return _fractional(
        "fractional_max_pool3d",
        3,
        input,
        kernel_size,
        output_size,
        output_ratio,
        _random_samples,
    )


def fractional_max_pool3d(
    input,
    kernel_size,
    output_size=None,
    output_ratio=None,
    return_indices: bool = False,
    _random_samples=None,
):
    """3D form of :func:`fractional_max_pool2d`."""
    out = fractional_max_pool3d_with_indices(
        input, kernel_size, output_size, output_ratio, True, _random_samples
    )
    return out if return_indices else out[0]


def max_pool1d_with_indices(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """Return maxima over windows and their indices."""
    return flashlight.max_pool1d_with_indices(
        input, kernel_size, _stride(stride), padding, dilation, ceil_mode
    )


def max_pool1d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """Maximum over windows of (N, C, L).

    Args:
        input: Input, with or without N.
        kernel_size: Size of the window.
        stride: Step of the window; ``kernel_size`` by default.
        padding: Negative infinity on both sides.
        dilation: Distance between the elements of the window.
        ceil_mode: Let the last window run over the edge.
        return_indices: Also return where the maxima are.
    """
    op = flashlight.max_pool1d_with_indices if return_indices else flashlight.max_pool1d
    return op(input, kernel_size, _stride(stride), padding, dilation, ceil_mode)


def max_pool2d_with_indices(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """Return maxima over windows and their indices."""
    return _nn.max_pool2d_with_indices(
        input, kernel_size, _stride(stride), padding, dilation, ceil_mode
    )


def max_pool2d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """Maximum over windows of (N, C, H, W); see :func:`max_pool1d`."""
    op = _nn.max_pool2d_with_indices if return_indices else flashlight.max_pool2d
    return op(input, kernel_size, _stride(stride), padding, dilation, ceil_mode)


def max_pool3d_with_indices(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """Return maxima over windows and their indices."""
    return _nn.max_pool3d_with_indices(
        input, kernel_size, _stride(stride), padding, dilation, ceil_mode
    )


def max_pool3d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode: bool = False,
    return_indices: bool = False,
):
    """Maximum over windows of (N, C, D, H, W); see :func:`max_pool1d`."""
    op = _nn.max_pool3d_with_indices if return_indices else flashlight.max_pool3d
    return op(input, kernel_size, _stride(stride), padding, dilation, ceil_mode)


def _unpool_output_size(input, kernel_size, stride, padding, output_size):
    nd = len(kernel_size)
    sizes = input.size()
    default = [
        (sizes[d - nd] - 1) * stride[d] + kernel_size[d] - 2 * padding[d]
        for d in range(nd)
    ]
    if output_size is None:
        ret = default
    else:
        if len(output_size) == nd + 2:
            output_size = output_size[2:]
        if len(output_size) != nd:
            raise ValueError(
                f"output_size should be a sequence containing {nd} or {nd + 2} "
                f"elements, but it has a length of '{len(output_size)}'"
            )
        for d in range(nd):
            low, high = default[d] - stride[d], default[d] + stride[d]
            if not low < output_size[d] < high:
                raise ValueError(
                    f'invalid output_size "{output_size}" (dim {d} must be between '
                    f"{low} and {high})"
                )
        ret = list(output_size)
    for d, size in enumerate(ret):
        if size < 0:
            raise ValueError(
                "max_unpooling: output_size must contain non-negative spatial "
                f"dimensions, but got output_size[{d}]={size}"
            )
    return ret


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put maxima back where :func:`max_pool1d` found them; zero elsewhere."""
    kernel_size = _single(kernel_size)
    stride = kernel_size if stride is None else _single(stride)
    output_size = _unpool_output_size(
        input, kernel_size, stride, _single(padding), output_size
    )
    out = _nn.max_unpool2d(
        input.unsqueeze(-1), indices.unsqueeze(-1), [*output_size, 1]
    )
    return out.squeeze(-1)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put maxima back where :func:`max_pool2d` found them; zero elsewhere."""
    kernel_size = _pair(kernel_size)
    stride = kernel_size if stride is None else _pair(stride)
    output_size = _unpool_output_size(
        input, kernel_size, stride, _pair(padding), output_size
    )
    return _nn.max_unpool2d(input, indices, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put maxima back where :func:`max_pool3d` found them; zero elsewhere."""
    kernel_size = _triple(kernel_size)
    stride = kernel_size if stride is None else _triple(stride)
    padding = _triple(padding)
    output_size = _unpool_output_size(input, kernel_size, stride, padding, output_size)
    return _nn.max_unpool3d(input, indices, output_size, stride, padding)


def _lp(pool, parse, input, norm_type, kernel_size, stride, ceil_mode):
    """Turn the average of powers into their sum, then take the root."""
    out = pool(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    out = flashlight.sign(out) * flashlight.relu(flashlight.abs(out))
    return out.mul(math.prod(parse(kernel_size))).pow(1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode: bool = False):
    """Power average over windows: (sum of x^p) ^ (1 / p), p = ``norm_type``."""
    return _lp(avg_pool1d, _single, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode: bool = False):
    """2D form of :func:`lp_pool1d`."""
    return _lp(avg_pool2d, _pair, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode: bool = False):
    """3D form of :func:`lp_pool1d`."""
    return _lp(avg_pool3d, _triple, input, norm_type, kernel_size, stride, ceil_mode)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices: bool = False):
    """Return maxima and their indices."""
    return flashlight.adaptive_max_pool1d(input, output_size)


def adaptive_max_pool1d(input, output_size, return_indices: bool = False):
    """Maximum over as many windows as the output has elements.

    Args:
        input: (N, C, L) or (C, L).
        output_size: Size of the result.
        return_indices: Also return where the maxima are.
    """
    out = flashlight.adaptive_max_pool1d(input, output_size)
    return out if return_indices else out[0]


def adaptive_max_pool2d_with_indices(input, output_size, return_indices: bool = False):
    """Return maxima and their indices."""
    output_size = _list_with_default(output_size, input.size())
    return _nn.adaptive_max_pool2d(input, output_size)


def adaptive_max_pool2d(input, output_size, return_indices: bool = False):
    """2D form of :func:`adaptive_max_pool1d`; None keeps the size of a dimension."""
    out = adaptive_max_pool2d_with_indices(input, output_size)
    return out if return_indices else out[0]


def adaptive_max_pool3d_with_indices(input, output_size, return_indices: bool = False):
    """Return maxima and their indices."""
    output_size = _list_with_default(output_size, input.size())
    return _nn.adaptive_max_pool3d(input, output_size)


def adaptive_max_pool3d(input, output_size, return_indices: bool = False):
    """3D form of :func:`adaptive_max_pool1d`; None keeps the size of a dimension."""
    out = adaptive_max_pool3d_with_indices(input, output_size)
    return out if return_indices else out[0]


def adaptive_avg_pool1d(input, output_size):
    """Average over as many windows as the output has elements."""
    return flashlight.adaptive_avg_pool1d(input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """2D form of :func:`adaptive_avg_pool1d`; None keeps the size of a dimension."""
    return _nn.adaptive_avg_pool2d(input, _list_with_default(output_size, input.size()))


def adaptive_avg_pool3d(input, output_size):
    """3D form of :func:`adaptive_avg_pool1d`; None keeps the size of a dimension."""
    return _nn.adaptive_avg_pool3d(input, _list_with_default(output_size, input.size()))
