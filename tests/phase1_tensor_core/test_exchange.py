"""numpy, DLPack and buffers: values, dtypes and errors as torch has them."""

import array

import numpy as np
import pytest
import torch

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


def ones(t, *shape, **options):
    return t.ones(*(shape or (3,)), **options)


def array_of_ones():
    return np.ones(3, np.float32)


def ten(t):
    return t.tensor([1.0, 2.0, 3.0])


class Exporting:
    """Another library's array."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack__(self, **options):
        return self.tensor.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()


# What both libraries must answer alike: values, kinds of results, errors.
CASES = {
    "from_numpy": lambda t: t.from_numpy(array_of_ones()),
    "from_numpy list": lambda t: t.from_numpy([1]),
    "from_numpy negative": lambda t: t.from_numpy(array_of_ones()[::-1]),
    "from_numpy text": lambda t: t.from_numpy(np.array(["a"])),
    "from_numpy no dims": lambda t: t.from_numpy(np.array(1.5)),
    "from_numpy turned": lambda t: t.from_numpy(np.ones((2, 3)).T),
    "from_numpy byte order": lambda t: t.from_numpy(np.ones(2, ">f4")),
    "asarray": lambda t: np.asarray(ten(t)),
    "asarray dtype": lambda t: np.asarray(ten(t), dtype=np.int32),
    "array copy": lambda t: np.array(ten(t), copy=True),
    "empty": lambda t: np.asarray(t.zeros(0, 3)),
    "tensor + array": lambda t: ten(t) + array_of_ones(),
    "number * tensor": lambda t: np.float32(2) * ten(t),
    "tensor * number": lambda t: ten(t) * np.float64(2),
    "sin": lambda t: np.sin(ten(t)),
    "add": lambda t: np.add(ten(t), array_of_ones()),
    "greater": lambda t: np.greater(ten(t), 2),
    "stack": lambda t: np.stack([ten(t), ten(t)]),
    "requires grad": lambda t: ones(t, requires_grad=True).numpy(),
    "force": lambda t: ones(t, requires_grad=True).numpy(force=True),
    "force conj": lambda t: t.tensor([1j]).conj().numpy(force=True),
    "bfloat16": lambda t: ones(t, dtype=t.bfloat16).numpy(),
    "conj": lambda t: t.tensor([1j]).conj().numpy(),
    "as_tensor": lambda t: t.as_tensor(array_of_ones()),
    "as_tensor dtype": lambda t: t.as_tensor(array_of_ones(), dtype=t.float64),
    "tensor": lambda t: t.tensor(array_of_ones()),
    "tensor of arrays": lambda t: t.tensor([array_of_ones(), array_of_ones()]),
    "tensor float64": lambda t: t.tensor(np.float64(2)),
    "tensor int32": lambda t: t.tensor(np.int32(2)),
    "tensor of numbers": lambda t: t.tensor([np.int32(2), np.float64(1)]),
    "tensor bool": lambda t: t.tensor(np.bool_(True)),
    "array[tensor]": lambda t: array_of_ones()[t.tensor([0, 1])],
    "frombuffer": lambda t: t.frombuffer(bytearray(range(8)), dtype=t.int32),
    "frombuffer array": lambda t: t.frombuffer(
        array.array("d", [1.0, 2.0]), dtype=t.float64
    ),
    "frombuffer part": lambda t: t.frombuffer(
        bytearray(range(12)), dtype=t.int32, offset=4, count=1
    ),
    "frombuffer empty": lambda t: t.frombuffer(bytearray(0), dtype=t.int32),
    "frombuffer none": lambda t: t.frombuffer(bytearray(4), dtype=t.int32, count=0),
    "frombuffer beyond": lambda t: t.frombuffer(bytearray(4), dtype=t.int32, offset=4),
    "frombuffer before": lambda t: t.frombuffer(bytearray(4), dtype=t.int32, offset=-1),
    "frombuffer much": lambda t: t.frombuffer(bytearray(4), dtype=t.int32, count=2),
    "frombuffer odd": lambda t: t.frombuffer(bytearray(5), dtype=t.int32),
    "frombuffer list": lambda t: t.frombuffer([1], dtype=t.int32),
    "asarray list": lambda t: t.asarray([1, 2]),
    "asarray array": lambda t: t.asarray(array_of_ones()),
    "asarray bytes": lambda t: t.asarray(bytearray(4)),
    "asarray number": lambda t: t.asarray(np.float32(3)),
    "asarray no copy": lambda t: t.asarray([1, 2], copy=False),
    "dlpack to numpy": lambda t: np.from_dlpack(ten(t)),
    "dlpack from numpy": lambda t: t.from_dlpack(array_of_ones()),
    "dlpack own": lambda t: t.from_dlpack(ten(t)),
    "dlpack capsule": lambda t: t.utils.dlpack.from_dlpack(
        t.utils.dlpack.to_dlpack(ten(t))
    ),
    "dlpack device": lambda t: tuple(map(int, ten(t).__dlpack_device__())),
    "dlpack requires grad": lambda t: ones(t, requires_grad=True).__dlpack__(),
    "dlpack conj": lambda t: t.tensor([1j]).conj().__dlpack__(),
    "dlpack stream": lambda t: ten(t).__dlpack__(stream=1),
    "dlpack of a number": lambda t: t.from_dlpack(3),
    "dlpack stream of another kind": lambda t: ten(t).__dlpack__(stream="1"),
    "dlpack sparse": lambda t: ten(t).to_sparse().__dlpack__(),
    "numpy sparse": lambda t: ten(t).to_sparse().numpy(),
    "numpy rows": lambda t: t.eye(2).to_sparse_csr().numpy(),
    "tensor of what exports": lambda t: t.tensor(Exporting(ten(t))),
    "as_tensor of what exports": lambda t: t.as_tensor(Exporting(ten(t))),
    "asarray of what exports": lambda t: t.asarray(Exporting(ten(t))),
    "storage of a numpy number": lambda t: len(t.FloatStorage(np.int32(3))),
}


def outcome(run, t):
    try:
        out = run(t)
    except Exception as error:
        return type(error), str(error)
    if isinstance(out, t.Tensor):
        return "tensor", str(out.dtype), tuple(out.shape), out.stride(), out.tolist()
    if isinstance(out, np.ndarray):
        return "array", str(out.dtype), out.tolist()
    return out


@pytest.mark.parametrize("case", CASES)
def test_as_torch(case):
    assert outcome(CASES[case], flashlight) == outcome(CASES[case], torch)


def test_dlpack_between_the_two():
    for dtype in ("float32", "float64", "float16", "int64", "uint8", "bool"):
        ours = ten(flashlight).to(getattr(flashlight, dtype))
        theirs = ten(torch).to(getattr(torch, dtype))
        assert torch.from_dlpack(ours).tolist() == theirs.tolist()
        assert torch.from_dlpack(ours).dtype is theirs.dtype
        assert flashlight.from_dlpack(theirs).tolist() == ours.tolist()
        assert flashlight.from_dlpack(theirs).dtype is ours.dtype
