"""Tensors that are not one array: sparse and quantized ones, of several plain tensors.

Such a class derives from ``Tensor``, so that programs take it for one, and answers for
each function by name. What it has no answer for is an error that says so: nothing falls
through to the empty array that the engine sees.
"""

from flashlight import _C, overrides
from flashlight.tensor import DisableTorchFunctionSubclass, Tensor


class Parted(Tensor):
    """A tensor of parts. Subclasses have ``_answers`` and say what they are."""

    __module__ = "torch"
    _answers = {}
    _kind = "parted"

    @classmethod
    def _new(cls, dtype, **parts):
        from flashlight import empty

        self = Tensor._make_subclass(cls, empty(0, dtype=dtype))
        self.__dict__.update(parts)
        return self

    def _differentiated(self):
        """The part that the tape knows, and what makes a gradient of one of it."""
        raise NotImplementedError(f"gradients: not supported for {self._kind} tensors")

    def _become(self, other):
        """Take the parts of another: what writing in place is here."""
        self.__dict__.update(other.__dict__)
        return self

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = _name_of(func)
        answer = cls._answers.get(name)
        for kind in types:
            if answer is None and issubclass(kind, Parted):
                answer = kind._answers.get(name)
        if answer is not None:
            return answer(*args, **(kwargs or {}))
        if name.startswith("is_") and name.endswith(".__get__"):
            with DisableTorchFunctionSubclass():
                return func(*args)
        shown = name.removesuffix(".__get__").removesuffix(".__set__")
        raise NotImplementedError(f"{shown}: not supported for {cls._kind} tensors")


def _name_of(func):
    """ "add" of the function and of the method, "shape.__get__" of an attribute."""
    name = overrides.resolve_name(func)
    if name is None:
        return func.__name__
    parts = name.split(".")
    access = parts[-1] in ("__get__", "__set__", "__delete__")
    return ".".join(parts[-2:] if access else parts[-1:])


def is_parted(value):
    """Whether it is a sparse or quantized tensor."""
    return isinstance(value, Parted)


def answers_of(cls):
    """A decorator: the function answers for those names, for instances of ``cls``."""
    cls._answers = dict(cls._answers)

    def for_names(*names):
        def register(function):
            for name in names or (function.__name__.lstrip("_"),):
                cls._answers[name] = function
            return function

        return register

    return for_names


def common_answers(cls, part):
    """What every such class answers alike; ``part`` names the part with the values."""
    answer = answers_of(cls)

    def values(x):
        return x.__dict__[part]

    @answer("dtype.__get__")
    def dtype(x):
        return x._dtype_of_parts()

    @answer("device.__get__")
    def device(x):
        return values(x).device

    @answer("shape.__get__")
    def shape(x):
        return x._sizes()

    @answer("ndim.__get__")
    def ndim(x):
        return len(x._sizes())

    @answer("requires_grad.__get__")
    def requires_grad(x):
        return values(x).requires_grad

    @answer("is_leaf.__get__")
    def is_leaf(x):
        return values(x).is_leaf

    @answer("grad_fn.__get__")
    def grad_fn(x):
        return values(x).grad_fn

    @answer("dim", "ndimension")
    def dim(x):
        return len(x._sizes())

    @answer("size")
    def size(x, dim=None):
        return x._sizes() if dim is None else x._sizes()[dim]

    @answer("numel", "nelement")
    def numel(x):
        return x._sizes().numel()

    @answer("__len__")
    def length(x):
        if not x._sizes():
            raise TypeError("len() of a 0-d tensor")
        return x._sizes()[0]

    @answer("is_floating_point")
    def is_floating_point(x):
        return x._dtype_of_parts().is_floating_point

    @answer("is_complex")
    def is_complex(x):
        return x._dtype_of_parts().is_complex

    @answer("is_conj", "is_neg", "is_inference", "_is_view", "is_pinned")
    def no(x):
        return False

    @answer("get_device")
    def get_device(x):
        return values(x).get_device()

    @answer("cpu")
    def cpu(x, *, memory_format=_C.preserve_format):
        return x

    @answer("__format__")
    def format(x, spec):
        return object.__format__(x, spec)

    @answer("__repr__")
    def representation(x, *, tensor_contents=None):
        return x._text()

    @answer("__deepcopy__")
    def deepcopy(x, memo):
        import copy

        if id(x) not in memo:
            parts = copy.deepcopy(dict(x.__dict__), memo)
            memo[id(x)] = type(x)._new(x._engine_dtype(), **parts)
        return memo[id(x)]

    return answer
