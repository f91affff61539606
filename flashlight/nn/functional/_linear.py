"""Linear maps, convolutions, embeddings, and dropout."""

import warnings

import flashlight

from ..layers._utils import _pair

_nn = flashlight._C._nn

__all__ = [
    "linear",
    "bilinear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "conv_tbc",
    "unfold",
    "fold",
    "embedding",
    "embedding_bag",
    "one_hot",
    "dropout",
    "alpha_dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
]


linear = _nn.linear  # the native function itself, as in PyTorch


def bilinear(input1, input2, weight, bias=None):
    """Return the bilinear form ``input1 @ weight[k] @ input2`` for each k."""
    return flashlight.bilinear(input1, input2, weight, bias)


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """1D convolution.

    Args:
        input: (N, C_in, L) or (C_in, L).
        weight: (C_out, C_in / groups, K).
        bias: (C_out) or None.
        stride: Step of the window.
        padding: Zeros on both sides, or ``"same"`` or ``"valid"``.
        dilation: Distance between the elements of the kernel.
        groups: Number of blocked connections.
    """
    return flashlight.conv1d(input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """2D convolution of (N, C_in, H, W); arguments as for :func:`conv1d`."""
    return flashlight.conv2d(input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """3D convolution of (N, C_in, D, H, W); arguments as for :func:`conv1d`."""
    return flashlight.conv3d(input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
):
    """Transposed 1D convolution, the gradient of :func:`conv1d`.

    Args:
        input: (N, C_in, L) or (C_in, L).
        weight: (C_in, C_out / groups, K).
        bias: (C_out) or None.
        stride: Step of the window in the output.
        padding: Cropped from both sides of the output.
        output_padding: Added to one side of the output.
        groups: Number of blocked connections.
        dilation: Distance between the elements of the kernel.
    """
    return flashlight.conv_transpose1d(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
):
    """Transposed 2D convolution; arguments as for :func:`conv_transpose1d`."""
    return flashlight.conv_transpose2d(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
):
    """Transposed 3D convolution; arguments as for :func:`conv_transpose1d`."""
    return flashlight.conv_transpose3d(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_tbc(input, weight, bias, pad=0):
    """1D convolution over (time, batch, channels)."""
    return flashlight.conv_tbc(input, weight, bias, pad)


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """Extract sliding blocks of (N, C, H, W) as columns."""
    return _nn.im2col(
        input, _pair(kernel_size), _pair(dilation), _pair(padding), _pair(stride)
    )


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Sum columns of sliding blocks into (N, C, H, W)."""
    return _nn.col2im(
        input,
        _pair(output_size),
        _pair(kernel_size),
        _pair(dilation),
        _pair(padding),
        _pair(stride),
    )


def one_hot(tensor, num_classes: int = -1):
    """Return indices as one-hot vectors in a new last dimension."""
    return _nn.one_hot(tensor, num_classes)


def _no_grad_embedding_renorm_(weight, input, max_norm, norm_type) -> None:
    with flashlight.no_grad():
        flashlight.embedding_renorm_(weight.detach(), input, max_norm, norm_type)


def embedding(
    input,
    weight,
    padding_idx=None,
    max_norm=None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
):
    """Look up rows of ``weight``.

    Args:
        input: Indices of any shape.
        weight: (num_embeddings, embedding_dim).
        padding_idx: Row that gets no gradient.
        max_norm: Rows looked up are renormalized in place to this norm at most.
        norm_type: p of that norm.
        scale_grad_by_freq: Divide gradients by the frequency of an index.
        sparse: Make the gradient of ``weight`` sparse.
    """
    if padding_idx is None:
        padding_idx = -1
    elif padding_idx > 0:
        if padding_idx >= weight.size(0):
            raise AssertionError("Padding_idx must be within num_embeddings")
    elif padding_idx < 0:
        if padding_idx < -weight.size(0):
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx = weight.size(0) + padding_idx
    if max_norm is not None:
        input = input.contiguous()
        _no_grad_embedding_renorm_(weight, input, max_norm, norm_type)
    return flashlight.embedding(weight, input, padding_idx, scale_grad_by_freq, sparse)


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights=None,
    include_last_offset: bool = False,
    padding_idx=None,
):
    """Sum, average or take the maximum of embeddings over bags of indices.

    Args:
        input: (B, N) bags of equal size, or (N) with ``offsets``.
        weight: (num_embeddings, embedding_dim).
        offsets: First index of each bag, for 1D input.
        max_norm: Rows looked up are renormalized in place to this norm at most.
        norm_type: p of that norm.
        scale_grad_by_freq: Divide gradients by the frequency of an index.
        mode: ``"sum"``, ``"mean"`` or ``"max"``.
        sparse: Make the gradient of ``weight`` sparse.
        per_sample_weights: Weights of the terms, for ``mode="sum"``.
        include_last_offset: Whether the last offset is the end of the last bag.
        padding_idx: Index left out of the bags.
    """
    integral = (flashlight.int64, flashlight.int32)
    if weight.dtype in integral and input.is_floating_point():
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage "
            "`embedding_bag(weight, input, ...)` is deprecated, and should now be "
            "`embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    if per_sample_weights is not None and input.size() != per_sample_weights.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not "
            f"None, then it must have the same shape as the input ({input.shape})"
        )
    if weight.dim() != 2:
        raise ValueError(
            f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}"
        )
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a "
                "mini-batch of fixed length sequences. However, found offsets of type "
                f"{type(offsets)}"
            )
        offsets = flashlight.arange(
            0, input.numel(), input.size(1), dtype=input.dtype, device=input.device
        )
        input = input.reshape(-1)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
    elif input.dim() == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets.dim() != 1:
            raise ValueError("offsets has to be a 1D Tensor")
    else:
        raise ValueError(
            "input has to be 1D or 2D Tensor, but got Tensor of dimension "
            f"{input.dim()}"
        )
    modes = {"sum": 0, "mean": 1, "max": 2}
    if mode not in modes:
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max":
        if scale_grad_by_freq:
            raise ValueError(
                "max mode does not support scaling the gradient by the frequency"
            )
        if sparse:
            raise ValueError("max mode does not support sparse weights")
    if max_norm is not None:
        _no_grad_embedding_renorm_(weight, input, max_norm, norm_type)
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is "
            f"only supported for mode='sum' (got mode='{mode}'). Please open a feature "
            "request on GitHub."
        )
    return flashlight.embedding_bag(
        weight,
        input,
        offsets,
        scale_grad_by_freq,
        modes[mode],
        sparse,
        per_sample_weights,
        include_last_offset,
        padding_idx,
    )[0]


def _check_p(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input, p: float = 0.5, training: bool = True, inplace: bool = False):
    """Zero elements with probability ``p``, and scale the others by 1 / (1 - p)."""
    _check_p(p)
    op = flashlight.dropout_ if inplace else flashlight.dropout
    return op(input, p, training)


def alpha_dropout(input, p: float = 0.5, training: bool = False, inplace: bool = False):
    """Dropout that keeps the mean and variance of selu activations."""
    _check_p(p)
    op = flashlight.alpha_dropout_ if inplace else flashlight.alpha_dropout
    return op(input, p, training)


def dropout1d(input, p: float = 0.5, training: bool = True, inplace: bool = False):
    """Zero whole channels of (N, C, L) or (C, L)."""
    _check_p(p)
    ndim = input.dim()
    if ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {ndim}D input. Note "
            "that dropout1d exists to provide channel-wise dropout on inputs with 1 "
            "spatial dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    batched = ndim == 3
    if not batched:
        input = input.unsqueeze_(0) if inplace else input.unsqueeze(0)
    op = flashlight.feature_dropout_ if inplace else flashlight.feature_dropout
    result = op(input, p, training)
    if not batched:
        result = result.squeeze_(0) if inplace else result.squeeze(0)
    return result


def dropout2d(input, p: float = 0.5, training: bool = True, inplace: bool = False):
    """Zero whole channels of (N, C, H, W)."""
    _check_p(p)
    ndim = input.dim()
    if ndim not in (3, 4):
        warnings.warn(
            f"dropout2d: Received a {ndim}-D input to dropout2d, which is deprecated "
            "and will result in an error in a future release. To retain the behavior "
            "and silence this warning, please use dropout instead. Note that dropout2d "
            "exists to provide channel-wise dropout on inputs with 2 spatial "
            "dimensions, a channel dimension, and an optional batch dimension (i.e. 3D "
            "or 4D inputs).",
            stacklevel=2,
        )
    if ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that "
            "channel-wise 1D dropout behavior is desired - input is interpreted "
            "as shape (N, C, "
            "L), where C is the channel dim. This behavior will change in a "
            "future release "
            "to interpret the input as one without a batch dimension, i.e. shape (C, "
            "H, W). To maintain the 1D channel-wise dropout behavior, please switch to "
            "using dropout1d instead.",
            stacklevel=2,
        )
    op = flashlight.feature_dropout_ if inplace else flashlight.feature_dropout
    return op(input, p, training)


def dropout3d(input, p: float = 0.5, training: bool = True, inplace: bool = False):
    """Zero whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    _check_p(p)
    ndim = input.dim()
    if ndim not in (4, 5):
        warnings.warn(
            f"dropout3d: Received a {ndim}-D input to dropout3d, which is deprecated "
            "and will result in an error in a future release. To retain the behavior "
            "and silence this warning, please use dropout instead. Note that dropout3d "
            "exists to provide channel-wise dropout on inputs with 3 spatial "
            "dimensions, a channel dimension, and an optional batch dimension (i.e. 4D "
            "or 5D inputs).",
            stacklevel=2,
        )
    batched = ndim == 5
    if not batched:
        input = input.unsqueeze_(0) if inplace else input.unsqueeze(0)
    op = flashlight.feature_dropout_ if inplace else flashlight.feature_dropout
    result = op(input, p, training)
    if not batched:
        result = result.squeeze_(0) if inplace else result.squeeze(0)
    return result


def feature_alpha_dropout(
    input, p: float = 0.5, training: bool = False, inplace: bool = False
):
    """Alpha dropout of whole channels."""
    _check_p(p)
    if inplace:
        return flashlight.feature_alpha_dropout_(input, p, training)
    return flashlight.feature_alpha_dropout(input, p, training)
