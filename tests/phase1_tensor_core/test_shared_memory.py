"""Memory that numpy, DLPack or a buffer sees, too: what one writes, the other shows."""

import array
import gc
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from comparing import Scripts, compare_scripts

import flashlight

script = Scripts()


@script
def an_array_of_a_tensor(lib, log, fails):
    x = lib.arange(6.0).reshape(2, 3)
    a = x.numpy()
    a[0, 1] = 7
    log(x, x._version)
    x.mul_(2)
    log(a.tolist(), x._version)
    x[1] = -1
    log(a.tolist(), x.sum(), x + 1, x.t())
    a *= 3
    log(x.view(6)[1:4], x[:, ::2], x.view(lib.int32))
    log(a.strides, a.flags.writeable, a.dtype.str, x.untyped_storage().resizable())
    fails(lambda: x.resize_(10))


@script
def arrays_of_views(lib, log, fails):
    x = lib.zeros(3, 4, dtype=lib.float64)
    x.t()[1:].numpy()[...] = 1
    x[1, ::2].numpy()[1] = 5
    x.diagonal().numpy()[...] = 9
    a = x.expand(2, 3, 4).numpy()
    a[0, 2, 2] = 4
    log(x, a.strides, a[1].tolist(), x[0].numpy().shape)
    y = lib.ones(4, dtype=lib.complex64)
    lib.view_as_real(y).numpy()[2] = 3
    y.imag.numpy()[0] = 8
    log(y, y.real, y.conj())
    z = lib.ones(2, dtype=lib.complex128)
    z.numpy()[0] = 2j
    log(z, z * z, z.imag)


@script
def a_tensor_of_an_array(lib, log, fails):
    a = np.arange(6.0).reshape(2, 3)
    x = lib.from_numpy(a)
    a[0] = 5
    log(x, x * 2)
    x.t()[1] += 1
    log(a.tolist(), x.untyped_storage().resizable(), x.untyped_storage().nbytes())
    y = lib.from_numpy(a[:, 1:])
    y.zero_()
    log(a.tolist(), x, y.stride(), y.storage_offset(), y.is_contiguous())
    log(lib.from_numpy(a.T).stride(), lib.from_numpy(a[::2, ::2]).stride())
    del a
    y += 3
    log(x, y)


@script
def every_dtype(lib, log, fails):
    for name in "bool uint8 int8 int16 int32 int64 float16 float32 float64".split():
        x = lib.zeros(3, dtype=getattr(lib, name))
        a = x.numpy()
        a[1] = 1
        x[2] = 1
        y = lib.from_numpy(a)
        y[0] = 1
        log(name, x, a.tolist(), str(a.dtype), str(y.dtype))


@script
def the_tape(lib, log, fails):
    w = lib.ones(3, requires_grad=True)
    a = w.detach().numpy()
    y = w * w
    a[0] = 5  # no version is counted: the saved value is not what it was
    y.sum().backward()
    log(w.grad, w)
    w.grad.numpy()[0] = 1
    (w * 2).sum().backward()
    log(w.grad)
    with lib.no_grad():
        w -= 1
    log(a.tolist())
    x = lib.from_numpy(np.ones(2)).requires_grad_()
    (x * x).sum().backward()
    log(x.grad, x.is_leaf)


@script
def what_was_recorded_before(lib, log, fails):
    x = lib.arange(4.0)
    y, z = x * 2, x[1:]
    x.numpy()[...] = 9
    log(y, z, x)
    w = x + 1
    x.numpy()[0] = 3
    log(w, x)


@script
def other_ways_in(lib, log, fails):
    a = np.zeros(3, np.float32)
    tensors = [lib.as_tensor(a), lib.asarray(a), lib.from_dlpack(a)]
    tensors += [lib.asarray(a, copy=False), lib.from_dlpack(a, copy=False)]
    copies = [lib.tensor(a), lib.asarray(a, copy=True), lib.from_dlpack(a, copy=True)]
    copies += [lib.as_tensor(a, dtype=lib.float64)]
    a[1] = 2
    log(tensors, copies)
    for x in tensors:
        x += 1
    log(a.tolist())
    fails(lambda: lib.asarray(a, dtype=lib.float64, copy=False))
    fails(lambda: lib.as_tensor(a[::-1]))
    fails(lambda: lib.tensor(a[::-1]))
    fails(lambda: lib.from_numpy(np.zeros(3, [("a", "i1"), ("b", "f4")])["b"]))


@script
def buffers(lib, log, fails):
    b = bytearray(16)
    x = lib.frombuffer(b, dtype=lib.int32, offset=4, count=2)
    b[4] = 1
    x[1] = 258
    log(list(b), x, x.untyped_storage().resizable(), x.untyped_storage().nbytes())
    c = array.array("d", [1.0, 2.0])
    y = lib.frombuffer(c, dtype=lib.float64)
    y.neg_()
    c[1] = 5.0
    log(c.tolist(), y, lib.asarray(c, dtype=lib.float64))


@script
def other_ways_out(lib, log, fails):
    x = lib.arange(6.0).reshape(2, 3)
    np.asarray(x)[0] = 1
    np.from_dlpack(x)[1] = 2
    memoryview(x.numpy())[1, 2] = 3.0
    np.array(x)[...] = 9
    np.asarray(x, dtype=np.float64)[...] = 9
    log(x)
    y = lib.from_dlpack(x[:, 1:])
    y += 1
    log(x, y.stride(), y.storage_offset(), y._version, x._version)
    log(y.untyped_storage().nbytes(), y.untyped_storage().resizable())
    z = lib.utils.dlpack.from_dlpack(lib.utils.dlpack.to_dlpack(x))
    z.zero_()
    log(x)


@script
def storages(lib, log, fails):
    x = lib.arange(4.0)
    at = x.untyped_storage().data_ptr()
    y = lib.from_numpy(x.numpy())
    z = lib.from_numpy(x.numpy()[2:])
    log(y.data_ptr() == at, z.data_ptr() == at + 8, y.is_set_to(x), y._base is None)
    fresh = lib.arange(4.0)
    a = fresh.numpy()
    log(fresh.data_ptr() == a.ctypes.data, fresh[1:].data_ptr() - a.ctypes.data)
    log(lib.from_numpy(a).data_ptr() == a.ctypes.data)
    x.untyped_storage()[0] = 1
    log(y)
    x.untyped_storage().fill_(0)
    log(y, z)
    with lib.inference_mode():
        log(lib.from_numpy(a).is_inference())


@script
def data_and_set(lib, log, fails):
    x, a = lib.zeros(3), np.ones(3, np.float32)
    x.data = lib.from_numpy(a)
    a[0] = 4
    log(x)
    y = lib.zeros(1).set_(lib.from_numpy(a))
    a[1] = 5
    log(y, x)
    z = lib.nn.Parameter(lib.from_numpy(a))
    z.data += 1
    log(a.tolist())
    lib.add(x, 1, out=lib.from_numpy(a))
    log(a.tolist())


@script
def steps_of_an_optimizer(lib, log, fails):
    a = np.ones(3, np.float32)
    for kind in (lib.optim.SGD, lib.optim.AdamW):
        w = lib.nn.Parameter(lib.from_numpy(a))
        optimizer = kind([w], lr=0.5)
        (w * lib.tensor([1.0, 2.0, 3.0])).sum().backward()
        optimizer.step()
        log(a.tolist(), w)
        a[...] = 2
        log(w)


@script.each
def test_as_torch(program):
    compare_scripts(program)


def test_the_memory_comes_back():
    x = flashlight.arange(4.0)
    a = x.numpy()
    y = flashlight.from_numpy(a)
    for _ in range(2):
        assert flashlight._C._is_lent(x) and flashlight._C._is_lent(y)
        y += 1
    del a, y
    gc.collect()
    assert not flashlight._C._is_lent(x) and x.tolist() == [2, 3, 4, 5]
    # An array that nobody else has left.
    z = flashlight.from_numpy(np.ones(3)[1:])
    assert not flashlight._C._is_lent(z) and (z + 1).tolist() == [2, 2]
    b = np.ones(3)
    z = flashlight.from_numpy(b[1:])
    assert flashlight._C._is_lent(z)
    del b
    assert not flashlight._C._is_lent(z)


def test_an_array_outlives_its_tensor():
    a = flashlight.arange(4.0)[1:].numpy()
    gc.collect()
    flashlight.zeros(100).add_(1).sum().item()
    assert a.tolist() == [1, 2, 3]
    x = flashlight.from_numpy(np.arange(3.0))
    gc.collect()
    assert x.tolist() == [0, 1, 2]


def test_what_has_no_memory_is_not_shown():
    x = flashlight.ones(4)
    x.untyped_storage().resize_(0)
    for show in (x.numpy, lambda: np.from_dlpack(x)):
        with pytest.raises(RuntimeError, match="doesn't have storage"):
            show()


WARNS = """
import sys, warnings
import numpy as np
import {} as torch
a = np.ones(2)
a.flags.writeable = False
for make in (
    lambda: torch.tensor(a), lambda: torch.from_numpy(a), lambda: torch.from_numpy(a),
    lambda: torch.frombuffer(b"1234", dtype=torch.int8),
    lambda: torch.frombuffer(b"1234", dtype=torch.int8),
):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        make()
    print([str(w.message).split(" (Triggered")[0] for w in seen])
"""


@pytest.mark.parity
def test_what_may_not_be_written_warns_once():
    def told(name):
        command = [sys.executable, "-c", WARNS.format(name)]
        return subprocess.run(command, capture_output=True, check=True, text=True)

    ours, theirs = told("flashlight"), told("torch")
    assert ours.stdout == theirs.stdout and ours.stdout.count("not writable") == 2


def test_between_the_two():
    """Memory of the one, seen by the other."""
    x = torch.arange(4, dtype=torch.bfloat16)
    y = flashlight.from_dlpack(x)
    y += 1
    x[0] = 9
    assert y.tolist() == x.tolist() == [9, 2, 3, 4]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        z = torch.from_dlpack(flashlight.ones(3, dtype=flashlight.complex128))
    assert z.tolist() == [1, 1, 1] and z.dtype is torch.complex128
