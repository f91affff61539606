"""Losses."""

import math
import warnings

import flashlight

from .. import _reduction as _Reduction

_nn = flashlight._C._nn

__all__ = [
    "ctc_loss",
    "nll_loss",
    "poisson_nll_loss",
    "gaussian_nll_loss",
    "kl_div",
    "cross_entropy",
    "linear_cross_entropy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "smooth_l1_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "margin_ranking_loss",
    "hinge_embedding_loss",
    "multilabel_margin_loss",
    "soft_margin_loss",
    "multilabel_soft_margin_loss",
    "cosine_embedding_loss",
    "multi_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


def _reduce(loss, reduction: str):
    if reduction == "mean":
        return loss.mean()
    return loss.sum() if reduction == "sum" else loss


def _enum(size_average, reduce, reduction) -> int:
    return _Reduction.get_enum(_Reduction.resolve(size_average, reduce, reduction))


def _warn_if_sizes_differ(input, target) -> None:
    if target.size() != input.size():
        warnings.warn(
            f"Using a target size ({target.size()}) that is different to the input "
            f"size ({input.size()}). This will likely lead to incorrect results due to "
            "broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def _weighted(loss, weight, input, reduction, by_weight: bool):
    """Weigh elementwise losses; a mean divides by the weights or by their number."""
    if weight.size() != input.size():
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    if reduction == "none":
        return loss
    if reduction == "sum":
        return flashlight.sum(loss)
    if reduction == "mean":
        return (
            flashlight.sum(loss) / flashlight.sum(weight)
            if by_weight
            else (loss.mean())
        )
    raise ValueError(
        f"Invalid reduction mode: {reduction}. Expected one of 'none', 'mean', 'sum'."
    )


def ctc_loss(
    log_probs,
    targets,
    input_lengths,
    target_lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
):
    """Connectionist temporal classification loss.

    Args:
        log_probs: (T, N, C) or (T, C).
        targets: (N, S), or all of them in one dimension.
        input_lengths: Length of each input.
        target_lengths: Length of each target.
        blank: Label of the blank.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        zero_infinity: Replace infinite losses, and their gradients, by zero.
    """
    return flashlight.ctc_loss(
        log_probs,
        targets,
        input_lengths,
        target_lengths,
        blank,
        _Reduction.get_enum(reduction),
        zero_infinity,
    )


def nll_loss(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index: int = -100,
    reduce=None,
    reduction: str = "mean",
):
    """Negative log likelihood of log probabilities (N, C, ...) for class indices."""
    reduction_enum = _enum(size_average, reduce, reduction)
    return _nn.nll_loss_nd(input, target, weight, reduction_enum, ignore_index)


def poisson_nll_loss(
    input,
    target,
    log_input: bool = True,
    full: bool = False,
    size_average=None,
    eps: float = 1e-08,
    reduce=None,
    reduction: str = "mean",
):
    """Negative log likelihood of Poisson counts.

    Args:
        input: Rate, or its logarithm if ``log_input``.
        target: Counts.
        log_input: What ``input`` is.
        full: Add the Stirling term.
        size_average: Deprecated.
        eps: Keeps the logarithm of the rate finite.
        reduce: Deprecated.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    reduction = _Reduction.resolve(size_average, reduce, reduction)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not a valid value for reduction")
    return flashlight.poisson_nll_loss(
        input, target, log_input, full, eps, _Reduction.get_enum(reduction)
    )


def gaussian_nll_loss(
    input, target, var, full: bool = False, eps: float = 1e-06, reduction: str = "mean"
):
    """Negative log likelihood of normal distributions.

    Args:
        input: Means.
        target: Samples.
        var: Variances, one for each element or one for each row, or a number.
        full: Add the constant term.
        eps: Least variance.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    if isinstance(var, (int, float)) and not isinstance(var, bool):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * flashlight.ones_like(input)
    elif flashlight.any(var < 0):
        raise ValueError("var has negative entry/entries")
    if var.size() != input.size():
        if input.size()[:-1] == var.size():
            var = flashlight.unsqueeze(var, -1)
        elif not (input.size()[:-1] == var.size()[:-1] and var.size(-1) == 1):
            # One more case broadcasts: a variance for each sample of the last dims.
            if not _expandable(var.size(), input.size()):
                raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    var = var.clone()
    with flashlight.no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (flashlight.log(var) + (input - target) ** 2 / var)
    if full:
        loss += 0.5 * math.log(2 * math.pi)
    return _reduce(loss, reduction)


def _expandable(size, to) -> bool:
    return len(size) == len(to) and all(a in (1, b) for a, b in zip(size, to))


def kl_div(
    input,
    target,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
    log_target: bool = False,
):
    """Kullback-Leibler divergence of log probabilities from a target.

    Args:
        input: Log probabilities.
        target: Probabilities, or their logarithms if ``log_target``.
        size_average: Deprecated.
        reduce: Deprecated.
        reduction: ``"none"``, ``"batchmean"``, ``"mean"`` or ``"sum"``.
        log_target: What ``target`` is.
    """
    if size_average is not None or reduce is not None:
        code = _Reduction.legacy_get_enum(size_average, reduce)
    else:
        if reduction == "mean":
            warnings.warn(
                "reduction: 'mean' divides the total loss by both the batch size and "
                "the support size.'batchmean' divides only by the batch size, and "
                "aligns with the KL div math definition.'mean' will be changed to "
                "behave the same as 'batchmean' in the next major release.",
                stacklevel=2,
            )
        code = _Reduction.get_enum("sum" if reduction == "batchmean" else reduction)
    out = flashlight.kl_div(input, target, code, log_target=log_target)
    if reduction == "batchmean" and input.dim() != 0:
        out = out / input.size()[0]
    return out


def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index: int = -100,
    reduce=None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
):
    """Cross entropy of logits for class indices or class probabilities.

    Args:
        input: Logits (N, C, ...) or (C).
        target: Indices without C, or probabilities of the input's shape.
        weight: Weight per class.
        size_average: Deprecated.
        ignore_index: Target that counts for nothing.
        reduce: Deprecated.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        label_smoothing: Share of the uniform distribution in the target.
    """
    reduction_enum = _enum(size_average, reduce, reduction)
    return _nn.cross_entropy_loss(
        input, target, weight, reduction_enum, ignore_index, label_smoothing
    )


def linear_cross_entropy(
    input,
    linear_weight,
    target,
    *,
    linear_bias=None,
    weight=None,
    reduction: str = "mean",
    ignore_index=None,
    label_smoothing: float = 0.0,
    options=None,
):
    """Cross entropy of ``linear(input, linear_weight, linear_bias)``.

    Args:
        input: (N, in_features) or (in_features).
        linear_weight: (num_classes, ..., in_features).
        target: Class indices or probabilities.
        linear_bias: (num_classes, ...).
        weight: Weight per class.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        ignore_index: Target that counts for nothing.
        label_smoothing: Share of the uniform distribution in the target.
        options: How PyTorch cuts the computation to save memory. The result does not
            depend on it, and the computation is not cut here.
    """
    if getattr(options, "acc_dtype", None) is not None:
        raise NotImplementedError(
            "flashlight: linear_cross_entropy does not support `options.acc_dtype`"
        )
    if input.dim() not in (1, 2):
        raise RuntimeError(
            f"expected input with dimensionality 1 or 2, got {input.dim()}"
        )
    if linear_weight.dim() < 2:
        raise RuntimeError(
            "expected linear_weight with dimensionality at least 2, got "
            f"{linear_weight.dim()}"
        )
    num_classes, *out_features, in_features = linear_weight.shape
    if input.shape[-1] != in_features:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.shape[-1]} and {in_features}, respectively"
        )
    shape = (num_classes, *out_features)
    if linear_bias is not None and tuple(linear_bias.shape) != shape:
        raise RuntimeError(
            f"expected linear_bias shape {shape}, got {tuple(linear_bias.shape)}"
        )
    if out_features and input.dim() == 1:
        raise RuntimeError(
            "K-dimensional loss defined by linear_weight shape "
            f"{tuple(linear_weight.shape)} requires batched input, (N, {in_features}), "
            f"got unbatched input with shape {tuple(input.shape)}"
        )
    if target.is_floating_point() and ignore_index is not None:
        raise RuntimeError(
            "ignore_index cannot be specified when target contains probabilities"
        )
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = _nn.linear(input, linear_weight.reshape(-1, in_features), bias)
    logits = logits.reshape(*input.shape[:-1], *shape)
    return cross_entropy(
        logits,
        target,
        weight=weight,
        reduction=reduction,
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
    )


def binary_cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
):
    """Cross entropy of probabilities ``input`` for probabilities ``target``."""
    reduction_enum = _enum(size_average, reduce, reduction)
    if target.size() != input.size():
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input "
            f"size ({input.size()}) is deprecated. Please ensure they have the "
            "same size."
        )
    if weight is not None:
        weight = weight.expand(
            flashlight.broadcast_shapes(target.size(), weight.size())
        )
    return _nn.binary_cross_entropy(input, target, weight, reduction_enum)


def binary_cross_entropy_with_logits(
    input,
    target,
    weight=None,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
    pos_weight=None,
):
    """Cross entropy of ``sigmoid(input)`` for probabilities ``target``.

    Args:
        input: Logits.
        target: Probabilities of the same shape.
        weight: Weight per element, broadcast.
        size_average: Deprecated.
        reduce: Deprecated.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        pos_weight: Weight of the positive term per class.
    """
    reduction_enum = _enum(size_average, reduce, reduction)
    if target.size() != input.size():
        raise ValueError(
            f"Target size ({target.size()}) must be the same as input size "
            f"({input.size()})"
        )
    return flashlight.binary_cross_entropy_with_logits(
        input, target, weight, pos_weight, reduction_enum
    )


def smooth_l1_loss(
    input,
    target,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
    beta: float = 1.0,
):
    """Squared error below ``beta``, absolute error above."""
    _warn_if_sizes_differ(input, target)
    code = _enum(size_average, reduce, reduction)
    input, target = flashlight.broadcast_tensors(input, target)
    if beta == 0.0:
        return _nn.l1_loss(input, target, code)
    return _nn.smooth_l1_loss(input, target, code, beta)


def huber_loss(input, target, reduction: str = "mean", delta: float = 1.0, weight=None):
    """Squared error below ``delta``, ``delta`` times absolute error above."""
    _warn_if_sizes_differ(input, target)
    expanded, target = flashlight.broadcast_tensors(input, target)
    if weight is None:
        return _nn.huber_loss(expanded, target, _Reduction.get_enum(reduction), delta)
    loss = _nn.huber_loss(expanded, target, _Reduction.get_enum("none"), delta)
    return _weighted(loss, weight, input, reduction, by_weight=False)


def l1_loss(
    input,
    target,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
    weight=None,
):
    """Absolute error."""
    reduction = _Reduction.resolve(size_average, reduce, reduction)
    _warn_if_sizes_differ(input, target)
    expanded, target = flashlight.broadcast_tensors(input, target)
    if weight is None:
        return _nn.l1_loss(expanded, target, _Reduction.get_enum(reduction))
    loss = flashlight.abs(expanded - target)
    return _weighted(loss, weight, input, reduction, by_weight=True)


def mse_loss(
    input,
    target,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
    weight=None,
):
    """Squared error."""
    reduction = _Reduction.resolve(size_average, reduce, reduction)
    _warn_if_sizes_differ(input, target)
    expanded, target = flashlight.broadcast_tensors(input, target)
    if weight is None:
        return _nn.mse_loss(expanded, target, _Reduction.get_enum(reduction))
    loss = flashlight.pow(expanded - target, 2)
    return _weighted(loss, weight, input, reduction, by_weight=True)


def margin_ranking_loss(
    input1,
    input2,
    target,
    margin: float = 0,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
):
    """Return max(0, -target * (input1 - input2) + margin)."""
    code = _enum(size_average, reduce, reduction)
    if input1.dim() != input2.dim() or input1.dim() != target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but "
            f"got sizes: input1: {input1.size()}, input2: {input2.size()}, target: "
            f"{target.size()} "
        )
    return flashlight.margin_ranking_loss(input1, input2, target, margin, code)


def hinge_embedding_loss(
    input,
    target,
    margin: float = 1.0,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
):
    """Return x where the target is 1, max(0, margin - x) where it is -1."""
    code = _enum(size_average, reduce, reduction)
    return flashlight.hinge_embedding_loss(input, target, margin, code)


def multilabel_margin_loss(
    input, target, size_average=None, reduce=None, reduction: str = "mean"
):
    """Margin loss of several classes, given as indices ended by -1."""
    code = _enum(size_average, reduce, reduction)
    return _nn.multilabel_margin_loss(input, target, code)


def soft_margin_loss(
    input, target, size_average=None, reduce=None, reduction: str = "mean"
):
    """Logistic loss of targets 1 and -1."""
    code = _enum(size_average, reduce, reduction)
    return _nn.soft_margin_loss(input, target, code)


def multilabel_soft_margin_loss(
    input,
    target,
    weight=None,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
):
    """Logistic loss of several classes, averaged over the classes."""
    reduction = _Reduction.resolve(size_average, reduce, reduction)
    loss = -(target * _nn.log_sigmoid(input) + (1 - target) * _nn.log_sigmoid(-input))
    if weight is not None:
        loss = loss * weight
    class_dim = input.dim() - 1
    loss = loss.sum(dim=class_dim) / input.size(class_dim)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    return _reduce(loss, reduction)


def cosine_embedding_loss(
    input1,
    input2,
    target,
    margin: float = 0,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
):
    """Return 1 - cos where the target is 1, max(0, cos - margin) where it is -1."""
    code = _enum(size_average, reduce, reduction)
    return flashlight.cosine_embedding_loss(input1, input2, target, margin, code)


def multi_margin_loss(
    input,
    target,
    p: int = 1,
    margin: float = 1.0,
    weight=None,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
):
    """Hinge loss of class indices, to the power ``p``."""
    code = _enum(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    return _nn.multi_margin_loss(input, target, p, margin, weight, code)


def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-06,
    swap: bool = False,
    size_average=None,
    reduce=None,
    reduction: str = "mean",
):
    """Return max(0, d(anchor, positive) - d(anchor, negative) + margin).

    Args:
        anchor: Samples.
        positive: Samples to be near to.
        negative: Samples to be far from.
        margin: Wanted difference of the distances, above 0.
        p: Norm of the distance.
        eps: Added to the difference of samples.
        swap: Use d(positive, negative) where that is smaller.
        size_average: Deprecated.
        reduce: Deprecated.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
    """
    code = _enum(size_average, reduce, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return flashlight.triplet_margin_loss(
        anchor, positive, negative, margin, p, eps, swap, code
    )


def triplet_margin_with_distance_loss(
    anchor,
    positive,
    negative,
    *,
    distance_function=None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
):
    """:func:`triplet_margin_loss` with a distance of one's own."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    dims = anchor.ndim, positive.ndim, negative.ndim
    if len(set(dims)) != 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same "
            f"number of dimensions, but got: anchor {dims[0]}D, positive {dims[1]}D, "
            f"and negative {dims[2]}D inputs"
        )
    if distance_function is None:
        distance_function = flashlight.pairwise_distance
    dist_pos = distance_function(anchor, positive)
    dist_neg = distance_function(anchor, negative)
    if swap:
        dist_neg = flashlight.minimum(dist_neg, distance_function(positive, negative))
    loss = flashlight.clamp_min(margin + dist_pos - dist_neg, 0)
    return _reduce(loss, reduction)
