"""Workers: the processes that fetch batches for a loader."""

import os
import queue
import random
from dataclasses import dataclass
from typing import Any

import flashlight

from . import transport
from .exception import ExceptionWrapper

_MASK = 0xFFFFFFFF
_worker_info = None


@dataclass(frozen=True)
class _IterableDatasetStopIteration:
    """Says that the dataset of a worker has ended."""

    worker_id: int


@dataclass(frozen=True)
class _ResumeIteration:
    """Tells a persistent worker that a new epoch begins; sent back as the answer."""

    seed: Any = None


@dataclass
class WorkerInfo:
    """What a worker knows about itself.

    Attributes:
        id: Number of the worker.
        num_workers: Number of workers.
        seed: Seed of its random numbers, base seed + id.
        dataset: Its copy of the dataset.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any

    def __setattr__(self, key, val):
        if "dataset" in self.__dict__:
            raise RuntimeError(
                f"Cannot assign attributes to {self.__class__.__name__} objects"
            )
        super().__setattr__(key, val)

    def __repr__(self) -> str:
        items = (f"{k}={v!r}" for k, v in self.__dict__.items())
        return f"{self.__class__.__name__}({', '.join(items)})"


def get_worker_info():
    """Return the :class:`WorkerInfo` of this process; None in the main process."""
    return _worker_info


def _generate_state(base_seed: int, worker_id: int):
    """Return the seed words of numpy's generator in a worker."""
    from numpy.random import SeedSequence

    entropy = [worker_id, base_seed & _MASK, base_seed >> 32, 0]
    return SeedSequence(entropy).generate_state(4).tolist()


def _seed_everything(base_seed: int, worker_id: int) -> int:
    seed = base_seed + worker_id
    random.seed(seed)
    flashlight.manual_seed(seed)
    try:
        import numpy
    except ImportError:
        return seed
    numpy.random.seed(_generate_state(base_seed, worker_id))
    return seed


class _ParentWatch:
    """Tells whether the process that started this one is still there."""

    def __init__(self) -> None:
        self.parent = os.getppid()

    def is_alive(self) -> bool:
        return os.getppid() == self.parent


def _worker_loop(
    packed,
    index_queue,
    data_queue,
    done_event,
    base_seed,
    worker_id,
    num_workers,
    persistent_workers,
) -> None:
    """Fetch batches until told to stop.

    Args:
        packed: Kind, dataset, collation and init function, maybe as bytes.
        index_queue: Brings (number, indices), a resume message, or None at the end.
        data_queue: Takes (number, batch) as bytes.
        done_event: Set when the loader shuts down.
        base_seed: Seed of the loader.
        worker_id: Number of this worker.
        num_workers: Number of workers.
        persistent_workers: Whether epochs follow one another.
    """
    global _worker_info
    if isinstance(packed, bytes):
        packed = transport.decode(packed)
    create_fetcher, dataset, auto_collation, collate_fn, drop_last, init_fn = packed
    flashlight.set_num_threads(1)
    seed = _seed_everything(base_seed, worker_id)
    _worker_info = WorkerInfo(
        id=worker_id, num_workers=num_workers, seed=seed, dataset=dataset
    )
    where = f"in DataLoader worker process {worker_id}"
    init_exception = None
    fetcher = None

    def make_fetcher():
        return create_fetcher(dataset, auto_collation, collate_fn, drop_last)

    try:
        if init_fn is not None:
            init_fn(worker_id)
        fetcher = make_fetcher()
    except Exception:  # raised again by the loader
        init_exception = ExceptionWrapper(where=where)

    iteration_end = False
    watch = _ParentWatch()
    while watch.is_alive():
        try:
            r = index_queue.get(timeout=5.0)
        except queue.Empty:
            continue
        if isinstance(r, _ResumeIteration):
            data_queue.put(transport.encode((r, None)))
            iteration_end = False
            try:
                fetcher = make_fetcher()
            except Exception:  # raised again by the loader
                init_exception = ExceptionWrapper(where=where)
            continue
        if r is None or done_event.is_set() or iteration_end:
            if r is None:
                break
            continue
        idx, index = r
        if init_exception is not None:
            data, init_exception = init_exception, None
        else:
            try:
                data = fetcher.fetch(index)
            except Exception as e:  # raised again by the loader
                if isinstance(e, StopIteration) and hasattr(fetcher, "dataset_iter"):
                    data = _IterableDatasetStopIteration(worker_id)
                    iteration_end = True
                else:
                    data = ExceptionWrapper(where=where)
        try:
            message = transport.encode((idx, data))
        except Exception:  # the batch cannot be sent; the loader hears why
            message = transport.encode((idx, ExceptionWrapper(where=where)))
        data_queue.put(message)
        del data, message, idx, index, r
    if done_event.is_set():
        # Do not wait until the loader has read what it no longer wants.
        data_queue.cancel_join_thread()
        data_queue.close()
