"""Calls of a module with other parameters than its own."""

import contextlib
import warnings

import flashlight

__all__ = ["functional_call"]


def _tied_names(module):
    """Return for each name the names of the same tensor, itself included."""
    by_tensor: dict = {}
    members = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    for name, tensor in members:
        by_tensor.setdefault(id(tensor), []).append(name)
    return {name: names for names in by_tensor.values() for name in names}


def _untie(module, tensors):
    """Add the tied names of the given tensors."""
    tied = _tied_names(module)
    result = {}
    for name, tensor in tensors.items():
        for other in tied.get(name, [name]):
            if other != name and other in tensors and tensors[other] is not tensor:
                group = ", ".join(sorted(tied[name]))
                raise ValueError(
                    "functional_call got multiple values for keys "
                    f"{sorted(tied[name])}, which are tied. Consider using "
                    f"tie_weights=False ({group})"
                )
            result.setdefault(other, tensor)
    return result


_MISSING = object()


def _is_value(x):
    return x is None or isinstance(x, flashlight.Tensor)


def _swap(module, name, value):
    """Put ``value`` where ``name`` is; return the value before, or ``_MISSING``."""
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    for registry in (owner._parameters, owner._buffers):
        if leaf in registry:
            old = registry.pop(leaf) if value is _MISSING else registry[leaf]
            if value is not _MISSING:
                registry[leaf] = value
            return old
    old = getattr(owner, leaf, _MISSING)
    if old is not _MISSING and not _is_value(old):
        raise TypeError(f"attribute `{leaf}`: {old} is not an instance of torch.Tensor")
    if value is not _MISSING:
        setattr(owner, leaf, value)
    elif old is not _MISSING:
        delattr(owner, leaf)
    return old


@contextlib.contextmanager
def _reparametrize_module(
    module, parameters_and_buffers, tie_weights: bool = False, strict: bool = False
):
    """Give a module other tensors for a while."""
    tensors = parameters_and_buffers
    if tie_weights:
        tensors = _untie(module, tensors)
    if strict:
        own = _tied_names(module)
        missing = sorted(set(own) - set(tensors))
        unexpected = sorted(set(tensors) - set(own))
        errors = []
        if unexpected:
            errors.append(
                "Unexpected key(s): " + ", ".join(map(repr, unexpected)) + "."
            )
        if missing:
            errors.append("Missing key(s): " + ", ".join(map(repr, missing)) + ".")
        if errors:
            raise RuntimeError(
                f"Error(s) in reparametrizing for {module._get_name()}:\n\t"
                + "\n\t".join(errors)
            )
    before = {}
    try:
        for name, value in tensors.items():
            before[name] = _swap(module, name, value)
        yield
    finally:
        for name, value in before.items():
            # A forward that changed a buffer changes what the caller passed.
            changed = _swap(module, name, value)
            if name in parameters_and_buffers:
                parameters_and_buffers[name] = changed


def functional_call(
    module,
    parameters_and_buffers,
    args=None,
    kwargs=None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
):
    """Deprecated place of ``torch.func.functional_call``, which it equals."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 "
        "and will be removed in a future version of PyTorch. Please use "
        "`torch.func.functional_call` instead which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(
        module,
        parameters_and_buffers,
        args,
        kwargs,
        tie_weights=tie_weights,
        strict=strict,
    )


def _functional_call(
    module,
    parameters_and_buffers,
    args=None,
    kwargs=None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
):
    """Call a module with other parameters and buffers.

    Args:
        module: Module to call.
        parameters_and_buffers: Tensors by name; those missing are the module's own.
        args: Positional arguments, or a single one.
        kwargs: Keyword arguments.
        tie_weights: Replace tied tensors together.
        strict: Raise if names are missing or unexpected.
    """
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    for value in parameters_and_buffers.values():
        if not _is_value(value):
            raise TypeError(f"{value} is not an instance of torch.Tensor")
    with _reparametrize_module(module, parameters_and_buffers, tie_weights, strict):
        return module(*args, **(kwargs or {}))
