"""What pickled tensors call to be built again, under PyTorch's names."""


def _rebuild_tensor(storage, storage_offset, size, stride):
    import flashlight

    out = flashlight.empty(0, dtype=storage.dtype, device=storage.device)
    return out.set_(storage.untyped(), storage_offset, size, stride)


def _rebuild_tensor_v2(
    storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None
):
    tensor = _rebuild_tensor(storage, storage_offset, size, stride)
    tensor.requires_grad = requires_grad
    return tensor


def _rebuild_parameter(data, requires_grad, backward_hooks):
    from flashlight.nn import Parameter

    return Parameter(data, requires_grad)


def _rebuild_parameter_with_state(data, requires_grad, backward_hooks, state):
    parameter = _rebuild_parameter(data, requires_grad, backward_hooks)
    parameter.__dict__.update(state)
    return parameter


def _rebuild_from_type_v2(func, new_type, args, state):
    out = func(*args)
    if type(out) is not new_type:
        out = out.as_subclass(new_type)
        out.requires_grad = args[4]
    if isinstance(state, tuple):
        state = {**(state[0] or {}), **(state[1] or {})}
    out.__dict__.update(state)
    return out
