"""What types with ``__torch_function__`` need."""

import functools

from flashlight import _C


@functools.lru_cache(None)
def get_default_nowrap_functions():
    """Functions whose results the default ``__torch_function__`` leaves alone."""
    base = _C.TensorBase
    return {
        base._base.__get__,
        base.grad.__get__,
        base._grad.__get__,
    }


def has_torch_function(args):
    """Whether one of ``args`` has ``__torch_function__``, or a mode is active."""
    return _C._has_torch_function(tuple(args))


def has_torch_function_unary(arg):
    return _C._has_torch_function((arg,))


def has_torch_function_variadic(*args):
    return _C._has_torch_function(args)


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Call the first handler among ``relevant_args`` that takes ``public_api``."""
    overloaded = []
    for arg in relevant_args:
        if _C._has_torch_function((arg,)) and type(arg) not in map(type, overloaded):
            at = len(overloaded)
            for i, other in enumerate(overloaded):
                if issubclass(type(arg), type(other)):
                    at = i
                    break
            overloaded.insert(at, arg)
    types = tuple(map(type, overloaded))
    for arg in overloaded:
        result = type(arg).__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{public_api.__module__}.{public_api.__name__}"
    raise TypeError(
        f"no implementation found for '{name}' on types that implement "
        f"__torch_function__: {list(types)}"
    )


class TorchFunctionMode:
    """A ``with`` block whose ``__torch_function__`` sees every op called in it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        raise NotImplementedError

    def __enter__(self):
        _C._push_on_torch_function_stack(self)
        return self

    def __exit__(self, exc_type, exc, tb):
        _C._pop_torch_function_stack()
