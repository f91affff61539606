"""``Tensor``: the face of the engine's tensor type.

Operators are methods that the op table puts on ``_C.TensorBase``; here is what PyTorch
defines in Python: attributes that are short for an op, hooks, printing, pickling and
the protocols that other libraries use.
"""

import collections
import copyreg
import functools
import types
import warnings

from flashlight import _C, _wrappers
from flashlight._conversions import Conversions

__all__ = ["Tensor"]


_NEW = """\
new() received an invalid combination of arguments - got ({}), but expected one of:
 * (*, torch.device device = None)
 * (torch.Storage storage)
 * (Tensor other)
 * (tuple of ints size, *, torch.device device = None)
 * (object data, *, torch.device device = None)
"""


def _legacy_new(cls, *args, **kwargs):
    """``Tensor(2, 3)``, ``Tensor([1, 2])``: the constructor of old."""
    import flashlight

    given = [type(x).__name__ for x in args]
    given += [f"{name}={type(x).__name__}" for name, x in kwargs.items()]
    device = kwargs.pop("device", None)
    data = kwargs.pop("data", None)
    if kwargs or (len(args) > 1 and not all(isinstance(x, int) for x in args)):
        raise TypeError(_NEW.format(", ".join(given)))
    if device is not None and flashlight.device(device).type != "cpu":
        raise RuntimeError(
            f"legacy constructor expects device type: cpu but device type: {device} "
            "was passed"
        )
    if data is not None:
        args = (data,)
    if len(args) == 1 and isinstance(args[0], _C.TensorBase):
        with DisableTorchFunctionSubclass():  # it is of the class that is called
            out = args[0].detach()
    elif len(args) == 1 and isinstance(args[0], flashlight.Size):
        out = flashlight.empty(args[0])
    elif len(args) == 1 and not isinstance(args[0], int):
        out = _of_data(args[0], flashlight.get_default_dtype())
    else:
        out = flashlight.empty(args or (0,))
    if cls is Tensor:
        return out
    return _C.TensorBase._make_subclass(cls, out)


def _of_data(data, dtype):
    """What constructors of old make of something that is no size."""
    if data is None or isinstance(data, (float, complex)):
        name = type(data).__name__
        raise TypeError(f"new(): data must be a sequence (got {name})")
    return _C._tensor(data, dtype)


def _warn(text):
    warnings.warn(text, stacklevel=3)


def _transposed(tensor, name, advice):
    if tensor.ndim == 1:
        raise RuntimeError(
            f"tensor.{name} is only supported on matrices or batches of matrices. Got "
            "1-D tensor."
        )
    if tensor.ndim == 0:
        _warn(f"Tensor.{name} is deprecated on 0-D tensors. {advice}")
        return tensor
    return tensor.transpose(-2, -1)


def _or_not_implemented(function, *args):
    """What an operator cannot take is for Python to word."""
    try:
        return function(*args)
    except TypeError:
        return NotImplemented


def _is_on(kind):
    return property(
        lambda self: self.device.type == kind, doc=f"Whether it lives on {kind}."
    )


def _never(what):
    return property(lambda self: False, doc=f"False: there are no {what} here.")


class _TensorMeta(type):
    """The class of tensors' classes: one that dispatches has no other overrides.

    That is, unless it defines ``__torch_function__`` beside ``__torch_dispatch__``.
    """

    def __init__(cls, name, bases, namespace, **kwargs):
        super().__init__(name, bases, namespace, **kwargs)
        if cls.__torch_dispatch__ is _disabled_torch_dispatch_impl:
            return
        function = getattr(cls.__torch_function__, "__func__", None)
        if function is Tensor.__torch_function__.__func__:
            cls.__torch_function__ = staticmethod(_disabled_torch_function_impl)


def _disabled_torch_dispatch_impl(func, types, args=(), kwargs=None):
    """The ``__torch_dispatch__`` of Tensor: runs the op, and asks nobody."""
    with _C._DisableTorchDispatch():
        return func(*args, **(kwargs or {}))


def _disabled_torch_function_impl(func, types, args=(), kwargs=None):
    """``__torch_function__`` for subclasses that want plain tensors back."""
    with DisableTorchFunctionSubclass():
        return func(*args, **(kwargs or {}))


class Tensor(Conversions, _C.TensorBase, metaclass=_TensorMeta):
    """A multi-dimensional array of one dtype, with a gradient if asked for."""

    __module__ = "torch"
    __array_priority__ = 1000

    _backward_hooks = None
    _post_accumulate_grad_hooks = None

    # --- attributes that are short for an op ---

    @property
    def T(self):
        """Dimensions reversed."""
        if self.ndim == 0:
            _warn(
                "Tensor.T is deprecated on 0-D tensors. This function is the "
                "identity in these cases."
            )
        elif self.ndim != 2:
            _warn(
                "The use of `x.T` on tensors of dimension other than 2 to reverse "
                "their shape is deprecated and it will throw an error in a future "
                "release. Consider `x.mT` to transpose batches of matrices or "
                "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the "
                "dimensions of a tensor."
            )
        return self.permute(tuple(range(self.ndim - 1, -1, -1)))

    @property
    def mT(self):
        """The last two dimensions swapped."""
        return _transposed(self, "mT", "This function is the identity in these cases.")

    @property
    def H(self):
        """The conjugate transpose of a matrix."""
        if self.ndim not in (0, 2):
            raise RuntimeError(
                "tensor.H is only supported on matrices (2-D tensors). Got "
                f"{self.ndim}-D tensor."
                + (
                    " For batches of matrices, consider using tensor.mH"
                    if self.ndim > 2
                    else ""
                )
            )
        return _transposed(self, "H", "Consider using x.conj().").conj()

    @property
    def mH(self):
        """The last two dimensions swapped, conjugated."""
        return _transposed(self, "mH", "Consider using x.conj().").conj()

    @property
    def real(self):
        """The real part: a view of a complex tensor, a real tensor itself."""
        return _C._VariableFunctions.real(self)

    @real.setter
    def real(self, value):
        self.real.copy_(_as_operand(value))

    @property
    def imag(self):
        """The imaginary part, as a view."""
        return _C._VariableFunctions.imag(self)

    @imag.setter
    def imag(self, value):
        self.imag.copy_(_as_operand(value))

    is_cuda = _is_on("cuda")
    is_mps = _is_on("mps")
    is_cpu = _is_on("cpu")
    is_meta = _is_on("meta")
    is_sparse = _never("sparse tensors")
    is_sparse_csr = _never("sparse tensors")
    is_quantized = _never("quantized tensors")
    is_mkldnn = _never("tensors in oneDNN's layouts")
    is_nested = _never("nested tensors")
    is_xla = _never("XLA tensors")
    is_xpu = _never("XPU tensors")
    is_vulkan = _never("Vulkan tensors")
    is_ipu = _never("IPU tensors")
    is_maia = _never("MAIA tensors")
    is_mtia = _never("MTIA tensors")
    names = property(
        lambda self: (None,) * self.ndim, doc="None for each dimension: unnamed."
    )
    name = property(lambda self: None, doc="None: tensors have no names.")

    def has_names(self):
        """False: dimensions have no names."""
        return False

    # --- sparse layouts ---

    def sparse_dim(self):
        """The number of sparse dimensions: 0."""
        return 0

    def dense_dim(self):
        """The number of dense dimensions: all."""
        return self.dim()

    def to_sparse(
        self, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None
    ):
        """The elements that are not zero, with their coordinates.

        Args:
            sparse_dim: How many of the dimensions are sparse; all if absent.
            layout: ``torch.sparse_coo`` or ``torch.sparse_csr``.
        """
        from flashlight._sparse_tensors import to_sparse

        return to_sparse(self, sparse_dim, layout=layout, blocksize=blocksize)

    def to_sparse_coo(self):
        """The elements that are not zero, with their coordinates."""
        return self.to_sparse()

    def to_sparse_csr(self, dense_dim=None):
        """The elements of a matrix that are not zero, by rows."""
        return self.to_sparse(layout=_C.sparse_csr)

    def to_dense(self, dtype=None, *, masked_grad=None):
        """The tensor itself: it is dense."""
        return self if dtype is None else self.to(dtype)

    def is_coalesced(self):
        """Of sparse tensors: whether coordinates are sorted and occur once."""
        return self._only_sparse("is_coalesced", "coordinate")

    def coalesce(self):
        """Of sparse tensors: coordinates sorted, once each."""
        return self._only_sparse("coalesce", "coordinate")

    def indices(self):
        """Of sparse tensors: the coordinates."""
        return self._only_sparse("indices", "coordinate")

    def _indices(self):
        return self._only_sparse("_indices", "coordinate")

    def values(self):
        """Of sparse tensors: the values."""
        return self._only_sparse("values", "")

    def _values(self):
        return self._only_sparse("_values", "coordinate")

    def _nnz(self):
        return self._only_sparse("_nnz", "")

    def crow_indices(self):
        """Of compressed rows: where each begins."""
        return self._only_sparse("crow_indices", "row compressed")

    def col_indices(self):
        """Of compressed rows: the column of each value."""
        return self._only_sparse("col_indices", "row compressed")

    def _only_sparse(self, name, kind):
        kind = f"{kind} " if kind else ""
        raise RuntimeError(
            f"{name} expected sparse {kind}tensor layout but got Strided"
        )

    # --- autograd ---

    def backward(
        self, gradient=None, retain_graph=None, create_graph=False, inputs=None
    ):
        """Compute the gradients of the graph's leaves with respect to this tensor."""
        from flashlight import autograd

        autograd.backward(
            self, gradient, retain_graph, create_graph=create_graph, inputs=inputs
        )

    def requires_grad_(self, requires_grad=True):
        """Set ``requires_grad`` and return the tensor."""
        floats = self.dtype.is_floating_point or self.dtype.is_complex
        if requires_grad and not floats and self.is_leaf:
            raise RuntimeError(
                "only Tensors of floating point dtype can require gradients"
            )
        if _C._top_level() is not None:
            raise RuntimeError(
                "You are attempting to call Tensor.requires_grad_() (or perhaps using "
                "torch.autograd.functional.* APIs) inside of a function being "
                "transformed by a functorch transform. This is unsupported, please "
                "attempt to use the functorch transforms (e.g. grad, vjp, jacrev, "
                "jacfwd, hessian) or call requires_grad_() outside of a function being "
                "transformed instead."
            )
        self.requires_grad = requires_grad
        return self

    def detach_(self):
        """Cut the tensor from its history, in place; inference tensors have none."""
        if _C.is_inference_mode_enabled() or self.is_inference():
            return self
        if self._is_view():
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using "
                "DistributedDataParallel (DDP) for training, and "
                "gradient_as_bucket_view is set as True, gradients are views of DDP "
                "buckets, and hence detach_() cannot be called on these gradients. To "
                "fix this error, please refer to the Optimizer.zero_grad() function in "
                "torch/optim/optimizer.py as the solution."
            )
        self._grad_fn = None
        self.requires_grad = False
        return self

    def register_hook(self, hook):
        """Call ``hook(grad)`` when the gradient of this tensor is computed."""
        if not self.requires_grad:
            raise RuntimeError(
                "cannot register a hook on a tensor that doesn't require gradient"
            )
        if self._backward_hooks is None:
            self._backward_hooks = collections.OrderedDict()
            _C._add_tensor_hooks(self, self._backward_hooks)
        from flashlight.utils.hooks import RemovableHandle

        handle = RemovableHandle(self._backward_hooks)
        self._backward_hooks[handle.id] = hook
        return handle

    def register_post_accumulate_grad_hook(self, hook):
        """Call ``hook(tensor)`` after a gradient was added to this leaf's ``grad``."""
        if not self.requires_grad:
            raise RuntimeError(
                "cannot register a hook on a tensor that doesn't require gradient"
            )
        if self.grad_fn is not None:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        if self._post_accumulate_grad_hooks is None:
            self._post_accumulate_grad_hooks = collections.OrderedDict()
            _C._set_post_accumulate_hooks(self, self._post_accumulate_grad_hooks)
        from flashlight.utils.hooks import RemovableHandle

        handle = RemovableHandle(self._post_accumulate_grad_hooks)
        self._post_accumulate_grad_hooks[handle.id] = hook
        return handle

    # --- conversion ---

    def numpy(self, *, force=False):
        """The values as a numpy array that shares the tensor's memory.

        What is written to one shows in the other. While the array lives the tensor is
        slower than others: see the page on views.

        Args:
            force: Copy where memory cannot be shared: of another device, with lazy
                conjugation or negation. Else that is an error, as is a tensor that
                requires gradients.

        Example:
            >>> import flashlight
            >>> x = flashlight.zeros(2)
            >>> x.numpy()[0] = 5
            >>> x
            tensor([5., 0.])
        """
        if force:
            self = self.detach().to("cpu").resolve_conj().resolve_neg()
        return _C._to_numpy(self)

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if copy:
            return array.astype(array.dtype if dtype is None else dtype)
        if dtype is None or array.dtype == dtype:
            return array
        if copy is False:
            raise ValueError(
                "Unable to avoid copy while creating an array as requested: the tensor "
                f"is of {self.dtype}"
            )
        return array.astype(dtype)

    def __array_wrap__(self, array, context=None, return_scalar=False):
        if array.dtype == bool:
            array = array.astype("uint8")  # as PyTorch does
        return _C._from_numpy(array)

    def __dlpack_device__(self):
        """(kDLCPU, 0): the values are handed out in host memory."""
        from flashlight.utils.dlpack import DLDeviceType

        return (DLDeviceType.kDLCPU, 0)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """A DLPack capsule of the tensor's memory."""
        if self.requires_grad:
            raise BufferError(
                "Can't export tensors that require gradient, use tensor.detach()"
            )
        if self.is_conj():
            raise BufferError("Can't export tensors with the conjugate bit set")
        if not isinstance(stream, (int, type(None))):
            raise TypeError("stream must be ``int`` or ``none``")
        if stream not in (None, -1):
            raise AssertionError("stream should be None on cpu.")
        own = self.to("cpu")
        if copy is False and own is not self:
            raise BufferError("__dlpack__(copy=False): the memory is not the host's")
        memory = _C._lend(own.clone() if copy else own.resolve_neg())
        return memory.__dlpack__(max_version=max_version)

    def untyped_storage(self):
        """The storage, as bytes, that this tensor is a window on."""
        from flashlight.storage import UntypedStorage

        return UntypedStorage._wrap(_C._storage_of(self))

    def storage(self):
        """The storage, as elements of this tensor's dtype."""
        from flashlight.storage import TypedStorage

        return TypedStorage(wrap_storage=self.untyped_storage(), dtype=self.dtype)

    _typed_storage = storage

    def share_memory_(self):
        """Move the storage to memory that other processes see, for good."""
        self.untyped_storage().share_memory_()
        return self

    def is_shared(self):
        """Whether the storage lies in memory that other processes see."""
        return self.untyped_storage().is_shared()

    def is_pinned(self, device=None):
        """False: no memory is pinned."""
        return False

    def type(self, dtype=None, non_blocking=False):
        """The type's name, or a copy of another dtype."""
        import flashlight

        if dtype is None:
            return flashlight.typename(self)
        if isinstance(dtype, str):
            dtype = flashlight.info.dtype_of_typename(dtype)
        elif dtype is Tensor:
            dtype = _C.get_default_dtype()
        elif isinstance(dtype, type):
            kind, dtype = dtype, flashlight.info.dtype_of_type(dtype)
            if dtype is None:
                raise ValueError(f"invalid type: '{kind.__name__}'")
        if not isinstance(dtype, _C.dtype):
            raise TypeError("dtype must be a type, str, or dtype object")
        return self.to(dtype)

    def get_device(self):
        """The index of the device; -1 for the CPU."""
        return -1 if self.device.index is None else self.device.index

    def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False):
        """A tensor of these values with this tensor's dtype and device."""
        return _C._tensor(
            data, dtype or self.dtype, device or self.device, requires_grad
        )

    def new(self, *args, device=None):
        """An uninitialised or converted tensor of this dtype, as of old."""
        import flashlight

        if len(args) == 1 and not isinstance(args[0], (int, flashlight.Size)):
            return _of_data(args[0], self.dtype)
        return self.new_empty(
            args[0] if args and not isinstance(args[0], int) else args or (0,)
        )

    # --- protocols ---

    def __repr__(self, *, tensor_contents=None):
        from flashlight import _tensor_str

        return _tensor_str._str(self, tensor_contents=tensor_contents)

    def __format__(self, spec):
        if self.dim() == 0 and type(self) is Tensor:
            return self.item().__format__(spec)
        return object.__format__(self, spec)

    def __iter__(self):
        if self.dim() == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def module_load(self, other, assign=False):
        """What takes the place of this tensor of a module when ``other`` is loaded.

        ``load_state_dict`` asks for it where modules swap their tensors, see
        ``torch.__future__``.

        Args:
            other: the tensor that is loaded.
            assign: as of ``load_state_dict``.
        """
        from flashlight import overrides

        if overrides.has_torch_function((self, other)):
            api = Tensor.module_load
            both = (self, other)
            handle = overrides.handle_torch_function
            return handle(api, both, self, other, assign=assign)
        return other.detach() if assign else self.copy_(other).detach()

    def __reversed__(self):
        return self if self.dim() == 0 else self.flip(0)

    def __contains__(self, element):
        if isinstance(element, (Tensor, int, float, complex, bool)):
            return bool((self == element).any().item())
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )

    def __rsub__(self, other):
        return _or_not_implemented(_C._VariableFunctions.rsub, self, other)

    def __rdiv__(self, other):
        return self.reciprocal() * other

    __rtruediv__ = __rdiv__

    def __div__(self, other):
        return self / other

    def __nonzero__(self):
        return bool(self)

    def __long__(self):
        return int(self)

    @property
    def __cuda_array_interface__(self):
        raise AttributeError(
            "Can't get __cuda_array_interface__ on non-CUDA tensor type: "
            f"{self.type()} If CUDA data is required use tensor.cuda() to copy tensor "
            "to device memory."
        )

    def __rpow__(self, other):
        return _or_not_implemented(_C._VariableFunctions.pow, other, self)

    def __rmod__(self, other):
        return _or_not_implemented(_C._VariableFunctions.remainder, other, self)

    def __rlshift__(self, other):
        shift = _C._VariableFunctions.bitwise_left_shift
        return _or_not_implemented(shift, other, self)

    def __rrshift__(self, other):
        shift = _C._VariableFunctions.bitwise_right_shift
        return _or_not_implemented(shift, other, self)

    def norm(self, p="fro", dim=None, keepdim=False, dtype=None):
        """See :func:`torch.norm`."""
        from flashlight.functional import norm

        return norm(self, p, dim, keepdim, dtype=dtype)

    def stft(
        self,
        n_fft,
        hop_length=None,
        win_length=None,
        window=None,
        center=True,
        pad_mode="reflect",
        normalized=False,
        onesided=None,
        return_complex=None,
        align_to_window=None,
    ):
        """See :func:`torch.stft`."""
        from flashlight.functional import stft

        return stft(
            self,
            n_fft,
            hop_length,
            win_length,
            window,
            center,
            pad_mode,
            normalized,
            onesided,
            return_complex,
            align_to_window,
        )

    def lu(self, pivot=True, get_infos=False):
        """See :func:`torch.lu`."""
        from flashlight.functional import lu

        return lu(self, pivot, get_infos)

    def nonzero(self, *, as_tuple=False):
        """See :func:`torch.nonzero`."""
        from flashlight.functional import nonzero

        return nonzero(self, as_tuple=as_tuple)

    def unique(self, sorted=True, return_inverse=False, return_counts=False, dim=None):
        """See :func:`torch.unique`."""
        from flashlight.functional import unique

        return unique(self, sorted, return_inverse, return_counts, dim)

    def unique_consecutive(self, return_inverse=False, return_counts=False, dim=None):
        """See :func:`torch.unique_consecutive`."""
        from flashlight.functional import unique_consecutive

        return unique_consecutive(self, return_inverse, return_counts, dim)

    def __dir__(self):
        names = set(dir(type(self))) | set(self.__dict__)
        return sorted(names - {"__cuda_array_interface__"})  # of no tensor here

    # --- copying and pickling ---

    _make_wrapper_subclass = staticmethod(_wrappers.make)

    def _has_no_data(self):
        return _C._is_dispatching(self) and self.data_ptr() == 0

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support "
                "the deepcopy protocol at the moment.  If you were attempting to "
                "deepcopy a module, this may be because of a "
                "torch.nn.utils.weight_norm usage, see "
                "https://github.com/pytorch/pytorch/pull/103001"
            )
        if id(self) in memo:
            return memo[id(self)]
        import copy

        import flashlight

        if self._has_no_data():
            return _wrappers.deepcopy(self, memo)
        with flashlight.no_grad():
            storage = self.untyped_storage()._deepcopy(memo)
            out = flashlight._utils._with_bits(
                flashlight._utils._tensor_of(
                    storage,
                    self.dtype,
                    self.storage_offset(),
                    self.size(),
                    self.stride(),
                ),
                self.requires_grad,
                self._math_bits(),
            )
            if self.grad is not None:
                out.grad = copy.deepcopy(self.grad, memo)
            if type(self) is not Tensor:
                out = out.as_subclass(type(self))
                out.requires_grad = self.requires_grad
            for key, value in self.__dict__.items():
                if key not in ("_backward_hooks", "_post_accumulate_grad_hooks"):
                    out.__dict__[key] = copy.deepcopy(value, memo)
        memo[id(self)] = out
        return out

    def _math_bits(self):
        """What a storage does not say: lazy conjugation and negation."""
        bits = {"conj": self.is_conj(), "neg": self.is_neg()}
        return {name: True for name, bit in bits.items() if bit}

    def __reduce_ex__(self, protocol):
        from flashlight import _utils
        from flashlight._tensor import _rebuild_from_type_v2
        from flashlight.storage import STORAGE_NAMES
        from flashlight.utils.hooks import warn_if_has_hooks

        state = {
            k: v
            for k, v in self.__dict__.items()
            if k not in ("_backward_hooks", "_post_accumulate_grad_hooks")
        }
        warn_if_has_hooks(self)
        if self._has_no_data():
            return _wrappers.reduce(self, state)
        typed = self.dtype in STORAGE_NAMES
        rebuild = _utils._rebuild_tensor_v2 if typed else _utils._rebuild_tensor_v3
        args = (
            self.storage() if typed else self.untyped_storage(),
            self.storage_offset(),
            tuple(self.size()),
            self.stride(),
            self.requires_grad,
            collections.OrderedDict(),
        )
        if not typed:
            args += (self.dtype,)
        if self._math_bits():
            args += (self._math_bits(),)
        if type(self) is Tensor and not state:
            return (rebuild, args)
        return (_rebuild_from_type_v2, (rebuild, type(self), args, state))

    def __setstate__(self, state):
        self.__dict__.update(state)

    __torch_dispatch__ = staticmethod(_disabled_torch_dispatch_impl)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """The default for subclasses: run the op, results are of the subclass."""
        kwargs = kwargs or {}
        if not all(issubclass(cls, t) for t in types):
            return NotImplemented
        with DisableTorchFunctionSubclass():
            out = func(*args, **kwargs)
        if func in _plain_functions():
            return out
        return _convert(out, cls)


class DisableTorchFunctionSubclass:
    """A ``with`` block without ``__torch_function__`` of subclasses."""

    def __enter__(self):
        self._before = _C._torch_function_enabled()
        _C._set_torch_function_enabled(False, self._before[1])

    def __exit__(self, *exc):
        _C._set_torch_function_enabled(*self._before)


class DisableTorchFunction(DisableTorchFunctionSubclass):
    """... and without modes."""

    def __enter__(self):
        self._before = _C._torch_function_enabled()
        _C._set_torch_function_enabled(False, False)


def _plain_functions():
    from flashlight.overrides import get_default_nowrap_functions

    return get_default_nowrap_functions()


def _convert(out, cls):
    if cls is Tensor:
        return out
    if isinstance(out, Tensor) and not isinstance(out, cls):
        return out.as_subclass(cls)
    if isinstance(out, (tuple, list)):
        return type(out)(_convert(x, cls) for x in out)
    return out


# --- Python methods go through __torch_function__, too ---

_is_overridden = _C._is_overridden
# What Python itself asks, and what runs the protocol.
_NOT_OVERRIDABLE = {
    *("__dir__", "__init__", "__iter__", "__new__", "__torch_function__"),
    *("_has_no_data", "module_load"),
    *("_check_host_loop", "_host_loop", "_math_bits", "_only_sparse"),
}


def _overridable(function):
    from flashlight import overrides

    @functools.wraps(function)
    def method(self, *args, **kwargs):
        if _is_overridden(self):
            handle = overrides.handle_torch_function
            return handle(method, (self,), self, *args, **kwargs)
        return function(self, *args, **kwargs)

    method._not_overridden = function
    return method


def _overridable_access(name, access, function):
    from flashlight import overrides

    if function is None:
        return None

    @functools.wraps(function)
    def accessor(self, *args):
        if _is_overridden(self):
            api = getattr(getattr(Tensor, name), access)
            return overrides.handle_torch_function(api, (self,), self, *args)
        return function(self, *args)

    accessor._not_overridden = function
    return accessor


def _make_overridable(cls):
    for name, value in list(vars(cls).items()):
        if name in _NOT_OVERRIDABLE:
            continue
        if isinstance(value, types.FunctionType):
            setattr(cls, name, _overridable(value))
        elif isinstance(value, property):
            get = _overridable_access(name, "__get__", value.fget)
            put = _overridable_access(name, "__set__", value.fset)
            setattr(cls, name, property(get, put, doc=value.__doc__))


def _as_operand(value):
    return value if isinstance(value, Tensor) else _C._tensor(value)


_make_overridable(Conversions)
_make_overridable(Tensor)
_C._set_tensor_type(Tensor)
_C._set_torch_function_handlers(
    Tensor.__torch_function__, _disabled_torch_function_impl
)
_C._disabled_torch_function_impl = _disabled_torch_function_impl


_C._disabled_torch_dispatch_impl = _disabled_torch_dispatch_impl
_C.DisableTorchFunctionSubclass = DisableTorchFunctionSubclass
_C.DisableTorchFunction = DisableTorchFunction
copyreg.pickle(
    type(_C.TensorBase.size), lambda m: (getattr, (m.__objclass__, m.__name__))
)
