"""Short names of dtypes, as logs of operators have them."""

import flashlight

__all__ = ["dtype_abbrs"]

_NAMES = {
    "bfloat16": "bf16",
    "bool": "b8",
    "complex128": "c128",
    "complex32": "c32",
    "complex64": "c64",
    "float16": "f16",
    "float32": "f32",
    "float64": "f64",
    "float8_e4m3fn": "f8e4m3fn",
    "float8_e4m3fnuz": "f8e4m3fnuz",
    "float8_e5m2": "f8e5m2",
    "float8_e5m2fnuz": "f8e5m2fnuz",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "int8": "i8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "uint8": "u8",
}

dtype_abbrs = {getattr(flashlight, name): short for name, short in _NAMES.items()}
