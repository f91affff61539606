"""Singular values and components of large matrices, by random projections.

"Finding structure with randomness" (Halko, Martinsson, Tropp), algorithm 4.4 and on.
"""

import flashlight
from flashlight.overrides import handle_torch_function, has_torch_function

__all__ = ["svd_lowrank", "pca_lowrank", "get_approximate_basis"]


def get_approximate_basis(A, q, niter=2, M=None):
    """Columns, at right angles, that nearly span what A - M does.

    Args:
        A: (..., m, n).
        q: How many columns.
        niter: How many times to multiply by A and its adjoint again.
        M: What to take from A, or None.

    Returns:
        (..., m, q).
    """
    niter = 2 if niter is None else niter
    dtype = A.dtype if A.is_floating_point() or A.is_complex() else None
    dtype = flashlight.get_default_dtype() if dtype is None else dtype
    R = flashlight.randn(A.shape[-1], q, dtype=dtype, device=A.device)

    def times(x):
        y = A @ x
        return y if M is None else y - M @ x

    def adjoint_times(x):
        y = A.mH @ x
        return y if M is None else y - M.mH @ x

    Q = flashlight.linalg.qr(times(R)).Q
    for _ in range(niter):
        Q = flashlight.linalg.qr(adjoint_times(Q)).Q
        Q = flashlight.linalg.qr(times(Q)).Q
    return Q


def svd_lowrank(A, q=6, niter=2, M=None):
    """The largest singular values of A - M, about, and their vectors.

    Args:
        A: (..., m, n).
        q: How many of them; a little more than the rank that A is thought to have.
        niter: How many times to multiply by A and its adjoint again.
        M: What to take from A, (..., m, n) or one that broadcasts; or None.

    Returns:
        U (..., m, q), S (..., q) and V (..., n, q).
    """
    tensors = (A,) if M is None else (A, M)
    if has_torch_function(tensors):
        return handle_torch_function(svd_lowrank, tensors, A, q=q, niter=niter, M=M)
    return _svd_lowrank(A, q, niter, M)


def _svd_lowrank(A, q=6, niter=2, M=None):
    q = 6 if q is None else q
    if M is not None:
        M = M.broadcast_to(A.size())
    # The smaller side is the one to multiply on.
    wide = A.shape[-2] < A.shape[-1]
    if wide:
        A = A.mH
        M = None if M is None else M.mH
    Q = get_approximate_basis(A, q, niter=niter, M=M)
    B = Q.mH @ A
    if M is not None:
        B = B - Q.mH @ M
    U, S, Vh = flashlight.linalg.svd(B, full_matrices=False)
    U, V = Q.matmul(U), Vh.mH
    return (V, S, U) if wide else (U, S, V)


def pca_lowrank(A, q=None, center=True, niter=2):
    """The principal components of rows of data, about.

    Args:
        A: (..., m, n): m samples of n numbers.
        q: How many; ``min(6, m, n)`` if None.
        center: Whether to take the mean from each column.
        niter: How many times to multiply by A and its adjoint again.

    Returns:
        U (..., m, q), S (..., q) and V (..., n, q): A's rows, multiplied by V, are
        the components.

    Raises:
        ValueError: q or niter is negative, or q is greater than ``min(m, n)``.
    """
    if has_torch_function((A,)):
        return handle_torch_function(
            pca_lowrank, (A,), A, q=q, center=center, niter=niter
        )
    m, n = A.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than "
            f"min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if not center:
        return _svd_lowrank(A, q, niter=niter, M=None)
    return _svd_lowrank(A - A.mean(dim=-2, keepdim=True), q, niter=niter, M=None)
