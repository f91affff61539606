"""Reads .safetensors files: a JSON table, then the bytes of the tensors."""

import json
import os

from flashlight import _C, _utils

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}


def load_file(path):
    """The tensors of a file, by name."""
    with open(path, "rb") as file:
        return _read(file.read(), path)


def _read(data, path="the data"):
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise RuntimeError(f"{path!r} is not a safetensors file: its header is cut off")
    try:
        table = json.loads(data[8 : 8 + length])
    except ValueError as error:
        raise RuntimeError(f"{path!r} is not a safetensors file: {error}") from None
    table.pop("__metadata__", None)
    return {name: _tensor(data, 8 + length, entry) for name, entry in table.items()}


def _tensor(data, start, entry):
    if entry["dtype"] not in _DTYPES:
        raise RuntimeError(f"safetensors: dtype {entry['dtype']} is not supported")
    dtype = getattr(_C, _DTYPES[entry["dtype"]])
    begin, end = entry["data_offsets"]
    if not 0 <= begin <= end <= len(data) - start:
        raise RuntimeError("safetensors: a tensor lies outside of the file")
    storage = _C._from_bytes(data[start + begin : start + end], _C.uint8)
    strides, step = [], 1
    for n in reversed(entry["shape"]):
        strides.insert(0, step)
        step *= n
    storage = storage.untyped_storage()
    return _utils._tensor_of(storage, dtype, 0, entry["shape"], strides)


def adapt(module):
    """Let ``safetensors.torch`` take bytes from tensors, not from addresses."""
    import numpy

    def to_ndarray(tensor):
        return numpy.frombuffer(_C._to_bytes(tensor.detach()), numpy.uint8), tensor

    def load_file_to(filename, device="cpu", *, backend="mmap"):
        tensors = load_file(os.fspath(filename))
        if str(device) != "cpu":
            tensors = {name: t.to(device) for name, t in tensors.items()}
        return tensors

    module._to_ndarray = to_ndarray
    module.load_file = load_file_to
    module.load = _read
