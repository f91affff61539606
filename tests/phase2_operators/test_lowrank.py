"""Largest singular values by random projections."""

import pytest
import torch
from registry import to_ours, to_theirs

import flashlight


def low_rank(*shape, rank=3):
    g = torch.Generator().manual_seed(0)
    a = torch.randn(*shape[:-1], rank, generator=g, dtype=torch.float64)
    b = torch.randn(*shape[:-2], rank, shape[-1], generator=g, dtype=torch.float64)
    return a @ b


@pytest.mark.parametrize("shape", [(9, 5), (5, 9), (2, 8, 6)])
@pytest.mark.parametrize("name", ["svd_lowrank", "pca_lowrank"])
def test_numbers_are_torchs(name, shape):
    a = low_rank(*shape)
    flashlight.manual_seed(0)
    torch.manual_seed(0)
    ours = getattr(flashlight, name)(to_ours(a), q=4)
    theirs = getattr(torch, name)(a, q=4)
    u, s, v = map(to_theirs, ours)
    torch.testing.assert_close(s, theirs[1])
    torch.testing.assert_close(u * s.unsqueeze(-2) @ v.mT, _product(*theirs))
    eye = torch.eye(4, dtype=s.dtype).expand(*s.shape[:-1], 4, 4)
    torch.testing.assert_close(u[..., :3].mT @ u[..., :3], eye[..., :3, :3])


def _product(u, s, v):
    return u * s.unsqueeze(-2) @ v.mT


def test_what_is_taken_away():
    a, m = low_rank(7, 5), low_rank(1, 5, rank=1)
    u, s, v = flashlight.svd_lowrank(to_ours(a), q=4, M=to_ours(m))
    torch.testing.assert_close(_product(*map(to_theirs, (u, s, v))), a - m)


def test_gradient_reaches_the_matrix():
    a = to_ours(low_rank(6, 4)).requires_grad_()
    flashlight.manual_seed(1)
    flashlight.svd_lowrank(a, q=3)[1].sum().backward()
    assert a.grad.isfinite().all() and a.grad.abs().sum() > 0


@pytest.mark.parametrize("kwargs", [{"q": 6}, {"q": -1}, {"q": 2, "niter": -1}])
def test_errors(kwargs):
    texts = []
    for t in (flashlight, torch):
        with pytest.raises(ValueError) as e:
            t.pca_lowrank(t.ones(7, 5), **kwargs)
        texts.append(str(e.value))
    assert texts[0] == texts[1]
