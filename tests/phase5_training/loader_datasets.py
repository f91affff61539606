"""Datasets of both libraries; a module of its own, so that workers can import it."""

import torch
import torch.utils.data

import flashlight
import flashlight.utils.data


def _make(lib):
    data = lib.utils.data

    class Map(data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, i):
            return i, lib.rand(2), {"half": i / 2, "name": str(i)}

    class Stream(data.IterableDataset):
        def __iter__(self):
            info = data.get_worker_info()
            who = (-1, 0) if info is None else (info.id, info.seed % 1000)
            for i in range(7):
                yield lib.tensor([i, *who])

    class Broken(data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            if i == 2:
                raise KeyError("no sample 2")
            return i

    class Dies(data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            import os

            os._exit(3)

    for cls in (Map, Stream, Broken, Dies):
        cls.__qualname__ = f"{lib.__name__.capitalize()}{cls.__name__}"
        cls.__name__ = cls.__qualname__
        globals()[cls.__name__] = cls


_make(torch)
_make(flashlight)


def get(lib, name):
    return globals()[f"{lib.__name__.capitalize()}{name}"]
