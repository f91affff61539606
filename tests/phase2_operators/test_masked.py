"""Masked reductions and normalizations, on the samples of PyTorch's table."""

import itertools

import pytest
import torch
from registry import flat, same, to_ours
from torch.testing._internal.common_methods_invocations import op_db

import flashlight

ENTRIES = {i.name: i for i in op_db if i.name.startswith("masked.")}
# fill, scatter and select are methods of tensors: rows, in the registry walk.
NAMES = [n for n in ENTRIES if hasattr(torch.masked, n.partition(".")[2])]


def test_all_of_torchs_are_here():
    assert {n.partition(".")[2] for n in NAMES} == set(flashlight.masked.__all__)


def ran(function, args, kwargs):
    try:
        return function(*args, **kwargs)
    except (RuntimeError, ValueError, IndexError) as e:
        return e


def strided(sample):
    tensors = flat([sample.input, list(sample.args), sample.kwargs])
    return all(x.layout == torch.strided for x in tensors)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.complex64])
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients(name, dtype):
    entry, short = ENTRIES[name], name.partition(".")[2]
    if dtype not in entry.dtypes:
        pytest.skip("not of that dtype in PyTorch either")
    grad = dtype != torch.int64 and entry.supports_autograd
    seen = 0
    samples = filter(strided, entry.sample_inputs("cpu", dtype, requires_grad=grad))
    for sample in itertools.islice(samples, 60):
        args, kwargs = (sample.input, *sample.args), sample.kwargs
        mine = to_ours(args), to_ours(kwargs)
        theirs = ran(getattr(torch.masked, short), args, kwargs)
        ours = ran(getattr(flashlight.masked, short), *mine)
        what = f"{name}{args[1:]}, {kwargs}: "
        if isinstance(theirs, Exception):
            assert type(ours) is type(theirs), what
            continue
        same(ours, theirs, 1e-5, what)
        if theirs.requires_grad and theirs.numel():
            weight = torch.linspace(0.5, 1.5, theirs.numel()).view(theirs.shape)
            (theirs * weight).sum().abs().backward()
            (ours * to_ours(weight)).sum().abs().backward()
            same(mine[0][0].grad, args[0].grad, 1e-4, what + "gradient: ")
        seen += 1
    assert seen
