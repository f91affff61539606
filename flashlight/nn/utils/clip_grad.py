"""Clipping of gradients."""

import functools
import warnings

import flashlight

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grads_with_norm_",
    "clip_grad_value_",
    "get_total_norm",
]


def _list(tensors):
    return [tensors] if isinstance(tensors, flashlight.Tensor) else list(tensors)


def _no_grad(func):
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        with flashlight.no_grad():
            return func(*args, **kwargs)

    return wrapper


@_no_grad
def get_total_norm(
    tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach=None
):
    """Return the norm of tensors as if they were one vector.

    Args:
        tensors: Tensor or tensors.
        norm_type: p, possibly infinite.
        error_if_nonfinite: Raise if the norm is nan or infinite.
        foreach: Accepted; the same computation for all tensors at once.
    """
    tensors = _list(tensors)
    norm_type = float(norm_type)
    if len(tensors) == 0:
        return flashlight.tensor(0.0)
    device = tensors[0].device
    norms = [flashlight.linalg.vector_norm(t, norm_type).to(device) for t in tensors]
    total = flashlight.linalg.vector_norm(flashlight.stack(norms), norm_type)
    if error_if_nonfinite and (total.isnan() | total.isinf()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is "
            "non-finite, so it cannot be clipped. To disable this error and scale the "
            "gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


@_no_grad
def clip_grads_with_norm_(
    parameters, max_norm: float, total_norm, foreach=None
) -> None:
    """Scale gradients by ``max_norm / total_norm``, if that is less than 1.

    Args:
        parameters: Parameter or parameters.
        max_norm: Largest norm.
        total_norm: Their norm.
        foreach: Accepted; the same computation for all tensors at once.
    """
    grads = [p.grad for p in _list(parameters) if p.grad is not None]
    if len(grads) == 0:
        return
    # Clamped instead of compared, so that no value has to be waited for.
    coef = flashlight.clamp(float(max_norm) / (total_norm + 1e-6), max=1.0)
    for g in grads:
        g.mul_(coef.to(g.device))


@_no_grad
def clip_grad_norm_(
    parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach=None,
):
    """Scale gradients so that their common norm is at most ``max_norm``.

    Args:
        parameters: Parameter or parameters.
        max_norm: Largest norm.
        norm_type: p, possibly infinite.
        error_if_nonfinite: Raise if the norm is nan or infinite.
        foreach: Accepted; the same computation for all tensors at once.

    Returns:
        The norm before.
    """
    if not isinstance(parameters, flashlight.Tensor):
        is_generator = hasattr(parameters, "__next__")
        parameters = list(parameters)
        if is_generator and len(parameters) == 0:
            warnings.warn(
                "`parameters` is an empty generator, no gradient clipping will occur.",
                stacklevel=3,
            )
    parameters = _list(parameters)
    grads = [p.grad for p in parameters if p.grad is not None]
    total_norm = get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total_norm, foreach)
    return total_norm


def clip_grad_norm(
    parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach=None,
):
    """Deprecated: see :func:`clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
        "`torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@_no_grad
def clip_grad_value_(parameters, clip_value: float, foreach=None) -> None:
    """Clamp gradients to [-``clip_value``, ``clip_value``].

    Args:
        parameters: Parameter or parameters.
        clip_value: Largest absolute value.
        foreach: Accepted; the same computation for all tensors at once.
    """
    clip_value = float(clip_value)
    for p in _list(parameters):
        if p.grad is not None:
            p.grad.clamp_(min=-clip_value, max=clip_value)
