"""Parameter and Buffer, and their forms whose shape is not known yet."""

from collections import OrderedDict

import flashlight
from flashlight.tensor import _disabled_torch_function_impl as _no_torch_function

__all__ = [
    "Parameter",
    "UninitializedParameter",
    "is_lazy",
    "Buffer",
    "UninitializedBuffer",
    "UninitializedTensorMixin",
]

_Tensor = flashlight.Tensor
_TensorMeta = type(_Tensor)


class _ParameterMeta(_TensorMeta):
    """Lets tensor subclasses marked with ``_is_param`` count as parameters."""

    def __instancecheck__(self, instance):
        if self is Parameter and getattr(instance, "_is_param", False):
            return isinstance(instance, _Tensor)
        return super().__instancecheck__(instance)


class Parameter(_Tensor, metaclass=_ParameterMeta):
    """A tensor that a Module registers as a parameter when it is assigned to it.

    Args:
        data: Tensor that holds the values; an empty one by default.
        requires_grad: Whether gradients are computed for it.

    Examples:
        >>> w = nn.Parameter(torch.ones(2))
        >>> w.requires_grad, w.is_leaf
        (True, True)
    """

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = flashlight.empty(0)
        if type(data) is _Tensor or type(data) is Parameter:
            return _Tensor._make_subclass(cls, data, requires_grad)
        # Another subclass of Tensor keeps its type and is marked instead.
        t = data.detach().requires_grad_(requires_grad)
        if type(t) is not type(data):
            raise RuntimeError(
                "Creating a Parameter from an instance of type "
                f"{type(data).__name__} requires that detach() returns an instance of "
                f"the same type, but return type {type(t).__name__} was found instead. "
                "To use the type as a Parameter, please correct the detach() semantics "
                "defined by its __torch_dispatch__() implementation."
            )
        t._is_param = True
        return t

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        result = type(self)(self.data.clone(), self.requires_grad)
        memo[id(self)] = result
        return result

    def __repr__(self):
        return "Parameter containing:\n" + super().__repr__()

    def __reduce_ex__(self, proto):
        dropped = ("_backward_hooks", "_post_accumulate_grad_hooks")
        state = {k: v for k, v in self.__dict__.items() if k not in dropped}
        hooks = OrderedDict()
        if not state:
            return (
                flashlight._utils._rebuild_parameter,
                (self.data, self.requires_grad, hooks),
            )
        return (
            flashlight._utils._rebuild_parameter_with_state,
            (self.data, self.requires_grad, hooks, state),
        )

    __torch_function__ = _no_torch_function


def is_lazy(param) -> bool:
    """Tell whether ``param`` waits for its shape."""
    return isinstance(param, UninitializedTensorMixin)


class UninitializedTensorMixin:
    """Behaviour of tensors that have a dtype and a device but no shape."""

    _allowed_names = frozenset(
        """__hash__ size copy_ is_complex is_floating_point half float double char
        short int long cuda cpu to get_device _has_compatible_shallow_copy_type
        bfloat16 bool is_meta dtype device requires_grad data grad grad_fn is_leaf
        requires_grad_ detach detach_ __get__ __set__ layout""".split()
    )

    def materialize(self, shape, device=None, dtype=None) -> None:
        """Give the tensor its shape, with undefined values, in place.

        Args:
            shape: Shape to take.
            device: Device; that of the tensor by default.
            dtype: Dtype; that of the tensor by default.
        """
        device = self.data.device if device is None else device
        dtype = self.data.dtype if dtype is None else dtype
        self.data = flashlight.empty(shape, device=device, dtype=dtype)
        self.__class__ = self.cls_to_become

    @property
    def shape(self):
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This "
            "error usually happens in `load_state_dict` when trying to load an "
            "uninitialized parameter into an initialized one. Call `forward` to "
            "initialize the "
            "parameters before accessing their attributes."
        )

    def share_memory_(self):
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call "
            "`forward` to initialize the parameters before calling "
            "`module.share_memory()`."
        )

    def __repr__(self):
        return f"<{self.__class__.__name__}>"

    def __reduce_ex__(self, proto):
        return self.__class__, (self.requires_grad,)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in cls._allowed_names or type(func).__name__ == "method-wrapper":
            return _no_torch_function(func, types, args, kwargs or {})
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {func}. This error "
            "happens when you are using a `LazyModule` or explicitly manipulating "
            f"`torch.nn.parameter.{cls.__name__}` objects. When using LazyModules Call "
            "`forward` with a dummy batch to initialize the parameters before calling "
            "torch functions"
        )


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter that gets its shape later, by :meth:`materialize`."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None) -> None:
        data = flashlight.empty(0, device=device, dtype=dtype)
        return _Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        result = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        memo[id(self)] = result
        return result


class _BufferMeta(_TensorMeta):
    """Lets tensors marked with ``_is_buffer`` count as buffers."""

    def __instancecheck__(self, instance):
        if self is Buffer and getattr(instance, "_is_buffer", False):
            return isinstance(instance, _Tensor)
        return super().__instancecheck__(instance)


class Buffer(_Tensor, metaclass=_BufferMeta):
    """A tensor that a Module registers as a buffer when it is assigned to it.

    Args:
        data: Tensor that holds the values; an empty one by default.
        persistent: Whether it is part of the module's state_dict.
    """

    def __new__(cls, data=None, *, persistent=True):
        if data is None:
            data = flashlight.empty(0)
        t = data.detach().requires_grad_(data.requires_grad)
        t.persistent = persistent
        t._is_buffer = True
        return t

    __torch_function__ = _no_torch_function


class UninitializedBuffer(UninitializedTensorMixin, _Tensor):
    """A buffer that gets its shape later, by :meth:`materialize`."""

    cls_to_become = _Tensor

    def __new__(
        cls, requires_grad=False, device=None, dtype=None, persistent=True
    ) -> None:
        data = flashlight.empty(0, device=device, dtype=dtype)
        ret = _Tensor._make_subclass(cls, data, requires_grad)
        ret.persistent = persistent
        ret._is_buffer = True
        return ret
