"""``__torch_function__``: what types that have it need, modes, names of functions."""

import collections
import contextlib
import functools
import inspect
import keyword
import threading
import types

from flashlight import _C

__all__ = [
    "enable_reentrant_dispatch",
    "get_ignored_functions",
    "get_overridable_functions",
    "get_testing_overrides",
    "handle_torch_function",
    "has_torch_function",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "redispatch_function",
    "resolve_name",
    "wrap_torch_function",
]


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
    return _C._has_torch_function(args) and not _asks_nobody()


def has_torch_function_unary(arg):
    """The same, of one argument."""
    return has_torch_function((arg,))


def has_torch_function_variadic(*args):
    """The same, of the arguments."""
    return has_torch_function(args)


def _get_overloaded_args(relevant_args):
    """Those with ``__torch_function__``, one a type, subclasses first."""
    overloaded = []
    with _without_modes():
        having = [arg for arg in relevant_args if _C._has_torch_function((arg,))]
    for arg in having:
        if type(arg) not in map(type, overloaded):
            at = len(overloaded)
            for i, other in enumerate(overloaded):
                if issubclass(type(arg), type(other)):
                    at = i
                    break
            overloaded.insert(at, arg)
    return overloaded


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Call the mode, or the first of the handlers of arguments, that takes it.

    Args:
        public_api: The function that was called.
        relevant_args: Its arguments whose ``__torch_function__`` is asked.
        args, kwargs: All that it was called with.

    Raises:
        TypeError: All handlers returned NotImplemented.
    """
    overloaded = _get_overloaded_args(relevant_args)
    types = tuple(map(type, overloaded))
    mode = _get_current_function_mode()
    if mode is not None:
        with _without_innermost_mode():
            result = mode.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    for arg in overloaded:
        result = type(arg).__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    message = (
        f"no implementation found for '{_name_of(public_api)}' on types that implement "
        f"__torch_function__: {list(types)}"
    )
    if mode is not None:
        message += f" nor in mode {mode}"
    raise TypeError(message)


def _name_of(function):
    return resolve_name(function) or f"{function.__module__}.{function.__name__}"


def wrap_torch_function(dispatcher):
    """A decorator: the function goes through ``__torch_function__``.

    Args:
        dispatcher: Called with its arguments, gives those whose
            ``__torch_function__`` is asked.
    """

    def inner(func):
        @functools.wraps(func)
        def wrapped(*args, **kwargs):
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return func(*args, **kwargs)

        return wrapped

    return inner


def _make_overridable(module):
    """Let a module's public functions, written in Python, go through it."""
    for name in module.__all__:
        function = getattr(module, name)
        if isinstance(function, types.FunctionType):
            setattr(module, name, _overridable(function))


_skipping = threading.local()


def _asks_nobody():
    """Is this the call that redispatch_function() is to run as it is?"""
    skips = getattr(_skipping, "next", False)
    _skipping.next = False
    return skips


def redispatch_function(func, types, args, kwargs):
    """Run a function as without ``__torch_function__``; what it calls is asked again.

    Args:
        func, types, args, kwargs: What ``__torch_function__`` was called with.
    """
    kwargs = kwargs or {}
    inner = getattr(func, "_not_overridden", None)
    if inner is not None:
        return inner(*args, **kwargs)
    if not inspect.isfunction(func):  # it calls nothing of Python's
        from flashlight.tensor import DisableTorchFunctionSubclass

        with DisableTorchFunctionSubclass():
            return func(*args, **kwargs)
    _skipping.next = True
    try:
        return func(*args, **kwargs)
    finally:
        _skipping.next = False


_C._skip_one_hop_torch_function = redispatch_function


def _overridable(function):
    has = _C._has_torch_function

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        if has(args) or (kwargs and has(tuple(kwargs.values()))):
            relevant = (*args, *kwargs.values())
            return handle_torch_function(wrapper, relevant, *args, **kwargs)
        return function(*args, **kwargs)

    wrapper._not_overridden = function
    return wrapper


# --- modes ---


class TorchFunctionMode:
    """A ``with`` block whose ``__torch_function__`` sees every function called in it.

    Within the method the mode itself is off. Modes nest; the innermost is asked first.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        raise NotImplementedError

    def __enter__(self):
        _C._push_on_torch_function_stack(self)
        return self

    def __exit__(self, exc_type, exc, tb):
        _C._pop_torch_function_stack()

    @classmethod
    def push(cls, *args, **kwargs):
        """A new mode: of old, what the ``with`` block was given."""
        return cls(*args, **kwargs)


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that changes nothing."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def _get_current_function_mode():
    """The innermost mode, or None."""
    depth = _C._len_torch_function_stack()
    return _C._get_function_stack_at(depth - 1) if depth else None


def _get_current_function_mode_stack():
    """All modes, the outermost first."""
    depth = _C._len_torch_function_stack()
    return [_C._get_function_stack_at(i) for i in range(depth)]


@contextlib.contextmanager
def _without_innermost_mode():
    mode = _C._pop_torch_function_stack()
    try:
        yield
    finally:
        _C._push_on_torch_function_stack(mode)


@contextlib.contextmanager
def _without_modes():
    modes = _get_current_function_mode_stack()
    for _ in modes:
        _C._pop_torch_function_stack()
    try:
        yield
    finally:
        for mode in modes:
            _C._push_on_torch_function_stack(mode)


# --- what can be overridden ---

_MODULES = (
    ("torch", ""),
    ("torch.functional", "functional"),
    ("torch.nn.functional", "nn.functional"),
    ("torch.nn.init", "nn.init"),
    ("torch.Tensor", "Tensor"),
    ("torch.linalg", "linalg"),
    ("torch.fft", "fft"),
    ("torch.special", "special"),
)


def _spaces():
    """(name in PyTorch, module or class) of all that has functions."""
    import flashlight

    for name, path in _MODULES:
        space = flashlight
        for part in path.split(".") if path else ():
            space = getattr(space, part)
        yield name, space


def _is_function(value):
    kinds = (types.FunctionType, types.BuiltinFunctionType, _C.OpFunction)
    return isinstance(value, kinds)


def _takes_tensors(function):
    """Whether some argument can be a tensor: other functions are never overridden."""
    if isinstance(function, _C.OpFunction):
        return any(
            "Tensor" in schema.partition(" -> ")[0] for schema in function.schemas
        )
    return True


# Functions that make tensors, or are about the process: no argument decides.
_IGNORED = """
    arange as_tensor asarray bartlett_window blackman_window broadcast_shapes can_cast
    compile enable_grad empty eye from_numpy frombuffer full get_default_dtype
    get_num_threads hamming_window hann_window initial_seed is_grad_enabled is_storage
    is_tensor kaiser_window linspace load logspace manual_seed no_grad ones
    promote_types rand randint randn randperm range result_type save scalar_tensor seed
    set_default_dtype set_grad_enabled set_num_threads set_printoptions set_rng_state
    tensor tril_indices triu_indices typename vander zeros
""".split()


@functools.lru_cache(None)
def get_ignored_functions():
    """Functions that ``__torch_function__`` never sees, as a set."""
    import flashlight

    found = {getattr(flashlight, n) for n in _IGNORED if hasattr(flashlight, n)}
    found |= {v for v in vars(flashlight.nn.init).values() if _is_function(v)}
    of_the_class = "__init__ __new__ __init_subclass__ __subclasshook__ as_subclass"
    of_the_class += " _make_subclass _make_wrapper_subclass"
    return found | {getattr(flashlight.Tensor, n) for n in of_the_class.split()}


@functools.lru_cache(None)
def _all_overridable():
    """({module or class: functions}, {function: name in PyTorch})."""
    functions = collections.defaultdict(list)
    names = {}
    ignored = get_ignored_functions()
    for space_name, space in _spaces():
        public = getattr(space, "__all__", None)
        for name in dir(space):
            if space_name != "torch.Tensor" and (
                name.startswith("_") or (public is not None and name not in public)
            ):
                continue
            value = getattr(space, name)
            full = f"{space_name}.{name}"
            if inspect.isdatadescriptor(value):
                for access in ("__get__", "__set__"):
                    names[getattr(value, access)] = f"{full}.{access}"
                functions[value].append(value.__get__)
                continue
            of_tensor = space_name == "torch.Tensor"
            if of_tensor and (
                getattr(value, "__objclass__", None) is object
                or getattr(object, name, None) is value
                or name in ("__class__", "__dict__", "__doc__", "__module__")
                or not callable(value)
            ):
                continue
            if not of_tensor and not _is_function(value):
                continue
            if value in names:
                continue
            if value in ignored or not _takes_tensors(value):
                continue
            names[value] = full
            functions[space].append(value)
    return dict(functions), names


def get_overridable_functions():
    """What goes through ``__torch_function__``: {module or class: functions}."""
    return {space: list(found) for space, found in _all_overridable()[0].items()}


def resolve_name(f):
    """PyTorch's name of an overridable function, as ``"torch.add"``, or None."""
    if isinstance(f, (str, int, float)) or not callable(f):
        return None
    try:
        return _all_overridable()[1].get(f)
    except TypeError:  # it cannot be hashed
        return None


@functools.lru_cache(None)
def _tensor_methods():
    import flashlight

    functions, _ = _all_overridable()
    found = set(functions[flashlight.Tensor])
    for key, accessors in functions.items():
        if inspect.isdatadescriptor(key):
            found.update(accessors)
            found.add(key.__set__)
    return found


def is_tensor_method_or_property(func):
    """Whether it is a method of ``Tensor`` or the ``__get__`` of an attribute."""
    return func in _tensor_methods()


def is_tensor_like(inp):
    """Whether it is a tensor, or has ``__torch_function__``."""
    return isinstance(inp, _C.TensorBase) or hasattr(inp, "__torch_function__")


@functools.lru_cache(None)
def get_testing_overrides():
    """{function: a function of the same arguments that returns -1}."""
    found = {}
    for function in _all_overridable()[1]:
        found[function] = _returning_minus_one(_parameters_of(function))
    return found


def _any_method(self, *args, **kwargs): ...


def _parameters_of(function):
    if not isinstance(function, (_C.OpFunction, _C.OpMethod)):
        try:
            return inspect.signature(function)
        except ValueError:  # a method in C, which does not say
            return inspect.signature(_any_method)
    # "add(Tensor input, Tensor other, *, Number alpha = 1)"
    text = function.__doc__.partition("\n")[0]
    inside = text[text.index("(") + 1 : text.rindex(")")]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = []
    if isinstance(function, _C.OpMethod):
        parameters.append(inspect.Parameter("input", kind))
    for part in filter(None, inside.split(", ")):
        if part == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
            continue
        name, _, default = part.partition(" = ")
        name = name.rpartition(" ")[2]
        if keyword.iskeyword(name):
            name += "_"
        given = None if default else inspect.Parameter.empty
        parameters.append(inspect.Parameter(name, kind, default=given))
    return inspect.Signature(parameters)


def _returning_minus_one(signature):
    def override(*args, **kwargs):
        signature.bind(*args, **kwargs)
        return -1

    override.__signature__ = signature
    return override


@contextlib.contextmanager
def enable_reentrant_dispatch():
    """Inside a ``__torch_dispatch__``: record ops as outside of it."""
    import flashlight
    from flashlight.utils import _python_dispatch

    grad_mode = flashlight.set_grad_enabled(_C._grad_mode_before_dispatch())
    with grad_mode, _python_dispatch.above_autograd():
        yield
