"""Choices that PyTorch will make by default one day: how modules are converted."""

__all__ = [
    "get_overwrite_module_params_on_conversion",
    "get_swap_module_params_on_conversion",
    "set_overwrite_module_params_on_conversion",
    "set_swap_module_params_on_conversion",
]

_chosen = {"overwrite": False, "swap": False}


def set_overwrite_module_params_on_conversion(value):
    """Whether ``Module.to`` and its like put new parameters in the places of the old.

    Args:
        value: True, or False: the old ones take over the new data.
    """
    _chosen["overwrite"] = value


def get_overwrite_module_params_on_conversion():
    """See :func:`set_overwrite_module_params_on_conversion`."""
    return _chosen["overwrite"]


def set_swap_module_params_on_conversion(value):
    """Whether ``Module.to``, its like and ``load_state_dict`` swap tensors.

    With it the old parameter and the new one change places, by
    :func:`torch.utils.swap_tensors`; what is loaded is what ``Tensor.module_load``
    makes of it. It goes before :func:`set_overwrite_module_params_on_conversion`.

    Args:
        value: True, or False: ``.data`` is set, and what is loaded is copied.
    """
    _chosen["swap"] = value


def get_swap_module_params_on_conversion():
    """See :func:`set_swap_module_params_on_conversion`."""
    return _chosen["swap"]
