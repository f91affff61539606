"""``save`` and ``load``: PyTorch's files, read and written."""

import contextlib
import enum
import io
import mmap as _mmap
import os
import pickle
import re
import shutil
import struct
import sys
import tarfile
import tempfile
import warnings

from flashlight import _C, _weights_only_unpickler, _zip_files
from flashlight.storage import TypedStorage, UntypedStorage

__all__ = [
    "LoadEndianness",
    "SourceChangeWarning",
    "StorageType",
    "add_safe_globals",
    "clear_safe_globals",
    "default_restore_location",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "location_tag",
    "mkdtemp",
    "register_package",
    "safe_globals",
    "save",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
]

DEFAULT_PROTOCOL = 2
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

UNSAFE_MESSAGE = (
    "In PyTorch 2.6, we changed the default value of the `weights_only` argument in "
    "`torch.load` from `False` to `True`. Re-running `torch.load` with `weights_only` "
    "set to `False` will likely succeed, but it can result in arbitrary code "
    "execution. Do it only if you got the file from a trusted source."
)
_DOCS_MESSAGE = (
    "\n\nCheck the documentation of torch.load to learn more about types accepted by "
    "default with weights_only "
    "https://pytorch.org/docs/stable/generated/torch.load.html."
)

StorageType = _weights_only_unpickler.StorageType


class SourceChangeWarning(Warning):
    """The source of a pickled class is not what it was when it was saved."""


@contextlib.contextmanager
def mkdtemp():
    path = tempfile.mkdtemp()
    try:
        yield path
    finally:
        shutil.rmtree(path)


# --- options ---


class LoadEndianness(enum.Enum):
    NATIVE = 1
    LITTLE = 2
    BIG = 3


_options = {"endianness": None, "crc32": True, "mmap": _mmap.MAP_PRIVATE}


def get_default_load_endianness():
    """The byte order of files that do not say theirs; None means little."""
    return _options["endianness"]


def set_default_load_endianness(endianness):
    """Set the byte order of files that do not say theirs."""
    if not isinstance(endianness, LoadEndianness) and endianness is not None:
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _options["endianness"] = endianness


def get_crc32_options():
    """Whether ``save`` writes checksums: it always does."""
    return _options["crc32"]


def set_crc32_options(compute_crc32):
    """Ask for files without checksums; zip files have them here in any case."""
    _options["crc32"] = compute_crc32


def get_default_mmap_options():
    return _options["mmap"]


class set_default_mmap_options:
    """Flags for ``load(mmap=True)``; a context manager, too."""

    def __init__(self, flags):
        if flags not in (_mmap.MAP_PRIVATE, _mmap.MAP_SHARED):
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, expected "
                f"mmap.MAP_PRIVATE or mmap.MAP_SHARED, but got {flags}"
            )
        if flags == _mmap.MAP_SHARED:
            raise NotImplementedError(
                "set_default_mmap_options(MAP_SHARED): tensors do not write to files"
            )
        self.prev = _options["mmap"]
        _options["mmap"] = flags

    def __enter__(self):
        pass

    def __exit__(self, *exc):
        _options["mmap"] = self.prev


# --- what files of weights may name ---


def add_safe_globals(safe_globals):
    """Let ``load(weights_only=True)`` use these classes and functions."""
    _weights_only_unpickler.add(safe_globals)


def get_safe_globals():
    """What was added to the safe ones."""
    return _weights_only_unpickler.get()


def clear_safe_globals():
    """Forget what was added to the safe ones."""
    _weights_only_unpickler.clear()


class safe_globals:
    """Within this context these classes and functions are safe."""

    def __init__(self, safe_globals):
        self.safe_globals = safe_globals

    def __enter__(self):
        add_safe_globals(self.safe_globals)

    def __exit__(self, *exc):
        _weights_only_unpickler.remove(self.safe_globals)


def get_unsafe_globals_in_checkpoint(f):
    """The names in a file that ``weights_only`` would not allow; runs nothing of it."""
    with _opened(f) as file:
        if not _zip_files.is_zip(file):
            raise ValueError("Expected input to be a checkpoint returned by torch.save")
        reader = _zip_files.Reader(file)
        if reader.has("constants.pkl"):
            raise ValueError(
                "Expected input to be a checkpoint returned by torch.save but got a "
                "torchscript checkpoint"
            )
        found = _weights_only_unpickler.globals_in(io.BytesIO(reader.read("data.pkl")))
    return list(
        found
        - set(_weights_only_unpickler.allowed_globals())
        - set(_weights_only_unpickler.user_globals())
    )


# --- places ---

_packages = []


def register_package(priority, tagger, deserializer):
    """Add a way to name where a storage is, and to bring it there again."""
    _packages.append((priority, tagger, deserializer))
    _packages.sort(key=lambda package: package[0])


def _tag(storage):
    device = storage.device
    return str(device) if device.type != "mps" else "mps"


def _restore(storage, location):
    kind = location.partition(":")[0]
    if kind == "cpu":
        return storage
    if kind == "cuda" and not _is_available("cuda"):
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but "
            "torch.cuda.is_available() is False. If you are running on a CPU-only "
            "machine, please use torch.load with map_location=torch.device('cpu') to "
            "map your storages to the CPU."
        )
    if kind == "mps" and not _is_available("mps"):
        raise RuntimeError("torch.UntypedStorage(): Storage device not recognized: mps")
    if kind == "meta":
        raise NotImplementedError("load(): the meta device is not supported")
    if kind in ("cuda", "mps"):
        return storage._bytes().to(location).untyped_storage()
    return None


def _is_available(kind):
    import flashlight

    return getattr(flashlight, kind).is_available()


register_package(10, _tag, _restore)


def location_tag(storage):
    """The name of the place where a storage is: "cpu", "mps", "cuda:0"."""
    for _, tagger, _ in _packages:
        location = tagger(storage)
        if location:
            return location
    raise RuntimeError(
        f"don't know how to determine data location of {_typename(storage)}"
    )


def default_restore_location(storage, location):
    """The storage, brought to the place of that name."""
    for _, _, deserializer in _packages:
        result = deserializer(storage, location)
        if result is not None:
            return result
    raise RuntimeError(
        f"don't know how to restore data location of {_typename(storage)} (tagged with "
        f"{location})"
    )


def _typename(storage):
    return f"torch.storage.{type(storage).__name__}"


def _restorer(map_location):
    """``map_location``, in each of its forms, as a function."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, location: default_restore_location(
            storage, map_location.get(location, location)
        )
    if isinstance(map_location, (str, bytes, _C.device)):
        place = _as_text(map_location)
        place = place if isinstance(place, str) else str(place)
        return lambda storage, location: default_restore_location(storage, place)

    def restore(storage, location):
        result = map_location(storage, location)
        if result is None:
            return default_restore_location(storage, location)
        if isinstance(result, TypedStorage):
            result = result.untyped()
        if not isinstance(result, UntypedStorage):
            raise TypeError(
                "Argument 'wrap_storage' must be UntypedStorage, but got "
                f"{type(result)}"
            )
        return result

    return restore


def _as_text(value):
    return value.decode("ascii") if isinstance(value, bytes) else value


def _get_layout(name):
    """The layout of that name."""
    for layout in (_C.strided, _C.sparse_coo, _C.jagged):
        if repr(layout) == name:
            return layout
    raise KeyError(name)


# --- files ---


def _is_path(f):
    return isinstance(f, (str, os.PathLike))


@contextlib.contextmanager
def _opened(f):
    if _is_path(f):
        with open(f, "rb") as file:
            yield file
        return
    try:
        f.seek(f.tell())
    except (io.UnsupportedOperation, AttributeError) as error:
        if not any(word in str(error) for word in ("seek", "tell")):
            raise
        raise type(error)(
            f"{error}. You can only torch.load from a file that is seekable. Please "
            "pre-load the data into a buffer like io.BytesIO and try to load from it "
            "instead."
        ) from None
    yield f


class _Saved:
    """The storages that a pickle refers to, by key."""

    def __init__(self):
        self.storages = {}  # key: (storage, dtype)
        self.keys = {}
        self.dtypes = {}

    def key(self, obj):
        """(storage class, key, location, elements) of what is a storage."""
        if isinstance(obj, TypedStorage):
            storage, dtype = obj.untyped(), obj.dtype
            kind = getattr(sys.modules["flashlight"], obj.pickle_storage_type())
            count = obj.size()
        else:
            storage, dtype, kind, count = obj, _C.uint8, UntypedStorage, obj.nbytes()
        address = storage.data_ptr()
        if address and self.dtypes.setdefault(address, dtype) != dtype:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as "
                "different types"
            )
        key = self.keys.setdefault(address or id(obj), str(len(self.keys)))
        # Held, so that no other comes to lie at its address.
        self.storages.setdefault(key, (storage, dtype, obj))
        return kind, key, location_tag(storage), count

    def pickle(self, obj, pickle_module, protocol, identify):
        """The pickle of ``obj``, storages replaced by what ``identify`` says."""
        from flashlight._pickling import pickler_class

        class Pickler(pickler_class(pickle_module)):
            def persistent_id(self, obj):
                is_storage = isinstance(obj, (TypedStorage, UntypedStorage))
                return identify(obj) if is_storage else None

        buffer = io.BytesIO()
        Pickler(buffer, protocol=protocol).dump(obj)
        return buffer.getvalue()


def save(
    obj,
    f,
    pickle_module=pickle,
    pickle_protocol=DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization=True,
    _disable_byteorder_record=False,
):
    """Write ``obj`` to a file that ``load`` and PyTorch's ``torch.load`` read.

    Args:
        obj: What to save: tensors, modules, state dicts, containers of them.
        f: A path, or a file-like object with ``write``.
        pickle_module: Module that pickles what is not a tensor.
        pickle_protocol: Version of the pickle format.
    """
    if not _is_path(f) and not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' "
            "attribute"
        )
    write = _write_zip if _use_new_zipfile_serialization else _write_legacy
    # What cannot be pickled leaves a file of that name as it is.
    parts = write(obj, pickle_module, pickle_protocol, not _disable_byteorder_record)
    if not _is_path(f):
        parts(f)
        if hasattr(f, "flush"):
            f.flush()
        return
    path = os.fspath(f)
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        raise RuntimeError(f"Parent directory {parent} does not exist.")
    try:
        file = open(path, "wb")
    except OSError as error:
        raise RuntimeError(
            f"open file failed with strerror: {error.strerror}: {path!r}"
        ) from error
    with file:
        parts(file)


def _write_zip(obj, pickle_module, protocol, byte_order):
    saved = _Saved()
    data = saved.pickle(
        obj, pickle_module, protocol, lambda storage: ("storage", *saved.key(storage))
    )

    def write(file):
        writer = _zip_files.Writer(file)
        writer.write("data.pkl", data)
        writer.write(".format_version", b"1")
        writer.write(".storage_alignment", str(_zip_files.ALIGNMENT).encode())
        if byte_order:
            writer.write("byteorder", sys.byteorder.encode())
        for key, (storage, _, _) in saved.storages.items():
            writer.write(f"data/{key}", _C._to_bytes(storage._bytes()))
        writer.close()

    return write


def _write_legacy(obj, pickle_module, protocol, byte_order):
    saved = _Saved()
    data = saved.pickle(
        obj,
        pickle_module,
        protocol,
        lambda storage: ("storage", *saved.key(storage), None),
    )
    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": sys.byteorder == "little",
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }

    def write(file):
        for head in (MAGIC_NUMBER, PROTOCOL_VERSION, system):
            pickle_module.dump(head, file, protocol=protocol)
        file.write(data)
        keys = sorted(saved.storages)
        pickle_module.dump(keys, file, protocol=protocol)
        for key in keys:
            storage, dtype, _ = saved.storages[key]
            file.write(struct.pack("<q", storage.nbytes() // dtype.itemsize))
            file.write(_C._to_bytes(storage._bytes()))

    return write


# --- load ---


def load(
    f,
    map_location=None,
    pickle_module=None,
    *,
    weights_only=None,
    mmap=None,
    **pickle_load_args,
):
    """Read what ``save``, or PyTorch's ``torch.save``, wrote.

    Args:
        f: A path, or a seekable file-like object.
        map_location: Where storages go: a device, a dict of places, or a function of
            a storage and its place.
        pickle_module: Module that unpickles; excludes ``weights_only``.
        weights_only: Whether a file may hold only weights and containers; the default.
            Nothing of such a file is executed.
        mmap: Read the file through a memory map; the bytes are still copied.
        pickle_load_args: Passed to the unpickler, as ``encoding``.
    """
    weights_only = _decide_weights_only(weights_only, pickle_module)
    if weights_only and pickle_module is not None:
        raise RuntimeError(
            "Can not safely load weights when explicit pickle_module is specified"
        )
    if weights_only and pickle_load_args:
        warnings.warn(
            "pickle_load_args only works if `weights_only=False`.", stacklevel=2
        )
    pickle_load_args.setdefault("encoding", "utf-8")
    if _is_path(f) and os.fspath(f).endswith(".safetensors"):
        return _load_safetensors(os.fspath(f), map_location)
    unpickler = _unpickler(weights_only, pickle_module)
    try:
        with _opened(f) as file:
            if not _zip_files.is_zip(file):
                if mmap:
                    name = f"{f}, " if isinstance(f, str) else ""
                    raise RuntimeError(
                        "mmap can only be used with files saved with "
                        f"`torch.save({name}_use_new_zipfile_serialization=True), "
                        "please torch.save your checkpoint with this option in order "
                        "to use mmap."
                    )
                return _Legacy(file, map_location, unpickler, pickle_load_args).load()
            if mmap and not _is_path(f):
                raise ValueError(
                    "f must be a file path in order to use the mmap argument"
                )
            if mmap:
                with _mmap.mmap(file.fileno(), 0, access=_mmap.ACCESS_READ) as mapped:
                    return _load_zip(mapped, map_location, unpickler, pickle_load_args)
            return _load_zip(file, map_location, unpickler, pickle_load_args)
    except pickle.UnpicklingError as error:
        if weights_only:
            raise pickle.UnpicklingError(_explain(str(error))) from None
        raise


def _decide_weights_only(weights_only, pickle_module):
    def is_set(name):
        return os.getenv(name, "0").lower() in ("1", "y", "yes", "true")

    force = is_set("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    force_no = is_set("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    if force and force_no:
        raise RuntimeError(
            "Only one of `TORCH_FORCE_WEIGHTS_ONLY_LOAD` or "
            "`TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD` should be set, but both were set."
        )
    if force:
        return True
    if weights_only is None and force_no:
        warnings.warn(
            "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected, since the"
            "`weights_only` argument was not explicitly passed to `torch.load`, "
            "forcing weights_only=False.",
            UserWarning,
            stacklevel=3,
        )
        return False
    return pickle_module is None if weights_only is None else weights_only


def _unpickler(weights_only, pickle_module):
    from flashlight._pickling import unpickler_class

    if weights_only:
        return _weights_only_unpickler.Unpickler
    return unpickler_class(pickle_module or pickle)


def _explain(message):
    """What PyTorch says around the weights-only unpickler's error."""
    if re.search(r"GLOBAL (\S+) was not an allowed global by default.", message):
        text = (
            "Weights only load failed. This file can still be loaded, to do so you "
            "have two options, \033[1mdo those steps only if you trust the source of "
            f"the checkpoint\033[0m. \n\t(1) {UNSAFE_MESSAGE}\n\t(2) Alternatively, to "
            "load with `weights_only=True` please check the recommended steps in the "
            f"following error message.\n\tWeightsUnpickler error: {message}"
        )
        return text + _DOCS_MESSAGE
    text = f"Weights only load failed. {UNSAFE_MESSAGE}\n"
    if not re.search(r"whose module (\S+) is blocked", message):
        text += (
            "Please file an issue with the following so that we can make "
            "`weights_only=True` compatible with your use case: WeightsUnpickler "
            "error: "
        )
    return f"{text}\n\n{message}" + _DOCS_MESSAGE


def _load_safetensors(path, map_location):
    if isinstance(map_location, dict):
        kind = "dict"
    elif callable(map_location):
        kind = "callable"
    else:
        kind = None
    if kind:
        raise RuntimeError(
            f"Loading safetensors file with {kind} map_location is not supported. Use "
            "a device string or torch.device instead."
        )
    from flashlight._safetensors import load_file

    tensors = load_file(path)
    if map_location is not None:
        tensors = {name: t.to(map_location) for name, t in tensors.items()}
    return tensors


def _storage_of(data, dtype, order):
    """A storage of these bytes, in the machine's byte order."""
    if order != sys.byteorder and dtype.itemsize > 1:
        import numpy

        width = dtype.to_real().itemsize
        data = numpy.frombuffer(data, f"V{width}").view(f"u{width}").byteswap()
        data = data.tobytes()
    return _C._from_bytes(bytes(data), _C.uint8).untyped_storage()


def _byte_order(reader):
    if reader.has("byteorder"):
        order = reader.read("byteorder")
        if order not in (b"little", b"big"):
            raise ValueError(
                "Unknown endianness type: " + order.decode(errors="replace")
            )
        return order.decode()
    chosen = get_default_load_endianness()
    if chosen is LoadEndianness.NATIVE:
        return sys.byteorder
    return "big" if chosen is LoadEndianness.BIG else "little"


def _count(value):
    if type(value) is not int or value < 0:
        raise RuntimeError(f"Invalid number of elements in a storage: {value!r}")
    return value


def _dtype_of(storage_type):
    if storage_type is UntypedStorage:
        return _C.uint8
    if not hasattr(storage_type, "dtype"):
        raise pickle.UnpicklingError(f"not a storage type: {storage_type!r}")
    return storage_type.dtype


def _load_zip(file, map_location, unpickler, pickle_load_args):
    reader = _zip_files.Reader(file)
    if reader.has("constants.pkl"):
        raise RuntimeError("load(): TorchScript archives are not supported")
    restore = _restorer(map_location)
    order = _byte_order(reader)
    loaded = {}

    def persistent_load(saved):
        if not isinstance(saved, tuple):
            raise AssertionError(
                f"saved_id must be a tuple, got {type(saved).__name__}"
            )
        name = _as_text(saved[0])
        if name != "storage":
            raise AssertionError(
                "Unknown typename for persistent_load, expected 'storage' but got "
                f"'{name}'"
            )
        kind, key, location, count = saved[1:]
        dtype = _dtype_of(kind)
        if key not in loaded:
            data = reader.read_bytes(f"data/{key}", _count(count) * dtype.itemsize)
            storage = restore(_storage_of(data, dtype, order), _as_text(location))
            loaded[key] = TypedStorage(wrap_storage=storage, dtype=dtype)
        typed = loaded[key]
        return typed.untyped() if kind is UntypedStorage else typed

    reading = unpickler(io.BytesIO(reader.read("data.pkl")), **pickle_load_args)
    reading.persistent_load = persistent_load
    return reading.load()


class _Legacy:
    """Files of old: pickles one after the other, then storages; or a tar."""

    def __init__(self, file, map_location, unpickler, pickle_load_args):
        self.file = file
        self.restore = _restorer(map_location)
        self.unpickler = unpickler
        self.args = pickle_load_args
        self.weights_only = unpickler is _weights_only_unpickler.Unpickler
        self.objects = {}

    def next(self, file=None, persistent_load=None):
        reading = self.unpickler(file or self.file, **self.args)
        if persistent_load is not None:
            reading.persistent_load = persistent_load
        return reading.load()

    def load(self):
        start = self.file.tell()
        try:
            with tarfile.open(fileobj=self.file, mode="r:") as tar:
                return self.load_tar(tar)
        except tarfile.TarError:
            self.file.seek(start)
        if self.next() != MAGIC_NUMBER:
            raise RuntimeError("Invalid magic number; corrupt file?")
        version = self.next()
        if version != PROTOCOL_VERSION:
            raise RuntimeError(f"Invalid protocol version: {version}")
        system = self.next()
        self.order = "little" if system.get("little_endian", True) else "big"
        result = self.next(persistent_load=self.persistent_load)
        # The bytes come last: until then storages are of the right size, and empty.
        for key in self.next():
            if key not in self.objects:
                raise AssertionError(
                    f"storage key {key!r} not found in deserialized_objects"
                )
            typed = self.objects[key]
            typed.untyped().copy_(self.read_storage(self.file, typed.dtype))
        return result

    def persistent_load(self, saved):
        if not isinstance(saved, tuple):
            raise AssertionError(
                f"saved_id must be a tuple, got {type(saved).__name__}"
            )
        name, data = _as_text(saved[0]), saved[1:]
        if name == "module":
            return data[0]
        if name != "storage":
            raise RuntimeError(f"Unknown saved id type: {saved[0]}")
        kind, key, location, count, view = data
        dtype = _dtype_of(kind)
        if key not in self.objects:
            count = _count(count) * dtype.itemsize
            self.check_left(count)
            storage = self.restore(UntypedStorage(count), _as_text(location))
            self.objects[key] = TypedStorage(wrap_storage=storage, dtype=dtype)
        typed = self.objects[key]
        if view is not None:
            raise NotImplementedError(
                "load(): storages that are parts of other storages are not supported"
            )
        return typed.untyped() if kind is UntypedStorage else typed

    def check_left(self, count):
        """No file makes a storage larger than what follows in it."""
        here = self.file.tell()
        left = self.file.seek(0, os.SEEK_END) - here
        self.file.seek(here)
        if count > left:
            raise RuntimeError(
                f"unexpected EOF, expected {count - left} more bytes. The file might "
                "be corrupted."
            )

    def read_storage(self, file, dtype):
        head = self.read_exactly(file, 8)
        count = _count(struct.unpack("<q", head)[0]) * dtype.itemsize
        data = self.read_exactly(file, count)
        return _storage_of(data, dtype, getattr(self, "order", "little"))

    def read_exactly(self, file, count):
        data = file.read(count)
        if len(data) < count:
            raise RuntimeError(
                f"unexpected EOF, expected {count - len(data)} more bytes. The file "
                "might be corrupted."
            )
        return data

    # --- tar files ---

    def load_tar(self, tar):
        if self.weights_only:
            raise RuntimeError(
                "Cannot use ``weights_only=True`` with files saved in the legacy .tar "
                "format. " + UNSAFE_MESSAGE
            )
        with self.member(tar, "storages") as file:
            for _ in range(self.next(file)):
                key, location, kind = self.next(file)
                dtype = _dtype_of(kind)
                storage = self.restore(self.read_storage(file, dtype), location)
                self.objects[key] = TypedStorage(wrap_storage=storage, dtype=dtype)
            if self.next(file):
                raise NotImplementedError(
                    "load(): storages that are parts of other storages are not "
                    "supported"
                )
        with self.member(tar, "tensors") as file:
            for _ in range(self.next(file)):
                key, storage, _ = self.next(file)
                self.objects[key] = self.read_tensor(file, self.objects[storage])
        with self.member(tar, "pickle") as file:
            return self.next(file, lambda saved: self.tar_object(saved))

    def member(self, tar, name):
        try:
            return io.BytesIO(tar.extractfile(name).read())
        except KeyError as error:
            raise RuntimeError(f"the tar file has no {name!r}") from error

    def read_tensor(self, file, storage):
        from flashlight import _utils

        (dims,) = struct.unpack("<i4x", self.read_exactly(file, 8))
        sizes = struct.unpack(f"<{dims}q", self.read_exactly(file, 8 * dims))
        strides = struct.unpack(f"<{dims}q", self.read_exactly(file, 8 * dims))
        (offset,) = struct.unpack("<q", self.read_exactly(file, 8))
        return _utils._rebuild_tensor(storage, offset, sizes, strides)

    def tar_object(self, saved):
        return saved[0] if isinstance(saved, tuple) else self.objects[int(saved)]
