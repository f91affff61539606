"""Parameters as one vector, and back."""

import flashlight

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def _check_param_device(param, old_param_device):
    """Return the device of ``param``; TypeError if it is not the one before."""
    index = param.get_device() if param.is_cuda else -1
    if old_param_device is not None and index != old_param_device:
        raise TypeError(
            "Found two parameters on different devices, this is currently not "
            "supported."
        )
    return index


def parameters_to_vector(parameters):
    """Return the elements of all parameters as one vector."""
    device = None
    parts = []
    for param in parameters:
        device = _check_param_device(param, device)
        parts.append(param.view(-1))
    return flashlight.cat(parts)


def vector_to_parameters(vec, parameters) -> None:
    """Set the parameters to slices of ``vec``."""
    if not isinstance(vec, flashlight.Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec)}")
    device = None
    pointer = 0
    for param in parameters:
        device = _check_param_device(param, device)
        num_param = param.numel()
        param.data = vec[pointer : pointer + num_param].view_as(param).data
        pointer += num_param
