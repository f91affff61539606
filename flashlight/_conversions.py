"""Methods of tensors that PyTorch writes by hand: conversions, facts, host loops."""

from flashlight import _C

_DTYPES = {
    "bool": _C.bool,
    "byte": _C.uint8,
    "char": _C.int8,
    "short": _C.int16,
    "int": _C.int32,
    "long": _C.int64,
    "half": _C.float16,
    "bfloat16": _C.bfloat16,
    "float": _C.float32,
    "double": _C.float64,
    "cfloat": _C.complex64,
    "cdouble": _C.complex128,
    "chalf": _C.complex32,
}


class Conversions:
    """What ``Tensor`` has beside the rows of the operator table."""

    __slots__ = ()

    def cpu(self, *, memory_format=_C.preserve_format):
        """The tensor in host memory; itself if it is there."""
        return self.to(device="cpu", memory_format=memory_format)

    def cuda(
        self, device=None, non_blocking=False, *, memory_format=_C.preserve_format
    ):
        """The tensor on a CUDA device; itself if it is there."""
        if device is None:
            device = "cuda"
        elif isinstance(device, int):
            device = f"cuda:{device}"
        return self.to(
            device=device, non_blocking=non_blocking, memory_format=memory_format
        )

    def pin_memory(self, device=None):
        """Raises: memory is unified, or there is no accelerator to pin it for."""
        raise RuntimeError("Cannot access accelerator device when none is available.")

    def set_(self, source=None, storage_offset=None, size=None, stride=None):
        """Become a window on the storage of ``source``, a tensor or a storage.

        Args:
            source: A tensor, a storage, or None for an empty one.
            storage_offset: Where the window begins, in elements.
            size: The sizes of the window; all of the storage if absent.
            stride: Its strides, in elements; contiguous if absent.
        """
        from flashlight.storage import TypedStorage, UntypedStorage

        native = _C.TensorBase.set_
        if isinstance(source, TypedStorage):
            if source.dtype is not self.dtype:
                raise RuntimeError(
                    f"Expected a Storage of type {self.dtype} or an UntypedStorage, "
                    f"but got type {source.dtype} for argument 1 'storage'"
                )
            source = source._untyped_storage
        if isinstance(source, UntypedStorage):
            source = source._storage._as_tensor(self.dtype)
            if storage_offset is None and size is None:
                storage_offset, size, stride = 0, source.shape, (1,)
        if source is None:
            return native(self)
        if storage_offset is None and size is None:
            return native(self, source)
        return native(self, source, storage_offset, size, stride or ())

    def is_nonzero(self):
        """Whether the one element is not zero."""
        return bool(self)

    def is_signed(self):
        """Whether the dtype has negative values."""
        return self.dtype.is_signed

    def is_same_size(self, other):
        """Whether both have the same sizes."""
        return self.size() == other.size()

    def dim_order(self, *, ambiguity_check=False):
        """The dimensions in the order in which they lie in memory, outermost first."""
        if ambiguity_check not in (False, True) and not isinstance(
            ambiguity_check, list
        ):
            raise TypeError(
                "The ambiguity_check argument must be a bool or a list of memory "
                "formats."
            )
        if ambiguity_check:
            raise NotImplementedError("dim_order(): ambiguity_check is not supported")
        sizes, strides = self.size(), self.stride()
        order = []
        for d in range(self.dim()):
            at = len(order)
            # Goes before those that it steps over; ties stay in order.
            for k, e in enumerate(order):
                if (strides[d], sizes[d]) > (strides[e], sizes[e]) and (
                    strides[d] > strides[e] > 0
                ):
                    at = k
                    break
            order.insert(at, d)
        return tuple(order)

    def storage_type(self):
        """The type of the storage."""
        return type(self.storage())

    def _check_host_loop(self, name):
        if self.requires_grad:
            raise RuntimeError(
                f"Can't call {name}() on Variable that requires grad. Use "
                f"var.detach().{name}() instead."
            )

    def _host_loop(self, name, callable, *others):
        self._check_host_loop(name)
        columns = [t.expand_as(self).reshape(-1).tolist() for t in (self, *others)]
        values = [callable(*row) for row in zip(*columns)]
        new = _C._tensor(values, self.dtype, self.device).reshape(self.size())
        return self.copy_(new)

    def apply_(self, callable):
        """Replace each element by ``callable(element)``, one by one in Python."""
        return self._host_loop("apply_", callable)

    def map_(self, tensor, callable):
        """Replace each element by ``callable(element, element of tensor)``."""
        return self._host_loop("map_", callable, tensor)

    def map2_(self, x, y, callable):
        """Replace each element by ``callable(element, element of x, of y)``."""
        return self._host_loop("map2_", callable, x, y)


def _to_dtype(name, dtype):
    def convert(self, *, memory_format=_C.preserve_format):
        return self.to(dtype, memory_format=memory_format)

    convert.__name__ = name
    convert.__qualname__ = f"Tensor.{name}"
    convert.__doc__ = f"The tensor as {dtype}; itself if it is that already."
    return convert


for _name, _dtype in _DTYPES.items():
    setattr(Conversions, _name, _to_dtype(_name, _dtype))
