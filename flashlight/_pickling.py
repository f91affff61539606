"""Pickles of the engine's types, and pickles that name everything as PyTorch does.

``pickle`` finds things by module and name. Where flashlight is served as torch those
names are torch's; elsewhere ``torch`` may be absent, or be PyTorch, so that there the
engine's types are pickled by functions of flashlight. What ``save`` writes always has
PyTorch's names, and ``load`` reads them as flashlight's.
"""

import copyreg
import importlib
import pickle

from flashlight import _C, _utils
from flashlight._size import Size
from flashlight.tensor import Tensor, _TensorMeta
from flashlight_run import flashlight_name, torch_name


def _reduce_name(obj):
    """Of a dtype or the like: ``torch.float32``."""
    name = repr(obj).removeprefix("torch.")
    return name if _utils._is_served() else (_utils._named, (name,))


def _reduce_layout(layout):
    from flashlight.serialization import _get_layout

    return (_get_layout, (repr(layout),))


def _device_args(device):
    return (device.type,) if device.index is None else (device.type, device.index)


def _reduce_device(device):
    make = _C.device if _utils._is_served() else _utils._device
    return (make, _device_args(device))


def _reduce_tensor_class(cls):
    if cls is Tensor and not _utils._is_served():
        return (_utils._named, ("Tensor",))
    return cls.__qualname__


def _reduce_generator(generator):
    return (
        _rebuild_generator,
        (generator.device, generator.initial_seed(), generator.get_state()),
    )


def _reduce_op(op):
    """Of a native function or method: its name."""
    if isinstance(op, _C.OpMethod):
        return (getattr, (Tensor, op.__name__))
    if _utils._is_served():
        return op.__name__
    return (_utils._op_function, (op.__module__, op.__name__))


def _rebuild_generator(device, seed, state):
    generator = _C.Generator(device)
    generator.manual_seed(seed)
    generator.set_state(state)
    return generator


def register():
    copyreg.pickle(_C.dtype, _reduce_name)
    copyreg.pickle(_C.memory_format, _reduce_name)
    copyreg.pickle(_C.layout, _reduce_layout)
    copyreg.pickle(_C.device, _reduce_device)
    copyreg.pickle(_C.Generator, _reduce_generator)
    copyreg.pickle(_TensorMeta, _reduce_tensor_class)


# --- PyTorch's names in files ---

_modules = {}  # of a class: PyTorch's module of it


def _module_in_torch(obj, module):
    """The module in which PyTorch has what flashlight has as ``obj``."""
    if not _modules:
        package = importlib.import_module("flashlight.nn.modules")
        for name, part in vars(package).items():
            if getattr(part, "__name__", "") == f"flashlight.nn.modules.{name}":
                for value in vars(part).values():
                    if isinstance(value, type):
                        _modules.setdefault(value, f"torch.nn.modules.{name}")
    if isinstance(obj, type) and obj in _modules:
        return _modules[obj]
    if module == "flashlight" or module.startswith("flashlight."):
        return torch_name(module)
    return module


def name_in_torch(obj, name=None):
    """(module, name) that PyTorch has for what is flashlight's, or None."""
    module = getattr(obj, "__module__", None)
    if not isinstance(module, str) or module.split(".")[0] not in (
        "flashlight",
        "torch",
    ):
        return None
    if obj is _C.device or obj is _C.dtype:
        return ("torch", obj.__name__)
    name = name or getattr(obj, "__qualname__", None) or obj.__name__
    module = _module_in_torch(obj, module)
    try:
        return (module, name) if find(module, name) is obj else None
    except (ImportError, AttributeError):
        return None


def find(module, name):
    """What flashlight has as PyTorch's ``module.name``."""
    value = importlib.import_module(flashlight_name(module))
    for part in name.split("."):
        value = getattr(value, part)
    return value


def is_torchs(module):
    return module == "torch" or module.startswith("torch.")


class TorchPickler(pickle._Pickler):
    """Names what is flashlight's as PyTorch does; the C pickler cannot be told to."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_global(self, obj, name=None):
        found = name_in_torch(obj, name)
        if found is None or (self.proto < 4 and "." in found[1]):
            return super().save_global(obj, name)
        module, name = found
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    def save_type(self, obj):
        if obj in (type(None), type(NotImplemented), type(...)):
            return pickle._Pickler.save_type(self, obj)
        return self.save_global(obj)

    def save_named(self, obj):
        self.save_global(obj, repr(obj).removeprefix("torch."))

    def save_device(self, obj):
        self.save_reduce(_C.device, _device_args(obj), obj=obj)

    def save_size(self, obj):
        self.save_reduce(type(obj), (tuple(obj),), obj=obj)

    def save_tensor_class(self, obj):
        self.save_global(obj)

    dispatch[type] = save_type
    dispatch[type(register)] = save_global
    dispatch[_C.OpFunction] = save_global
    dispatch[_C.dtype] = save_named
    dispatch[_C.memory_format] = save_named
    dispatch[_C.device] = save_device
    dispatch[Size] = save_size
    dispatch[_TensorMeta] = save_tensor_class


def pickler_class(pickle_module):
    """A pickler that names things as PyTorch does, as ``pickle_module`` pickles."""
    base = pickle_module.Pickler
    if base is pickle.Pickler:
        return TorchPickler
    if issubclass(base, pickle._Pickler) or _utils._is_served():
        return base
    raise NotImplementedError(
        f"save(): pickle_module={pickle_module.__name__!r} works only where flashlight "
        "is served as torch (python -m flashlight run)"
    )


def unpickler_class(pickle_module):
    """The module's unpickler, that finds PyTorch's names in flashlight."""

    class Unpickler(pickle_module.Unpickler):
        def find_class(self, module, name):
            if not is_torchs(module):
                return super().find_class(module, name)
            if "Storage" in name:
                from flashlight._weights_only_unpickler import StorageType

                try:
                    return StorageType(name)
                except KeyError:
                    pass
            if module == "torch.tensor":
                module = "torch._tensor"
            try:
                return find(module, name)
            except ModuleNotFoundError as error:
                raise ModuleNotFoundError(
                    f"No module named {module!r} (flashlight does not have it yet)",
                    name=module,
                ) from error

    return Unpickler
