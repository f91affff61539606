"""Datasets, samplers and the loader, batch by batch beside PyTorch's."""

import multiprocessing
import time

import loader_datasets
import numpy as np
import pytest
import torch
import torch.utils.data
from nn_bridge import compare_scripts

import flashlight
import flashlight.utils.data as data

LIBS = (torch, flashlight)


def _plain(x):
    """Return a batch as plain numbers."""
    if isinstance(x, (torch.Tensor, flashlight.Tensor)):
        return x.numpy().tolist(), str(x.dtype)
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [type(x).__name__, *map(_plain, x)]
    return x


def _epochs(lib, name, kwargs, seed_generator=False):
    """Return two epochs of batches, and the random numbers that follow."""
    if seed_generator:
        kwargs = {**kwargs, "generator": lib.Generator().manual_seed(9)}
    lib.manual_seed(3)
    loader = lib.utils.data.DataLoader(loader_datasets.get(lib, name)(), **kwargs)
    out = [_plain(b) for _ in range(2) for b in loader]
    out.append(_plain(lib.rand(3)))
    return out


@pytest.mark.parity
@pytest.mark.parametrize(
    "kwargs",
    [
        {"batch_size": 3, "shuffle": True},
        {"batch_size": 3, "drop_last": True},
        {"batch_size": None},
        {"batch_size": 3, "shuffle": True, "num_workers": 2},
        {
            "batch_size": 3,
            "shuffle": True,
            "num_workers": 2,
            "persistent_workers": True,
        },
        {"batch_size": 2, "num_workers": 1, "multiprocessing_context": "spawn"},
        {"batch_size": 1, "num_workers": 2, "prefetch_factor": 1, "timeout": 60},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed_generator", [False, True], ids=["global", "own"])
def test_map_dataset(kwargs, seed_generator):
    theirs, mine = (_epochs(lib, "Map", kwargs, seed_generator) for lib in LIBS)
    assert mine == theirs


@pytest.mark.parity
@pytest.mark.parametrize(
    "kwargs",
    [
        {"batch_size": 3},
        {"batch_size": 3, "num_workers": 2},
        {"batch_size": 3, "num_workers": 2, "persistent_workers": True},
        {"batch_size": 3, "num_workers": 2, "drop_last": True},
        {"batch_size": None, "num_workers": 2},
        {"batch_size": 2, "num_workers": 1, "multiprocessing_context": "spawn"},
    ],
    ids=str,
)
def test_iterable_dataset(kwargs):
    theirs, mine = (_epochs(lib, "Stream", kwargs) for lib in LIBS)
    assert mine == theirs


def test_worker_error_is_raised_again():
    loader = data.DataLoader(loader_datasets.get(flashlight, "Broken")(), num_workers=1)
    with pytest.raises(
        KeyError, match="Caught KeyError in DataLoader worker process 0"
    ):
        list(loader)


def test_worker_that_dies_is_reported():
    loader = data.DataLoader(loader_datasets.get(flashlight, "Dies")(), num_workers=1)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(loader)


def test_no_process_is_left_behind():
    before = set(multiprocessing.active_children())
    loader = data.DataLoader(
        loader_datasets.get(flashlight, "Map")(), num_workers=2, persistent_workers=True
    )
    it = iter(loader)
    next(it)
    assert len(set(multiprocessing.active_children()) - before) == 2
    del it, loader
    end = time.monotonic() + 10
    while set(multiprocessing.active_children()) - before and time.monotonic() < end:
        time.sleep(0.05)
    assert not set(multiprocessing.active_children()) - before


def test_worker_init_fn_and_abandoned_iteration():
    calls = multiprocessing.get_context("fork").Queue()
    loader = data.DataLoader(
        loader_datasets.get(flashlight, "Map")(),
        num_workers=2,
        worker_init_fn=calls.put,
    )
    for _ in loader:
        break
    assert sorted(calls.get(timeout=10) for _ in range(2)) == [0, 1]


def test_tensors_cross_processes_with_their_dtype():
    from flashlight.utils.data._utils import transport

    names = ["float32", "float64", "float16", "bfloat16", "int64", "uint8", "bool"]
    for name in names:
        t = flashlight.arange(3).to(getattr(flashlight, name))
        back = transport.decode(transport.encode({"x": [t]}))["x"][0]
        assert back.dtype == t.dtype
        assert back.tolist() == t.tolist()
    leaf = flashlight.ones(2, requires_grad=True)
    assert transport.decode(transport.encode(leaf)).requires_grad
    with pytest.raises(RuntimeError, match="non-leaf tensor"):
        transport.encode(leaf * 2)


@pytest.mark.parity
def test_samplers_and_random_split():
    def script(lib, log, fails):
        d = lib.utils.data
        source = range(37)
        log(list(d.RandomSampler(source)))
        log(list(d.RandomSampler(source, num_samples=50)))
        log(list(d.RandomSampler(source, replacement=True, num_samples=70)))
        log(list(d.SubsetRandomSampler([3, 5, 8, 13])))
        log(list(d.WeightedRandomSampler([0.1, 0.5, 0.4], 8)))
        g = lib.Generator().manual_seed(4)
        log(list(d.RandomSampler(source, generator=g)))
        log(list(d.RandomSampler(source, num_samples=37, generator=g)))
        log(list(d.BatchSampler(range(7), 3, False)))
        log(list(d.BatchSampler(range(7), 3, True)))
        log([p.indices for p in d.random_split(source, [30, 7])])
        log([len(p) for p in d.random_split(range(10), [0.55, 0.25, 0.2])])
        log(list(d.DistributedSampler(source, 3, 1)), lib.rand(2))
        fails(lambda: d.random_split(source, [1, 2]))
        fails(lambda: d.RandomSampler(source, replacement=3))
        fails(lambda: d.RandomSampler(source, num_samples=-1))
        fails(lambda: d.BatchSampler(source, 0, False))
        fails(lambda: d.BatchSampler(source, 1, 3))
        fails(lambda: d.WeightedRandomSampler([[0.1]], 1))
        fails(lambda: d.WeightedRandomSampler([0.1], 0))

    compare_scripts(script)


@pytest.mark.parity
def test_datasets():
    def script(lib, log, fails):
        d = lib.utils.data
        ds = d.TensorDataset(lib.arange(4), lib.arange(4) * 10)
        log(_plain(ds[1]), len(ds), _plain((ds + ds)[5]), len(ds + ds))
        log(_plain(d.Subset(ds, [3, 1])[0]), _plain(d.StackDataset(a=ds, b=ds)[2]))
        log(_plain(d.StackDataset(ds, ds).__getitems__([0, 1])))
        fails(lambda: d.TensorDataset(lib.arange(4), lib.arange(3)))
        fails(lambda: d.ConcatDataset([]))
        fails(lambda: d.StackDataset())
        fails(lambda: d.StackDataset(ds, a=ds))
        fails(lambda: (ds + ds)[-9])
        fails(lambda: d.Dataset()[0])

    compare_scripts(script)


@pytest.mark.parity
def test_collate():
    def script(lib, log, fails):
        d = lib.utils.data
        array = np.arange(3, dtype="float32")
        for batch in (
            [1, 2],
            [1.5, 2.5],
            ["a", "b"],
            [array, array],
            [np.int64(3), np.int64(4)],
            [(1, "x"), (2, "y")],
            [[1, 2.0], [3, 4.0]],
            [{"a": 1, "b": [1, 2]}, {"a": 3, "b": [4, 5]}],
            [lib.ones(2), lib.zeros(2)],
            [True, False],
        ):
            log(_plain(d.default_collate(batch)))
        log(_plain(d.default_convert([array, "x", (1, array)])))
        fails(lambda: d.default_collate([[1], [1, 2]]))
        fails(lambda: d.default_collate([None, None]))

    compare_scripts(script)


@pytest.mark.parity
def test_loader_errors():
    def script(lib, log, fails):
        d = lib.utils.data
        ds = d.TensorDataset(lib.arange(4))
        stream = loader_datasets.get(lib, "Stream")()
        for kwargs in (
            {"num_workers": -1},
            {"timeout": -1},
            {"prefetch_factor": 2},
            {"persistent_workers": True},
            {"sampler": [0], "shuffle": True},
            {"batch_sampler": [[0]], "batch_size": 2},
            {"batch_size": None, "drop_last": True},
            {"batch_size": 0},
            {"multiprocessing_context": "fork"},
            {"num_workers": 1, "multiprocessing_context": "x"},
            {"num_workers": 1, "prefetch_factor": -1},
        ):
            fails(lambda: d.DataLoader(ds, **kwargs))
        fails(lambda: d.DataLoader(stream, shuffle=True).x)
        loader = d.DataLoader(ds, 3)
        log(len(loader), len(d.DataLoader(ds, 3, drop_last=True)))
        fails(lambda: setattr(loader, "batch_size", 4))

    compare_scripts(script)
