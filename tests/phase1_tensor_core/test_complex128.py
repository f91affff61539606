"""complex128: pairs of float64 in a storage that views of the parts share."""

import io
import pickle

import numpy as np
import pytest
import torch

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


def numbers(t, *shape):
    n = int(np.prod(shape))
    parts = t.arange(2 * n, dtype=t.float64) - n + 0.25
    return t.view_as_complex(parts.reshape(*shape, 2).clone())


def as_list(x):
    return x.tolist() if hasattr(x, "tolist") else x


def both(run):
    """run(flashlight) and run(torch), which must be equal, or equal errors."""
    found = []
    for t in (flashlight, torch):
        try:
            out = run(t)
            out = out if isinstance(out, tuple) else (out,)
            found.append([(str(getattr(x, "dtype", type(x))), as_list(x)) for x in out])
        except Exception as e:
            found.append((type(e).__name__, str(e)))
    ours, theirs = found
    assert repr(ours) == repr(theirs)
    return ours


def written(write):
    """z after `write(z, t)`, and what aliases of it show."""

    def run(t):
        z = numbers(t, 3, 4)
        real, imag, pairs, row = z.real, z.imag, t.view_as_real(z), z[1]
        flat, doubles = z.view(-1), z.view(t.float64)
        write(z, t)
        return z, real, imag, pairs, row, flat, doubles

    return run


WRITES = {
    "part": lambda z, t: z.imag.zero_(),
    "part of a row": lambda z, t: z[1].real.mul_(3),
    "pair": lambda z, t: t.view_as_real(z)[0, 0].copy_(t.tensor([7.0, 8.0])),
    "element": lambda z, t: z.__setitem__((0, 1), 5 - 2j),
    "column": lambda z, t: z[:, 1].fill_(1j),
    "transposed": lambda z, t: z.t().add_(1j),
    "diagonal": lambda z, t: z.diagonal().copy_(t.ones(3)),
    "conjugate": lambda z, t: z.conj()[0].copy_(z[1].clone()),
    "negated": lambda z, t: z._neg_view()[0].copy_(z[1].clone()),
    "imag of conjugate": lambda z, t: z.conj().imag.fill_(9),
    "real of conjugate": lambda z, t: z.conj().real.fill_(9),
    "as doubles": lambda z, t: z.view(t.float64)[:, 3].fill_(4),
    "as bytes": lambda z, t: z.view(t.uint8)[0, :16].zero_(),
    "strided": lambda z, t: z.as_strided((2, 2), (5, 2), 1).mul_(2),
    "mask": lambda z, t: z.__setitem__(z.real > 0, 0),
    "index": lambda z, t: z.__setitem__(([0, 2],), t.ones(2, 4) * 1j),
    "unfold": lambda z, t: z.view(-1).unfold(0, 3, 3).mul_(1j),
    "in place": lambda z, t: z.exp_(),
    "out": lambda z, t: t.mul(z, 2, out=z[:]),
    "copy of complex64": lambda z, t: z.copy_(t.ones(3, 4, dtype=t.complex64) * 1j),
    "resized": lambda z, t: z.resize_(2, 2).fill_(3),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_seen_through_every_alias(name):
    both(written(WRITES[name]))


GEOMETRY = {
    "strides": lambda t: (
        t.tensor(numbers(t, 3, 4).imag.stride()),
        numbers(t, 3, 4).imag.storage_offset(),
        numbers(t, 3, 4)[1:].real.storage_offset(),
        numbers(t, 3, 4).t().stride(),
    ),
    "sizes": lambda t: (
        numbers(t, 3, 4).itemsize,
        numbers(t, 3, 4).nbytes,
        numbers(t, 3, 4).untyped_storage().nbytes(),
        numbers(t, 3, 4).element_size(),
    ),
    "pointers": lambda t: (
        (lambda z: z[1:].data_ptr() - z.untyped_storage().data_ptr())(numbers(t, 2)),
        (lambda z: z.imag.data_ptr() - z.data_ptr())(numbers(t, 2)),
        (lambda z: z.imag._base is z)(numbers(t, 2)),
    ),
    "view": lambda t: numbers(t, 2, 4).view(t.float64).view(t.complex128),
    "view smaller": lambda t: numbers(t, 2, 2).view(t.int16),
    "view larger": lambda t: t.arange(8, dtype=t.float32).view(t.complex128),
    "view odd": lambda t: t.arange(9, dtype=t.float32).view(t.complex128),
    "view shifted": lambda t: t.arange(9, dtype=t.float32)[1:].view(t.complex128),
    "view conj": lambda t: numbers(t, 2).conj().view(t.float64),
    "as real of conj": lambda t: t.view_as_real(numbers(t, 2).conj()),
    "as complex": lambda t: t.view_as_complex(t.ones(3, 3, dtype=t.float64)),
    "set": lambda t: t.empty(0, dtype=t.complex128).set_(numbers(t, 3, 4)[1]),
    "storage": lambda t: t.empty(0, dtype=t.complex128).set_(
        numbers(t, 3).untyped_storage(), 1, (2,), (1,)
    ),
    "typed storage": lambda t: list(numbers(t, 2).storage()),
}


@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry(name):
    both(GEOMETRY[name])


def default_double(run):
    def with_default(t):
        t.set_default_dtype(t.float64)
        try:
            return run(t)
        finally:
            t.set_default_dtype(t.float32)

    return with_default


OTHERS = "bool uint8 int8 int64 float16 bfloat16 float32 float64 complex64".split()
VALUES = {
    "tensor": lambda t: t.tensor([[1, 2j], [0.1 + 0.3j, True]], dtype=t.complex128),
    "tensor of tensors": lambda t: t.tensor([numbers(t, 2)[0], 1j]),
    "default": default_double(lambda t: (t.tensor(1j), t.tensor([0.1j]) * 0.1j)),
    "default full": default_double(lambda t: t.full((2,), 0.1 + 0.3j)),
    "default result_type": default_double(lambda t: str(t.result_type(t.ones(1), 1j))),
    "from_numpy": lambda t: t.from_numpy(np.array([[0.1 + 2j, 3]]).T),
    "as_tensor": lambda t: t.as_tensor(np.complex128(0.1 + 2j)),
    "numpy": lambda t: numbers(t, 2, 3).t().numpy(),
    "numpy part": lambda t: numbers(t, 2, 3).imag.numpy(),
    "numpy conj": lambda t: numbers(t, 2).conj().numpy(),
    "dlpack": lambda t: t.from_dlpack(numbers(t, 2, 3)),
    "frombuffer": lambda t: t.frombuffer(bytearray(range(32)), dtype=t.complex128),
    "item": lambda t: (numbers(t, 2)[1].item(), complex(numbers(t, 2)[0])),
    "item conj": lambda t: numbers(t, 2)[1].conj().item(),
    "bool": lambda t: (bool(numbers(t, 1)), bool(t.zeros(1, dtype=t.complex128))),
    "is_nonzero": lambda t: t.is_nonzero(t.tensor([1j], dtype=t.complex128)),
    "float": lambda t: float(numbers(t, 1)),
    "repr": lambda t: repr(numbers(t, 3, 2)),
    "repr grad": lambda t: repr(numbers(t, 2).requires_grad_()),
    "repr default": default_double(lambda t: repr(numbers(t, 2))),
    "types": lambda t: (
        str(t.promote_types(t.complex64, t.float64)),
        str(t.promote_types(t.complex128, t.float16)),
        str(t.promote_types(t.complex128, t.complex64)),
        t.can_cast(t.complex128, t.float64),
        t.can_cast(t.float64, t.complex128),
        str(t.complex128.to_real()),
        str(t.float64.to_complex()),
        numbers(t, 1).type(),
        t.finfo(t.complex128).eps,
        numbers(t, 1).is_complex(),
    ),
    "mixed": lambda t: (
        t.ones(2, dtype=t.complex64) * t.ones(2, dtype=t.float64),
        t.ones(2, dtype=t.complex64) + t.ones((), dtype=t.float64),
        numbers(t, 2) + t.ones(2, dtype=t.int32),
        numbers(t, 2) * 0.1j,
        t.ones(2, dtype=t.float64) * 0.1j,
        t.ones(2) * 0.1j,
    ),
    **{
        f"to {name}": lambda t, name=name: numbers(t, 4).to(getattr(t, name))
        for name in OTHERS
        if name != "uint8"  # of negative numbers: any value
    },
    **{
        f"from {name}": lambda t, name=name: (
            t.arange(3).to(getattr(t, name)).to(t.complex128)
        )
        for name in OTHERS
    },
    "random": lambda t: (
        t.manual_seed(3) and t.rand(5, dtype=t.complex128),
        t.randn(40, dtype=t.complex128),
        t.randn_like(numbers(t, 3, 2)),
        numbers(t, 3).uniform_(),
        numbers(t, 3).normal_(1, 2),
    ),
    "like": lambda t: (
        t.zeros_like(numbers(t, 2, 3)),
        t.full_like(numbers(t, 2), 1j),
        numbers(t, 2).new_full((2,), 3j),
        numbers(t, 2).new_tensor([1.0]),
        t.eye(2, dtype=t.complex128),
        t.linspace(0, 1 + 1j, 4, dtype=t.complex128),
    ),
    "arange": lambda t: t.arange(3, dtype=t.complex128),
    "set part": lambda t: setattr(numbers(t, 2), "imag", t.ones(2)),
    "out of another": lambda t: t.add(
        numbers(t, 2), 1, out=t.empty(2, dtype=t.float64)
    ),
    "in place of another": lambda t: t.ones(2, dtype=t.float64).mul_(numbers(t, 2)),
    "complex": lambda t: (
        t.complex(t.ones(2, 1, dtype=t.float64), t.zeros(3, dtype=t.float64)),
        t.polar(t.ones(2, dtype=t.float64), t.zeros(2, dtype=t.float64)),
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    both(VALUES[name])


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("writer, reader", [(flashlight, torch), (torch, flashlight)])
def test_files(writer, reader, zipped):
    buffer = io.BytesIO()
    z = numbers(writer, 3, 4)
    writer.save({"z": z, "row": z[1]}, buffer, _use_new_zipfile_serialization=zipped)
    buffer.seek(0)
    read = reader.load(buffer)
    assert read["z"].tolist() == z.tolist() and str(read["z"].dtype) == str(z.dtype)
    read["row"].zero_()
    assert not read["z"][1].any()


def test_pickles():
    z = numbers(flashlight, 2, 3).t()
    again = pickle.loads(pickle.dumps(z))
    assert again.tolist() == z.tolist() and again.stride() == z.stride()


def test_the_value_is_no_array_of_its_sizes():
    z = numbers(flashlight, 2, 2)
    with pytest.raises(NotImplementedError, match="'ComplexDouble'"):
        flashlight.linalg.svd(z)
    with pytest.raises(NotImplementedError, match="'ComplexDouble'"):
        flashlight.nn.functional.conv1d(z[None], z[None])
