"""Modules as functions of their parameters."""

import flashlight
from flashlight import nn
from flashlight.nn.utils.stateless import _functional_call

__all__ = [
    "functional_call",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
]


def functional_call(
    module,
    parameter_and_buffer_dicts,
    args=None,
    kwargs=None,
    *,
    tie_weights=True,
    strict=False,
):
    """Call a module with these parameters and buffers in place of its own.

    Args:
        module: the module.
        parameter_and_buffer_dicts: tensors by name, or several such dicts.
        args: its arguments; one that is no tuple is the only one.
        kwargs: its keyword arguments.
        tie_weights: what replaces a parameter replaces those tied to it.
        strict: all parameters and buffers must be there, and no others.

    Raises:
        ValueError: a name is in two of the dicts.

    Example:
        >>> import flashlight as torch
        >>> m = torch.nn.Linear(2, 1)
        >>> state = {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}
        >>> torch.func.functional_call(m, state, torch.ones(3, 2)).shape
        torch.Size([3, 1])
    """
    if isinstance(parameter_and_buffer_dicts, dict):
        tensors = parameter_and_buffer_dicts
    elif isinstance(parameter_and_buffer_dicts, (list, tuple)):
        if not all(isinstance(d, dict) for d in parameter_and_buffer_dicts):
            raise ValueError(
                "Expected all elements of parameter_and_buffer_dicts to be dictionaries"
            )
        names = [k for d in parameter_and_buffer_dicts for k in d]
        repeated = sorted({k for k in names if names.count(k) > 1})
        if repeated:
            raise ValueError(
                f"{repeated} appeared in multiple dictionaries; behavior of functional "
                "call is ambiguous"
            )
        tensors = {k: v for d in parameter_and_buffer_dicts for k, v in d.items()}
    else:
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of "
            f"dicts, but got {type(parameter_and_buffer_dicts)}"
        )
    return _functional_call(
        module, tensors, args, kwargs, tie_weights=tie_weights, strict=strict
    )


def _stacked(tensors):
    """One tensor of all; a leaf that requires grad if they do."""
    first = tensors[0]
    if any(t.requires_grad != first.requires_grad for t in tensors):
        name = "parameter" if isinstance(first, nn.Parameter) else "buffer"
        raise RuntimeError(
            f"Expected {name} from each model to have the same .requires_grad"
        )
    stacked = flashlight.stack([t.detach() for t in tensors])
    return stacked.requires_grad_(first.requires_grad)


def stack_module_state(models):
    """Return the parameters and the buffers of models of one class, each stacked.

    Args:
        models: modules of the same class, in the same mode.

    Returns:
        two dicts by name, for :func:`functional_call` under :func:`vmap`.

    Raises:
        RuntimeError: there is no model, or they are not alike.

    Example:
        >>> import flashlight as torch
        >>> models = [torch.nn.Linear(2, 1) for _ in range(3)]
        >>> params, buffers = torch.func.stack_module_state(models)
        >>> params["weight"].shape
        torch.Size([3, 1, 2])
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    first = models[0]
    if any(m.training != first.training for m in models):
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval "
            "mode."
        )
    if any(type(m) is not type(first) for m in models):
        raise RuntimeError(
            "stack_module_state: Expected all models to be of the same class."
        )
    params = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return tuple(
        {name: _stacked([d[name] for d in dicts]) for name in dicts[0]}
        for dicts in (params, buffers)
    )


def replace_all_batch_norm_modules_(root):
    """Make every batch norm below ``root`` use the statistics of the batch alone.

    Running statistics are a write into what all entries of a ``vmap`` share.
    """
    for module in root.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean = None
            module.running_var = None
            module.num_batches_tracked = None
            module.track_running_stats = False
    return root
