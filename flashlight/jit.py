"""``torch.jit``: scripted and traced functions, which run as the Python that they are.

There is no TorchScript: ``script`` and ``trace`` give functions and modules that behave
like those that went in, and what only TorchScript has (graphs, files) is an error.
"""

import functools
import typing

__all__ = [
    "Attribute",
    "Final",
    "Future",
    "ScriptFunction",
    "ScriptModule",
    "annotate",
    "export",
    "fork",
    "freeze",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "optimize_for_inference",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "trace",
    "trace_module",
    "unused",
    "wait",
]

_isinstance = isinstance
Final = typing.Final


class ScriptFunction:
    """What ``script`` and ``trace`` make of a function: it calls it."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, *args, **kwargs):
        return self._function(*args, **kwargs)

    def __get__(self, obj, cls=None):
        return self if obj is None else functools.partial(self, obj)

    def __getattr__(self, name):
        if name in ("graph", "code", "save", "graph_for", "inlined_graph"):
            raise NotImplementedError(f"ScriptFunction.{name}: there is no TorchScript")
        raise AttributeError(name)


def script(
    obj,
    optimize=None,
    _frames_up=0,
    _rcb=None,
    example_inputs=None,
):
    """The function as a ``ScriptFunction``; modules and classes are given back.

    Args:
        obj: A function, a module or a class.
        optimize: Has no meaning, and is deprecated in PyTorch.
        example_inputs: What types could be told from.
    """
    from flashlight.nn import Module

    if _isinstance(obj, (Module, type, ScriptFunction)):
        return obj
    if not callable(obj):
        raise TypeError(f"script(): a function or module is needed, not {type(obj)}")
    return ScriptFunction(obj)


def trace(
    func,
    example_inputs=None,
    optimize=None,
    check_trace=True,
    check_inputs=None,
    check_tolerance=1e-5,
    strict=True,
    _force_outplace=False,
    _module_class=None,
    _compilation_unit=None,
    example_kwarg_inputs=None,
    _store_inputs=True,
):
    """As ``script``, after a call with the example inputs.

    Python's branches are taken anew at each call, where PyTorch keeps those that the
    examples took.

    Args:
        func: A function or a module.
        example_inputs: A tensor or a tuple of arguments.
        example_kwarg_inputs: A dict of keyword arguments, instead.
        check_inputs: More tuples of arguments that must run.
    """
    from flashlight import no_grad

    calls = [(example_inputs, example_kwarg_inputs)]
    calls += [(inputs, None) for inputs in check_inputs or ()]
    with no_grad():
        for inputs, named in calls:
            if inputs is None and named is None:
                raise RuntimeError("example_kwarg_inputs should be a dict")
            if inputs is not None and not _isinstance(inputs, (tuple, list)):
                inputs = (inputs,)
            func(*(inputs or ()), **(named or {}))
    return script(func)


def trace_module(mod, inputs, *args, **kwargs):
    """The module, after a call of each of its methods with its example inputs."""
    for name, given in inputs.items():
        trace(getattr(mod, name), given)
    return mod


def script_if_tracing(fn):
    """The function itself: tracing runs it as Python, too."""
    return fn


def script_method(fn):
    """The method itself."""
    return fn


def export(fn):
    """The method itself: all methods can be called."""
    return fn


def interface(obj):
    """The class itself."""
    return obj


def unused(fn):
    """The method itself: it can be called here."""
    return fn


def ignore(drop=False, **kwargs):
    """A decorator, with arguments or without: the function itself."""
    if callable(drop):
        return drop
    return lambda fn: fn


def annotate(the_type, the_value):
    """The value: Python needs no annotation."""
    return the_value


def Attribute(value, type):
    """The value: attributes have no types here."""
    return value


def isinstance(obj, target_type):
    """Whether the value is of the type, which may be ``list[int]`` and the like."""
    origin = typing.get_origin(target_type)
    if origin is None:
        return _isinstance(obj, target_type)
    parameters = typing.get_args(target_type)
    if origin is typing.Union:
        return any(isinstance(obj, t) for t in parameters)
    if not _isinstance(obj, origin):
        return False
    if origin is dict:
        of_keys, of_values = parameters
        return all(
            isinstance(k, of_keys) and isinstance(v, of_values) for k, v in obj.items()
        )
    if origin is tuple and not (len(parameters) == 2 and parameters[1] is Ellipsis):
        return len(obj) == len(parameters) and all(map(isinstance, obj, parameters))
    return all(isinstance(x, parameters[0]) for x in obj)


def is_scripting():
    """False: code runs as Python."""
    return False


def is_tracing():
    """False: code runs as Python."""
    return False


def freeze(mod, *args, **kwargs):
    """The module itself, which must be in evaluation."""
    if mod.training:
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please "
            "call .eval() on your module before freezing."
        )
    return mod


def optimize_for_inference(mod, *args, **kwargs):
    """The module itself, in evaluation."""
    return mod.eval()


class Future:
    """What ``fork`` gives: its value is there already."""

    def __init__(self, value):
        self._value = value

    def wait(self):
        """The value."""
        return self._value

    value = wait

    def done(self):
        """True."""
        return True

    def then(self, callback):
        """A ``Future`` of what ``callback`` makes of this one."""
        return Future(callback(self))

    def add_done_callback(self, callback):
        """Call ``callback`` with this one."""
        callback(self)


def fork(func, *args, **kwargs):
    """A ``Future`` of the call, which is made at once."""
    return Future(func(*args, **kwargs))


def wait(future):
    """The value of a ``Future``."""
    return future.wait()


_fork, _wait = fork, wait


class ScriptModule:
    """The base of what PyTorch makes of modules: nothing here is one."""

    def __init__(self):
        raise NotImplementedError(
            "ScriptModule: there is no TorchScript; use nn.Module"
        )


def save(m, f, _extra_files=None):
    """Raises: there are no TorchScript files; ``torch.save`` saves modules."""
    raise NotImplementedError("jit.save(): TorchScript files are not supported")


def load(f, map_location=None, _extra_files=None, _restore_shapes=False):
    """Raises: there are no TorchScript files; ``torch.load`` loads modules."""
    raise NotImplementedError("jit.load(): TorchScript files are not supported")
