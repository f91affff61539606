"""Normalizations and distances."""

import math

import flashlight

_nn = flashlight._C._nn

__all__ = [
    "batch_norm",
    "instance_norm",
    "layer_norm",
    "rms_norm",
    "group_norm",
    "local_response_norm",
    "normalize",
    "pairwise_distance",
    "pdist",
    "cosine_similarity",
]


def _verify_batch_size(size) -> None:
    if size[0] * math.prod(size[2:]) == 1:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{size}"
        )


def _verify_spatial_size(size) -> None:
    if math.prod(size[2:]) == 1:
        raise ValueError(
            "Expected more than 1 spatial element when training, got input size "
            f"{size}"
        )


def batch_norm(
    input,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
):
    """Normalize each channel over the batch.

    Args:
        input: (N, C, ...).
        running_mean: (C), updated in training, used otherwise.
        running_var: (C), likewise.
        weight: Scale per channel.
        bias: Shift per channel.
        training: Use the statistics of the batch.
        momentum: Weight of the batch in the running statistics.
        eps: Added to the variance.
    """
    if training:
        _verify_batch_size(input.size())
        if eps <= 0.0:
            raise ValueError(
                f"batch_norm eps must be positive during training, but got {eps}"
            )
    elif eps < 0.0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    return flashlight.batch_norm(
        input, weight, bias, running_mean, running_var, training, momentum, eps, True
    )


def instance_norm(
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
):
    """Normalize each channel of each sample; see :func:`batch_norm`."""
    if use_input_stats:
        _verify_spatial_size(input.size())
    return flashlight.instance_norm(
        input,
        weight,
        bias,
        running_mean,
        running_var,
        use_input_stats,
        momentum,
        eps,
        True,
    )


def layer_norm(input, normalized_shape, weight=None, bias=None, eps: float = 1e-05):
    """Normalize over the last dimensions, whose sizes are ``normalized_shape``."""
    return flashlight.layer_norm(input, normalized_shape, weight, bias, eps, True)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Divide by the root mean square over the last dimensions."""
    return flashlight.rms_norm(input, normalized_shape, weight, eps)


def group_norm(input, num_groups: int, weight=None, bias=None, eps: float = 1e-05):
    """Normalize each group of channels of each sample."""
    if input.dim() < 2:
        raise RuntimeError(
            "Expected at least 2 dimensions for input tensor but received "
            f"{input.dim()}"
        )
    size = input.size()
    _verify_batch_size([size[0] * size[1] // num_groups, num_groups, *size[2:]])
    return flashlight.group_norm(input, num_groups, weight, bias, eps, True)


def local_response_norm(
    input, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0
):
    """Divide by a power of the mean square over ``size`` neighbouring channels.

    Args:
        input: (N, C, ...).
        size: Number of channels.
        alpha: Weight of the mean square.
        beta: Exponent.
        k: Added to it first.
    """
    dim = input.dim()
    if dim < 3:
        raise ValueError(
            "Expected 3D or higher dimensionality"
            f"                          input (got {dim} dimensions)"
        )
    if input.numel() == 0:
        return input
    div = input.mul(input)
    pad = flashlight._C._nn.pad
    if dim == 3:
        div = pad(div.unsqueeze(1), (0, 0, size // 2, (size - 1) // 2))
        div = _nn.avg_pool2d(div, (size, 1), 1).squeeze(1)
    else:
        sizes = input.size()
        div = div.view(sizes[0], 1, sizes[1], sizes[2], -1)
        div = pad(div, (0, 0, 0, 0, size // 2, (size - 1) // 2))
        div = _nn.avg_pool3d(div, (size, 1, 1), 1).squeeze(1).view(sizes)
    return input / div.mul(alpha).add(k).pow(beta)


def normalize(input, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out=None):
    """Divide by the p-norm along ``dim``, or by ``eps`` if that is larger."""
    denom = input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    if out is None:
        return input / denom
    return flashlight.div(input, denom, out=out)


def pairwise_distance(x1, x2, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
    """Return the p-norm of ``x1 - x2 + eps`` along the last dimension."""
    return flashlight.pairwise_distance(x1, x2, p, eps, keepdim)


def pdist(input, p: float = 2):
    """Return the p-norm distance of every pair of rows."""
    return flashlight.pdist(input, p)


def cosine_similarity(x1, x2, dim: int = 1, eps: float = 1e-8):
    """Return the cosine of the angle of ``x1`` and ``x2`` along ``dim``."""
    return flashlight.cosine_similarity(x1, x2, dim, eps)
