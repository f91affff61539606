"""Tensors print as PyTorch's do, to the letter."""

import itertools
import math

import numpy as np
import pytest

import flashlight
from flashlight._tensor_str import get_printoptions, printoptions

torch = pytest.importorskip("torch")

FLOATS = ["float32", "float64", "float16", "bfloat16"]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
COMPLEX = ["complex64", "complex128"]
SHAPES = [
    *[(), (0,), (1,), (3,), (13,), (0, 2), (2, 0, 3), (1, 1), (2, 7), (40, 2)],
    *[(1001,), (1200, 1), (7, 200), (40, 40), (2, 3, 4), (11, 11, 11), (2, 1, 7, 100)],
]
OPTIONS = [
    {},
    dict(precision=0),
    dict(precision=8, linewidth=120),
    dict(linewidth=20),
    dict(threshold=5),
    dict(threshold=5, edgeitems=1),
    dict(threshold=5, edgeitems=0),
    dict(sci_mode=True),
    dict(sci_mode=False),
    dict(profile="short"),
    dict(profile="full"),
    dict(profile="short", precision=6),
]


def both(values, dtype):
    """The same numbers as a tensor of flashlight and as one of PyTorch."""
    ours = flashlight.from_numpy(values).to(getattr(flashlight, dtype))
    theirs = torch.from_numpy(values).to(getattr(torch, dtype))
    return ours, theirs


def check(values, dtype, options=None):
    ours, theirs = both(np.ascontiguousarray(values), dtype)
    with torch._tensor_str.printoptions(**options or {}):
        expected = repr(theirs)
    with printoptions(**options or {}):
        assert repr(ours) == expected
        assert str(ours) == expected


def numbers(shape, dtype, scale, seed):
    random = np.random.default_rng(seed)
    if dtype == "bool":
        return random.integers(0, 2, shape, dtype=np.uint8)
    if dtype in INTEGERS:
        high = min(scale * 100, torch.iinfo(getattr(torch, dtype)).max)
        low = 0 if dtype.startswith("u") else -high
        return random.integers(low, high, shape, endpoint=True).astype(dtype)
    real = np.asarray(random.standard_normal(shape) * scale)
    if dtype in COMPLEX:
        imag = np.asarray(random.standard_normal(shape))
        return (real + 1j * imag).astype(dtype)
    return real


@pytest.mark.parity
@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, *COMPLEX, "bool"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_dtype_and_shape(dtype, shape):
    for seed, scale in enumerate((1, 100)):
        check(numbers(shape, dtype, scale, seed), dtype)


@pytest.mark.parity
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(options):
    for shape in SHAPES:
        for dtype in ("float32", "int64", "complex64"):
            check(numbers(shape, dtype, 3, len(shape)), dtype, options)


SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    1e-5,
    12345.0,
    1e9,
    1e30,
    math.nan,
    math.inf,
    -math.inf,
]


@pytest.mark.parity
def test_special_numbers_decide_on_style_and_width():
    for count in (1, 2, 3):
        for values in itertools.combinations(SPECIAL, count):
            check(np.array(values), "float32")
            check(np.array(values), "float64")


@pytest.mark.parity
def test_complex_special_numbers():
    parts = [0.0, -2.0, 1.25, 1e6, math.nan, math.inf, -math.inf]
    for real, imag in itertools.product(parts, parts):
        check(np.array([complex(real, imag), 1 + 1j], dtype=np.complex64), "complex64")


@pytest.mark.parity
def test_whole_numbers_beside_an_exponent():
    check(np.array([1.0, 1000.0]), "float32")
    check(np.array([1.0, 1001.0]), "float32")
    check(np.array([1.0, 1e8]), "float32", dict(sci_mode=False))
    check(np.array([1e8, 2e8]), "float32")


@pytest.mark.parity
@pytest.mark.parametrize("default", ["float32", "float64", "float16"])
def test_dtype_is_named_unless_it_is_the_default(default):
    before = flashlight.get_default_dtype()
    try:
        flashlight.set_default_dtype(getattr(flashlight, default))
        torch.set_default_dtype(getattr(torch, default))
        for dtype in [*FLOATS, "int64", "int32", "bool", *COMPLEX]:
            check(np.ones(2), dtype)
            check(np.ones((0, 3)), dtype)
    finally:
        flashlight.set_default_dtype(before)
        torch.set_default_dtype(torch.float32)


@pytest.mark.parity
def test_autograd_suffixes():
    def texts(library, make):
        leaf = make(np.linspace(0, 1, 7, dtype=np.float32)).requires_grad_()
        many = leaf * library.ones(3, 7)
        return [leaf, leaf * 2, leaf[1:3], many, many.sum(), leaf.detach()]

    ours = texts(flashlight, flashlight.from_numpy)
    theirs = texts(torch, torch.from_numpy)
    assert list(map(repr, ours)) == list(map(repr, theirs))


@pytest.mark.parity
def test_parameters_and_subclasses():
    def texts(library, make):
        class Special(library.Tensor):
            pass

        values = make(np.arange(12, dtype=np.float32))
        parameter = library.nn.Parameter(values)
        frozen = library.nn.Parameter(values, requires_grad=False)
        return [parameter, frozen, [parameter], values.as_subclass(Special)]

    ours = texts(flashlight, flashlight.from_numpy)
    theirs = texts(torch, torch.from_numpy)
    assert list(map(repr, ours)) == list(map(repr, theirs))


@pytest.mark.parity
def test_views_print_what_they_show():
    values = np.arange(2400.0, dtype=np.float32).reshape(40, 60)
    ours, theirs = both(values, "float32")
    for take in (
        lambda t: t.t(),
        lambda t: t[::3, 5],
        lambda t: t[:, 1:2].expand(40, 50),
        lambda t: t[3:3],
    ):
        assert repr(take(ours)) == repr(take(theirs))


def test_options_are_put_back():
    before = get_printoptions()
    with printoptions(precision=2, sci_mode=True):
        assert get_printoptions()["precision"] == 2
    assert get_printoptions() == before


def test_profile_then_arguments():
    with printoptions():
        flashlight.set_printoptions(profile="short", edgeitems=5)
        assert get_printoptions() == dict(
            precision=2, threshold=1000, edgeitems=5, linewidth=80, sci_mode=None
        )
