"""Views are windows on one storage: every write is seen through every alias."""

import os
import random
import subprocess
import sys

import pytest
import torch

import flashlight

SHAPE = (3, 4, 2)


def random_view(rng, x):
    """The same random view op on a flashlight or a torch tensor, as a function."""
    kind = rng.choice(
        ["slice", "select", "transpose", "permute", "unsqueeze", "flat", "strided"]
    )
    n = len(x.shape)
    if kind in ("slice", "select", "transpose", "permute") and n == 0:
        return lambda t: t
    if kind == "slice":
        d = rng.randrange(n)
        start, step = rng.randrange(2), rng.choice([1, 2])
        index = (slice(None),) * d + (slice(start, None, step),)
        return lambda t: t[index]
    if kind == "select":
        d = rng.randrange(n)
        if x.shape[d] == 0:
            return lambda t: t
        i = rng.randrange(-x.shape[d], x.shape[d])
        return lambda t: t.select(d, i)
    if kind == "transpose":
        a, b = rng.randrange(n), rng.randrange(n)
        return lambda t: t.transpose(a, b)
    if kind == "permute":
        order = rng.sample(range(n), n)
        return lambda t: t.permute(order)
    if kind == "unsqueeze":
        d = rng.randrange(-n - 1, n + 1)
        return lambda t: t.unsqueeze(d)
    if kind == "flat":
        return lambda t: t.view(-1) if t.is_contiguous() else t
    size, stride = (2, 2), (rng.choice([1, 2, 3]), rng.choice([4, 5, 7]))
    if x.storage_offset() + sum(stride) >= 24:
        return lambda t: t
    return lambda t: t.as_strided(size, stride)


def fresh():
    values = torch.arange(24.0).reshape(SHAPE).clone()
    return flashlight.tensor(values.tolist()), values


@pytest.mark.parity
@pytest.mark.parametrize("seed", range(300))
def test_random_programs_of_views_and_writes(seed):
    rng = random.Random(seed)
    ours, theirs = [[t] for t in fresh()]
    for _ in range(10):
        i = rng.randrange(len(ours))
        if rng.random() < 0.6:
            op = random_view(rng, theirs[i])
            ours.append(op(ours[i]))
            theirs.append(op(theirs[i]))
        else:
            value = rng.randrange(100)
            how = rng.choice(["add", "mul", "set"])
            for t in (ours[i], theirs[i]):
                if how == "add":
                    t += value
                elif how == "mul":
                    t.mul_(2)
                else:
                    t[...] = value
        for a, b in zip(ours, theirs):
            assert a.tolist() == b.tolist()
            assert tuple(a.shape) == tuple(b.shape)
            assert a.stride() == b.stride()
            assert a.storage_offset() == b.storage_offset()
            assert a.is_contiguous() == b.is_contiguous()
            assert a._version == b._version
            assert a._is_view() == b._is_view()


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        slice(1, None),
        (slice(None), slice(None, None, 2)),
        (None, 1),
        (Ellipsis, 0),
        [0, 2],
        (slice(None), [1, 3]),
        ([0, 1], slice(None), [1, 0]),
        (None, [0, 1]),
        True,
    ],
)
@pytest.mark.parity
def test_indexing_reads_and_writes_as_torch(index):
    ours, theirs = fresh()
    assert ours[index].tolist() == theirs[index].tolist()
    ours[index] = -1
    theirs[index] = -1
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parity
def test_masks_read_and_write_as_torch():
    ours, theirs = fresh()
    flags = [[i % 2 == j % 2 for j in range(4)] for i in range(3)]
    mask, torch_mask = flashlight.tensor(flags), torch.tensor(flags)
    assert ours[mask].tolist() == theirs[torch_mask].tolist()
    ours[mask] = 5
    theirs[torch_mask] = 5
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parity
@pytest.mark.parametrize("index", [3, (0, 9), (0, 0, 0, 0), ([5],)])
def test_indices_out_of_range_raise_as_torch(index):
    ours, theirs = fresh()
    with pytest.raises(IndexError) as expected:
        theirs[index]
    with pytest.raises(IndexError) as found:
        ours[index]
    assert str(found.value).split(".")[0] == str(expected.value).split(".")[0]


def test_data_shares_values_but_not_the_version():
    x = flashlight.zeros(3)
    x.data.add_(1)
    assert x.tolist() == [1, 1, 1]
    assert x._version == 0


def test_an_expanded_tensor_refuses_writes():
    x = flashlight.zeros(1).expand(3)
    with pytest.raises(RuntimeError, match="single memory location"):
        x.add_(1)


def test_a_tensor_keeps_its_python_object():
    x = flashlight.zeros(2).requires_grad_()
    (x * 2).sum().backward()
    assert x.grad is x.grad
    x.grad.note = "kept"
    assert x.grad.note == "kept"


@pytest.mark.parametrize("nbytes", [0, 8, 12, 24, 40])
def test_storages_that_shrink_and_grow(nbytes):
    seen = []
    for t in (flashlight, torch):
        x = t.arange(6.0)
        view = x[1:3]
        storage = x.untyped_storage()
        storage.resize_(nbytes)
        seen.append([storage.nbytes(), x.untyped_storage().nbytes(), len(storage)])
        if nbytes >= 12:
            view.add_(1)
            seen[-1].append(view.tolist())
        storage.resize_(24)
        kept = min(nbytes, 24) // 4
        seen[-1] += [x[:kept].tolist(), storage.nbytes()]
    assert seen[0] == seen[1]


def test_all_of_this_as_it_is_recorded():
    """Small tensors are read and written at once; without kernels they are not."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(__file__, "-k", "not as_it_is_recorded"),
        ],
        env={**os.environ, "FLASHLIGHT_KERNELS": "0"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout
