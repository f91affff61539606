"""Moving and casting of a module's parameters and buffers."""

import warnings

import flashlight
from flashlight import __future__
from flashlight.utils._python_dispatch import is_traceable_wrapper_subclass
from flashlight.utils._swapping import swap_tensors

from .parameter import Parameter


def _parse_to(*args, **kwargs):
    """Return (device, dtype, non_blocking, memory_format) of ``Module.to`` args."""
    device = kwargs.pop("device", None)
    dtype = kwargs.pop("dtype", None)
    tensor = kwargs.pop("tensor", kwargs.pop("other", None))
    non_blocking = kwargs.pop("non_blocking", False)
    memory_format = kwargs.pop("memory_format", None)
    kwargs.pop("copy", None)
    rest = list(args)
    if rest and isinstance(rest[0], flashlight.Tensor):
        tensor = rest.pop(0)
    elif rest and isinstance(rest[0], flashlight.dtype):
        dtype = rest.pop(0)
    elif rest:
        device = rest.pop(0)
        if rest and (rest[0] is None or isinstance(rest[0], flashlight.dtype)):
            dtype = rest.pop(0)
    if rest:
        non_blocking = rest.pop(0)
    if rest:
        rest.pop(0)  # copy
    bad_device = not (
        device is None or isinstance(device, (str, int, flashlight.device))
    )
    bad_dtype = not (dtype is None or isinstance(dtype, flashlight.dtype))
    if kwargs or rest or bad_device or bad_dtype or isinstance(device, bool):
        got = [type(a).__name__ for a in args]
        got += [f"{name}={type(value).__name__}" for name, value in kwargs.items()]
        raise TypeError(
            "to() received an invalid combination of arguments - got "
            f"({', '.join(got)}), but expected one of:\n"
            " * (torch.device device, torch.dtype dtype, bool non_blocking, "
            "bool copy, *, torch.memory_format memory_format)\n"
            " * (torch.dtype dtype, bool non_blocking, bool copy, *, "
            "torch.memory_format memory_format)\n"
            " * (Tensor tensor, bool non_blocking, bool copy, *, "
            "torch.memory_format memory_format)"
        )
    if tensor is not None:
        device, dtype = tensor.device, tensor.dtype
    if device is not None and not isinstance(device, flashlight.device):
        device = flashlight.device(device)
    return device, dtype, bool(non_blocking), memory_format


def _shallow_compatible(a, b) -> bool:
    """Tell whether ``a.data = b`` can take over ``b``'s storage."""
    return (a.device.type == "meta") == (b.device.type == "meta") and (
        a.layout == b.layout
    )


class MovingMixin:
    """The part of Module that moves and casts parameters and buffers."""

    def _apply(self, fn, recurse=True):
        """Replace every parameter, gradient and buffer by ``fn`` of it."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        overwrite = __future__.get_overwrite_module_params_on_conversion()
        swap_all = __future__.get_swap_module_params_on_conversion()

        def takes_data(a, b):
            return not overwrite and _shallow_compatible(a, b)

        for key, param in self._parameters.items():
            if param is None:
                continue
            with flashlight.no_grad():
                applied = fn(param)
            # Of a wrapper, .data would leave the parts as they were.
            swap = swap_all or is_traceable_wrapper_subclass(applied)
            in_place = takes_data(param, applied)
            grad = param.grad
            if swap:
                out_param = param
                try:
                    # param.grad is another reference to the gradient.
                    param.grad = None
                    applied = Parameter(applied, requires_grad=param.requires_grad)
                    swap_tensors(param, applied)
                except RuntimeError as e:
                    param.grad = grad
                    raise RuntimeError(
                        f"_apply(): Couldn't swap {self._get_name()}.{key}"
                    ) from e
            elif in_place:
                param.data = applied
                out_param = param
            else:
                out_param = Parameter(applied, param.requires_grad)
                self._parameters[key] = out_param
            if grad is None:
                continue
            with flashlight.no_grad():
                grad_applied = fn(grad)
            if swap:
                grad_applied.requires_grad_(grad.requires_grad)
                try:
                    swap_tensors(grad, grad_applied)
                except RuntimeError as e:
                    raise RuntimeError(
                        f"_apply(): Couldn't swap {self._get_name()}.{key}.grad"
                    ) from e
                out_param.grad = grad
            elif in_place and takes_data(grad, grad_applied):
                out_param.grad.data = grad_applied
            else:
                out_param.grad = grad_applied.requires_grad_(grad.requires_grad)
        for key, buf in self._buffers.items():
            if buf is not None:
                self._buffers[key] = fn(buf)
        return self

    def cuda(self, device=None):
        """Move parameters and buffers to a GPU under its CUDA name."""
        return self._apply(lambda t: t.cuda(device))

    def ipu(self, device=None):
        """Move parameters and buffers to an IPU."""
        return self._apply(lambda t: t.ipu(device))

    def xpu(self, device=None):
        """Move parameters and buffers to an XPU."""
        return self._apply(lambda t: t.xpu(device))

    def mtia(self, device=None):
        """Move parameters and buffers to an MTIA device."""
        return self._apply(lambda t: t.mtia(device))

    def cpu(self):
        """Move parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())

    def type(self, dst_type):
        """Cast all parameters and buffers to ``dst_type``."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self):
        """Cast floating point parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self):
        """Cast floating point parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self):
        """Cast floating point parameters and buffers to float16."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self):
        """Cast floating point parameters and buffers to bfloat16."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def to_empty(self, *, device, recurse: bool = True):
        """Move to ``device`` without copying the values, which are left undefined."""
        return self._apply(
            lambda t: flashlight.empty_like(t, device=device), recurse=recurse
        )

    def to(self, *args, **kwargs):
        """Move and/or cast the parameters and buffers, in place.

        Args:
            device: Device to move to.
            dtype: Floating point or complex dtype; integral tensors keep theirs.
            tensor: Tensor whose device and dtype are taken.
            memory_format: Memory format of 4D and 5D tensors (keyword only).
        """
        device, dtype, non_blocking, memory_format = _parse_to(*args, **kwargs)
        if dtype is not None:
            if not (dtype.is_floating_point or dtype.is_complex):
                raise TypeError(
                    "nn.Module.to only accepts floating point or complex dtypes, but "
                    f"got desired dtype={dtype}"
                )
            if dtype.is_complex:
                warnings.warn(
                    "Complex modules are a new feature under active development whose "
                    "design may change, and some modules might not work as expected "
                    "when using complex tensors as parameters or buffers. Please file "
                    "an issue at https://github.com/pytorch/pytorch/issues/new?"
                    "template=bug-report.yml if a complex module does not work as "
                    "expected.",
                    stacklevel=2,
                )

        def convert(t):
            target = dtype if t.is_floating_point() or t.is_complex() else None
            try:
                if memory_format is not None and t.dim() in (4, 5):
                    return t.to(
                        device, target, non_blocking, memory_format=memory_format
                    )
                return t.to(device, target, non_blocking)
            except NotImplementedError as e:
                if str(e) != "Cannot copy out of meta tensor; no data!":
                    raise
                raise NotImplementedError(
                    f"{e} Please use torch.nn.Module.to_empty() instead of "
                    "torch.nn.Module.to() when moving module from meta to a different "
                    "device."
                ) from None

        return self._apply(convert)

    def share_memory(self):
        """Move parameters and buffers to shared memory."""
        return self._apply(lambda t: t.share_memory_())
