"""Rows on conjugate and negative views: what aliases them, with which bits.

In inference mode PyTorch computes such a view before an op of parts, unless it is a
plain view; else its parts see the bits themselves.
"""

import pytest
import torch
from registry import flat, native
from test_node_names import HELPERS
from test_registry import ROWS, reach

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
SAMPLES = 3
MODES = ["no_grad", "inference_mode"]


def with_bits(x, library):
    """The same arguments, with tensors that carry a bit."""
    if isinstance(x, library.Tensor):
        x = x.detach().clone()
        if x.is_complex():
            return x.conj()
        return library._neg_view(x) if x.is_floating_point() else x
    if isinstance(x, (list, tuple)):
        return type(x)(with_bits(y, library) for y in x)
    if isinstance(x, dict):
        return {k: with_bits(v, library) for k, v in x.items()}
    return x


def outcome(call, args, kwargs, library, mode):
    args, kwargs = with_bits(args, library), with_bits(kwargs, library)
    given = {
        x.untyped_storage().data_ptr()
        for x in flat([args, kwargs])
        if isinstance(x, library.Tensor)
    }
    library.manual_seed(0)
    with getattr(library, mode)():
        try:
            result = call(*args, **kwargs)
        except Exception as error:
            return error
        return [
            dict(
                aliases=x.untyped_storage().data_ptr() in given and x.numel() > 0,
                conj=x.is_conj(),
                neg=x.is_neg(),
                inference=x.is_inference(),
            )
            for x in flat(result)
            if isinstance(x, library.Tensor)
        ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [n for n in ROWS if n not in HELPERS])
def test_bits(name, mode):
    mine, torchs = native(ROWS[name])
    for dtype in (torch.float32, torch.complex64):
        for case, args, kwargs, _ in reach(name, dtype, SAMPLES):
            of_torch, of_ours = (
                (torchs, mine) if case.direct else (case.theirs, case.ours)
            )
            theirs = outcome(of_torch, case.args, case.kwargs, torch, mode)
            if isinstance(theirs, Exception):
                continue
            ours = outcome(of_ours, args, kwargs, flashlight, mode)
            assert ours == theirs, f"{name}{case}"
