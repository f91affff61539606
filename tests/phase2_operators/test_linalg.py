"""Linear algebra beyond the samples of the registry walk."""

import numpy as np
import pytest
import torch
from registry import flat, same, to_ours

import flashlight
from flashlight.linalg import LinAlgError

L = flashlight.linalg


def matrices(*shape, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=dtype)


def both(function, *tensors, **kwargs):
    """The same call of flashlight and of torch: their results, or errors."""
    out = []
    for t, args in ((flashlight, to_ours(tensors)), (torch, tensors)):
        try:
            out.append(function(t, *args, **kwargs))
        except (RuntimeError, TypeError, IndexError, ValueError) as e:
            out.append(e)
    return out


ERRORS = {
    "geqrf_vector": lambda t: t.geqrf(t.ones(3)),
    "geqrf_long": lambda t: t.geqrf(t.ones(3, 3, dtype=t.int64)),
    "product_wide": lambda t: t.linalg.householder_product(t.ones(2, 3), t.ones(2)),
    "product_long_tau": lambda t: t.linalg.householder_product(t.ones(3, 2), t.ones(3)),
    "product_batch": lambda t: t.linalg.householder_product(
        t.ones(2, 3, 2), t.ones(3, 2)
    ),
    "product_ndim": lambda t: t.linalg.householder_product(t.ones(2, 3, 2), t.ones(2)),
    "product_dtype": lambda t: t.linalg.householder_product(
        t.ones(3, 2), t.ones(2, dtype=t.float64)
    ),
    "ormqr_other": lambda t: t.ormqr(t.ones(3, 3), t.ones(3), t.ones(2, 3)),
    "ormqr_tau": lambda t: t.ormqr(t.ones(3, 3), t.ones(2), t.ones(3, 3)),
    "ormqr_ndim": lambda t: t.ormqr(t.ones(2, 3, 2), t.ones(2, 2), t.ones(3, 3)),
    "ormqr_batch": lambda t: t.ormqr(t.ones(2, 3, 2), t.ones(2, 2), t.ones(1, 3, 3)),
    "ormqr_dtype": lambda t: t.ormqr(
        t.ones(3, 2), t.ones(2, dtype=t.float64), t.ones(3, 3)
    ),
    "lu_vector": lambda t: t.linalg.lu_factor(t.ones(3)),
    "lu_half": lambda t: t.linalg.lu_factor(t.ones(3, 3, dtype=t.float16)),
    "lu_pivot": lambda t: t.linalg.lu_factor(t.ones(3, 3), pivot=False),
    "lu_singular": lambda t: t.linalg.lu_factor(t.zeros(2, 3, 3)),
    "lu_singular_ex": lambda t: t.linalg.lu_factor_ex(t.zeros(3, 3), check_errors=True),
    "unpack_dtype": lambda t: t.lu_unpack(t.ones(3, 3), t.ones(3)),
    "unpack_range": lambda t: t.lu_unpack(t.ones(3, 3), t.zeros(3, dtype=t.int32)),
    "lu_solve_dtype": lambda t: t.linalg.lu_solve(
        t.ones(3, 3), t.ones(3), t.ones(3, 3)
    ),
    "lu_solve_pivots": lambda t: t.linalg.lu_solve(
        t.ones(3, 3), t.ones(2, dtype=t.int32), t.ones(3, 3)
    ),
    "lu_solve_shape": lambda t: t.linalg.lu_solve(
        t.ones(3, 3), t.ones(3, dtype=t.int32), t.ones(3, 4), left=False
    ),
    "lu_solve_range": lambda t: t.linalg.lu_solve(
        t.ones(3, 3), t.full((3,), 5, dtype=t.int32), t.ones(3, 3)
    ),
    "cholesky_ex": lambda t: t.linalg.cholesky_ex(t.zeros(3, 3), check_errors=True),
    "cholesky_batch": lambda t: t.linalg.cholesky(t.stack([t.eye(3), -t.eye(3)])),
    "inv_ex": lambda t: t.linalg.inv_ex(t.zeros(2, 3, 3), check_errors=True),
    "solve_ex": lambda t: t.linalg.solve_ex(
        t.zeros(3, 3), t.ones(3), check_errors=True
    ),
    "solve_wide": lambda t: t.linalg.solve_ex(t.ones(2, 3), t.ones(3)),
    "ldl_vector": lambda t: t.linalg.ldl_factor(t.ones(3)),
    "ldl_solve_pivots": lambda t: t.linalg.ldl_solve(
        t.ones(3, 3), t.ones(3), t.ones(3, 1)
    ),
    "ldl_solve_shape": lambda t: t.linalg.ldl_solve(
        t.ones(3, 3), t.ones(3, dtype=t.int32), t.ones(4, 1)
    ),
    "eig_wide": lambda t: t.linalg.eig(t.ones(2, 3)),
    "eig_long": lambda t: t.linalg.eigvals(t.ones(3, 3, dtype=t.int64)),
    "lstsq_vector": lambda t: t.linalg.lstsq(t.ones(3), t.ones(3)),
    "lstsq_shape": lambda t: t.linalg.lstsq(t.ones(3, 2), t.ones(4, 1)),
    "lstsq_driver": lambda t: t.linalg.lstsq(t.ones(3, 2), t.ones(3, 1), driver="x"),
    "lstsq_dtype": lambda t: t.linalg.lstsq(
        t.ones(3, 2), t.ones(3, 1, dtype=t.float64)
    ),
    "rank_vector": lambda t: t.linalg.matrix_rank(t.ones(3)),
    "cond_order": lambda t: t.linalg.cond(t.ones(3, 3), 3),
    "cond_name": lambda t: t.linalg.cond(t.ones(3, 3), "x"),
    "cond_wide": lambda t: t.linalg.cond(t.ones(2, 3), 1),
    "tensorinv_ind": lambda t: t.linalg.tensorinv(t.ones(3, 3), ind=0),
    "tensorinv_shape": lambda t: t.linalg.tensorinv(t.ones(3, 4), ind=1),
    "tensorsolve_shape": lambda t: t.linalg.tensorsolve(t.ones(2, 3), t.ones(2)),
    "vander_n": lambda t: t.linalg.vander(t.ones(3), N=1),
    "vander_half": lambda t: t.linalg.vander(t.ones(3, dtype=t.float16)),
    "svd_driver": lambda t: t.linalg.svd(t.ones(3, 3), driver="gesvd"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_texts(name):
    ours, theirs = both(ERRORS[name])
    assert isinstance(theirs, Exception)
    assert isinstance(ours, type(theirs)) or isinstance(ours, LinAlgError), ours
    assert str(ours) == str(theirs)


def test_eigenvalues_of_what_is_not_finite_are_an_error():
    bad = flashlight.full((2, 2), float("nan"))
    for f in (L.eig, L.eigvals):
        with pytest.raises(RuntimeError, match="should not contain infs or NaNs"):
            f(bad)
    with pytest.raises(LinAlgError, match="NaN"):
        L.lstsq(bad, bad)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 3, 4, 4), (0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_lu_multiplies_back(shape, dtype):
    a = to_ours(matrices(*shape, dtype=dtype))
    p, lower, upper = L.lu(a)
    assert flashlight.allclose(p @ lower @ upper, a, atol=1e-5)
    packed, pivots = L.lu_factor(a)
    parts = flashlight.lu_unpack(packed, pivots)
    for x, y in zip(parts, (p, lower, upper)):
        assert flashlight.equal(x, y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_eigenvectors_are(dtype):
    a = to_ours(matrices(2, 4, 4, dtype=dtype))
    values, vectors = L.eig(a)
    left = a.to(flashlight.complex64) @ vectors
    assert flashlight.allclose(left, vectors * values.unsqueeze(-2), atol=1e-4)
    norms = vectors.abs().square().sum(-2)
    assert flashlight.allclose(norms, flashlight.ones_like(norms), atol=1e-5)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3), (2, 5, 2)])
def test_complex_singular_vectors(shape, full):
    a = to_ours(matrices(*shape, dtype=torch.complex64))
    u, s, vh = L.svd(a, full_matrices=full)
    m, n, k = shape[-2], shape[-1], min(shape[-2:])
    assert u.shape[-1] == (m if full else k) and vh.shape[-2] == (n if full else k)
    assert flashlight.allclose(
        (u[..., :k] * s.unsqueeze(-2).to(u.dtype)) @ vh[..., :k, :], a, atol=1e-5
    )
    eye = flashlight.eye(u.shape[-1], dtype=u.dtype)
    assert flashlight.allclose(u.mH @ u, eye.expand_as(u.mH @ u), atol=1e-5)


@pytest.mark.parametrize("order", [1, -1, float("inf"), "fro", "nuc", 2, -2, None])
def test_cond(order):
    a = matrices(2, 3, 3)
    ours, theirs = both(lambda t, x: t.linalg.cond(x, order), a)
    same(ours, theirs, 1e-6, f"{order}: ")
    singular = torch.zeros(3, 3)
    ours, theirs = both(lambda t, x: t.linalg.cond(x, order), singular)
    same(ours, theirs, 1e-6, f"{order}: ")
    x = to_ours(a).requires_grad_()
    L.cond(x, order).sum().backward()
    assert x.grad.isfinite().all()


def test_cond_of_nothing_is_zero():
    for order in (None, 1, "fro"):
        ours, theirs = both(lambda t: t.linalg.cond(t.ones(2, 0, 0), order))
        same(ours, theirs, 0, f"{order}: ")


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)])
@pytest.mark.parametrize("hermitian", [False, True])
def test_pinv_is_differentiable_where_singular_values_repeat(shape, hermitian):
    a = torch.eye(*shape, dtype=torch.float64)
    if hermitian and shape[0] != shape[1]:
        pytest.skip("Hermitian matrices are square")

    def run(t, x):
        x = x.detach().requires_grad_()
        p = t.linalg.pinv(x, hermitian=hermitian)
        (p * p * t.arange(1, p.numel() + 1).view_as(p)).sum().backward()
        return p.detach(), x.grad

    ours, theirs = both(run, a)
    same(ours, theirs, 1e-6, "")


def test_pinv_of_hermitian_reads_the_lower_triangle():
    a = matrices(3, 3)
    ours, theirs = both(lambda t, x: t.linalg.pinv(x, hermitian=True), a)
    same(ours, theirs, 1e-6, "")


@pytest.mark.parametrize("driver", ["gels", "gelsy", "gelsd", "gelss"])
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (2, 5, 2), (0, 3), (3, 0)])
def test_lstsq_gives_all_that_torch_does(driver, shape):
    a = matrices(*shape)
    for b in (matrices(*shape[:-1], 2, seed=1), matrices(*shape[:-1], seed=2)):
        ours, theirs = both(lambda t, a, b: t.linalg.lstsq(a, b, driver=driver), a, b)
        if isinstance(theirs, Exception):
            assert str(ours) == str(theirs)
            continue
        same(ours, theirs, 1e-6, f"{driver} {shape}: ")


def test_lu_by_its_older_name():
    a = matrices(2, 3, 3)
    for infos in (False, True):
        ours, theirs = both(lambda t, x: t.lu(x, get_infos=infos), a)
        same(ours, theirs, 1e-6, "")
        ours, theirs = both(lambda t, x: x.lu(get_infos=infos), a)
        same(ours, theirs, 1e-6, "")
    x = to_ours(a)
    out = (flashlight.empty(0), flashlight.empty(0, dtype=flashlight.int32))
    out = (out[0].double(), out[1])
    assert flashlight.lu(x, out=out) is out
    assert flashlight.equal(out[0], flashlight.lu(x)[0])


def test_factors_are_those_of_lapack():
    """What other programs read of them: R above, reflectors below, pivots from 1."""
    a = matrices(5, 3)
    packed, tau = both(lambda t, x: t.geqrf(x), a)[0]
    q = L.householder_product(packed, tau)
    r = packed[:3].triu()
    np.testing.assert_allclose((q @ r).numpy(), a.numpy(), atol=1e-10)
    c = to_ours(matrices(5, 2, seed=3))
    full = L.qr(to_ours(a), mode="complete")[0]
    for flip in (False, True):
        expected = (full.mT if flip else full) @ c
        got = flashlight.ormqr(packed, tau, c, transpose=flip)
        np.testing.assert_allclose(got.numpy(), expected.numpy(), atol=1e-10)


def test_large_systems_are_solved_by_blocks():
    n = 300
    a = matrices(n, n, dtype=torch.float32) + n**0.5 * torch.eye(n)
    b = matrices(n, 4, dtype=torch.float32, seed=1)
    x = L.solve(to_ours(a), to_ours(b))
    same(x, torch.linalg.solve(a, b), 1e-4, "")
    assert len(flat(L.eig(to_ours(a)))) == 2
