"""Settings of the process, as in torch."""

import pytest
import torch

import flashlight


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    for t in (flashlight, torch):
        t.use_deterministic_algorithms(False)
        t.set_float32_matmul_precision("highest")
        t.set_default_dtype(t.float32)


def outcome(function, t):
    try:
        return function(t)
    except (RuntimeError, TypeError, ValueError) as e:
        return type(e), str(e)


def types_of_old(t):
    x = t.ones(2)
    kinds = [t.DoubleTensor, t.LongTensor, t.Tensor, t.int8, "torch.HalfTensor"]
    t.set_default_tensor_type(t.DoubleTensor)
    kinds += [t.Tensor, t.ones(1).dtype]
    same = x.type(t.FloatTensor) is x
    weight = t.nn.Linear(2, 2).type(t.HalfTensor).weight
    t.set_default_tensor_type("torch.FloatTensor")
    dtypes = [str(x.type(kind).dtype) for kind in kinds]
    return *dtypes, same, str(weight.dtype), str(t.ones(1).dtype)


CALLS = [
    types_of_old,
    lambda t: t.ones(2).type(int),
    lambda t: t.ones(2).type(5),
    lambda t: t.ones(2).type("torch.NoTensor"),
    lambda t: t.set_default_tensor_type(t.IntTensor),
    lambda t: t.set_default_tensor_type(t.Tensor),
    lambda t: t.set_default_tensor_type(5),
    lambda t: t.get_float32_matmul_precision(),
    lambda t: (
        t.set_float32_matmul_precision("high"),
        t.get_float32_matmul_precision(),
    ),
    lambda t: t.set_float32_matmul_precision(3),
    lambda t: (
        t.use_deterministic_algorithms(True, warn_only=True),
        t.are_deterministic_algorithms_enabled(),
        t.is_deterministic_algorithms_warn_only_enabled(),
        t.get_deterministic_debug_mode(),
    ),
    lambda t: t.use_deterministic_algorithms(2),
    lambda t: (
        t.set_deterministic_debug_mode("error"),
        t.get_deterministic_debug_mode(),
    ),
    lambda t: t.set_deterministic_debug_mode("x"),
    lambda t: t.set_deterministic_debug_mode(3),
    lambda t: t.set_deterministic_debug_mode(1.5),
    lambda t: str(t.get_default_device()),
    lambda t: t.get_device_module("cpu") is t.cpu,
    lambda t: t.get_device_module(t.device("cuda", 0)) is t.cuda,
    lambda t: t.get_device_module() is t.cpu,
    lambda t: t.get_device_module(3),
    lambda t: (t.sym_int(2.7), t.sym_int(-2.7), t.sym_float(2), t.sym_not(True)),
    lambda t: (
        t.sym_max(2, 3.5),
        t.sym_max(4, 3.5),
        t.sym_min(2, 3.5),
        t.sym_min(1, 2),
    ),
    lambda t: (t.sym_sqrt(4), t.sym_sum([1, 2, 3]), t.sym_ite(True, 1, 2)),
]


@pytest.mark.parametrize("call", CALLS)
def test_as_in_torch(call):
    ours, theirs = outcome(call, flashlight), outcome(call, torch)
    assert ours == theirs
    if isinstance(ours, tuple):
        assert [type(x) for x in ours] == [type(x) for x in theirs]


def test_a_precision_that_is_none_is_told():
    with pytest.warns(UserWarning, match="is not one of"):
        flashlight.set_float32_matmul_precision("most")
    assert flashlight.get_float32_matmul_precision() == "highest"
