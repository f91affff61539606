"""Serve flashlight under the name `torch` to programs that import it.

`python -m flashlight run program.py` sets FLASHLIGHT_AS_TORCH, which child
processes inherit; `flashlight_run.pth`, which Python reads at each start, then
calls `serve()`. This package must not import flashlight before the program
does: a program may set variables that are read when the engine loads.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import types

VARIABLE = "FLASHLIGHT_AS_TORCH"
TORCH_VERSION = "2.13.0+flashlight"

# Modules that PyTorch has under another name, or in its top module. Pickles name
# classes by PyTorch's names.
_TORCH_NAMES = {"tensor": "", "dtype": "", "device": ""}
# Where flashlight.nn has what PyTorch has in the modules of nn.modules.
_LAYERS = ("nn.layers", "nn.module", "nn.lazy")


def serve():
    """Answer `import torch` with flashlight from now on, in this process."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    if "torch" in sys.modules:
        raise RuntimeError("torch has been imported before flashlight could serve it")
    sys.meta_path.insert(0, _Finder())
    for name, module in list(sys.modules.items()):
        if _below(name, "flashlight"):
            _give_torch_names(module)


def _below(name, package):
    return name == package or name.startswith(package + ".")


def _join(package, rest):
    return package + "." + rest if rest else package


def torch_name(name):
    """The name under which PyTorch has what flashlight has as `name`."""
    rest = name.partition(".")[2]
    for ours, theirs in _TORCH_NAMES.items():
        if _below(rest, ours):
            rest = theirs + rest[len(ours) :]
            break
    return _join("torch", rest)


def flashlight_name(name):
    """The name under which flashlight would have PyTorch's module `name`."""
    rest = name.partition(".")[2]
    for ours, theirs in _TORCH_NAMES.items():
        if theirs and _below(rest, theirs):
            rest = ours + rest[len(theirs) :]
            break
    return _join("flashlight", rest)


def _exists(name):
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        # A parent is absent. An absent module that it wants is another matter.
        if error.name and _below(name, error.name):
            return False
        raise


def _give_torch_names(module):
    """Let the classes and functions of `module` say that they are torch's.

    Pickles refer to them by that name, and must load where torch is real.
    """
    if module.__name__ == "flashlight":
        # Libraries compare it; the class that does so is flashlight's affair.
        module.__version__ = type(module.__version__)(TORCH_VERSION)
        for name in [key for key in sys.modules if key.startswith("flashlight._C.")]:
            sys.modules.setdefault(torch_name(name), sys.modules[name])
    for value in list(vars(module).values()):
        _rename(value)
        if module.__name__.startswith("flashlight.nn.modules."):
            _rename_layer(value, torch_name(module.__name__))
    _alias(module)


def _alias(module):
    """Enter `module` under PyTorch's name, too: loaded there is loaded here."""
    name = torch_name(module.__name__)
    merged = name == "torch" and module.__name__ != "flashlight"
    if merged or name in sys.modules:
        return
    sys.modules[name] = module
    parent, _, leaf = name.rpartition(".")
    owner = sys.modules.get(flashlight_name(parent))
    if owner is not None and not hasattr(owner, leaf):
        setattr(owner, leaf, module)


def _rename(value):
    if not isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return
    name = getattr(value, "__module__", None)
    if not isinstance(name, str) or not _below(name, "flashlight"):
        return
    if isinstance(value, type):
        name = name.removesuffix("._C")  # as `torch.Tensor`, `torch.dtype`
    try:
        value.__module__ = torch_name(name)
    except (AttributeError, TypeError):
        return  # a static type or a function in C keeps the name that it has
    if isinstance(value, type):
        for inner in list(vars(value).values()):
            if isinstance(inner, type):
                _rename(inner)


def _rename_layer(value, name):
    """Let a layer that `nn.modules` only has on loan say where PyTorch has it."""
    if isinstance(value, type):
        rest = value.__module__.partition(".")[2]
        if any(_below(rest, place) for place in _LAYERS):
            value.__module__ = name


def _asked_by_import(frame):
    """Whether importlib calls a finder for an import, not for a question."""
    for _ in range(2):  # find_spec, and importlib's loop over the finders
        frame = frame.f_back
        if frame is None:
            return False
    return frame.f_code.co_name == "_find_and_load_unlocked"


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `torch` and its submodules in flashlight, and torch's metadata."""

    def find_spec(self, name, path=None, target=None):
        if _below(name, "torch"):
            return self._find_torch(name)
        if _below(name, "flashlight"):
            return self._find_really(name, path, target, _give_torch_names)
        if name == "safetensors.torch":
            return self._find_really(name, path, target, _adapt_safetensors)
        return None

    def _find_torch(self, name):
        source = flashlight_name(name)
        if _exists(source):
            return importlib.machinery.ModuleSpec(name, _Alias(source))
        # Whoever asks whether there is such a module is told no: feature tests
        # must be right. An import is told why.
        if _asked_by_import(sys._getframe(1)):
            raise ModuleNotFoundError(
                f"No module named {name!r} (flashlight does not have it yet)",
                name=name,
            )
        return None

    def _find_really(self, name, path, target, then):
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is None:
                continue
            if hasattr(spec.loader, "exec_module"):
                _run_after(spec.loader, then)
            return spec
        return None

    def find_distributions(self, context):
        everywhere = "path" not in vars(context)
        if everywhere and (context.name is None or context.name.lower() == "torch"):
            yield _Distribution()


def _run_after(loader, then):
    execute = loader.exec_module

    def exec_module(module):
        execute(module)
        then(module)

    loader.exec_module = exec_module


def _adapt_safetensors(module):
    """It reads memory at `data_ptr()`, which here only names a storage."""
    importlib.import_module("flashlight._safetensors").adapt(module)


class _Alias(importlib.abc.Loader):
    """Makes flashlight's own module, not a copy, the module of another name."""

    def __init__(self, source):
        self.source = source

    def create_module(self, spec):
        module = importlib.import_module(self.source)
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module):
        module.__spec__ = self.own_spec  # importlib has put the alias's there


class _Distribution(importlib.metadata.Distribution):
    """What `importlib.metadata` says of torch."""

    def read_text(self, filename):
        if filename == "METADATA":
            return f"Metadata-Version: 2.1\nName: torch\nVersion: {TORCH_VERSION}\n"
        if filename == "top_level.txt":
            return "torch\n"
        return None

    def locate_file(self, path):
        return os.path.join(os.path.dirname(os.path.dirname(__file__)), path)
