"""grad_fn of what each row gives has the name that it has in torch."""

import pytest
import torch
from registry import flat, native
from test_registry import ROWS, reach

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
# What these are made of differs (one formula for several ops of PyTorch, or parts where
# it has a formula for the whole): their gradients are compared in test_registry.py.
OTHER_PARTS = set("""
    _addmm_activation _chunk_cat _pack_padded_sequence _pad_circular
    _pad_packed_sequence _softmax_backward_data _unsafe_masked_index
    _unsafe_masked_index_put_accumulate _weight_norm block_diag cdist cholesky
    clamp.Tensor clip.Tensor conv_tbc cumulative_trapezoid.x deg2rad detach_copy diff
    dist frobenius_norm.dim gru.input gru_cell kron linalg_cond linalg_cond.p_str
    linalg_lu linalg_lu_solve linalg_matrix_power linalg_solve linalg_solve_ex
    linalg_tensorinv linear logdet lstm.input lstm_cell lu_solve lu_unpack matrix_power
    mvlgamma nanquantile nanquantile.scalar native_channel_shuffle norm_except_dim
    nuclear_norm nuclear_norm.dim pad_sequence pairwise_distance pdist quantile
    quantile.scalar rad2deg renorm repeat_interleave.self_int rms_norm rnn_relu.input
    rnn_tanh.input rot90 special_multigammaln special_ndtr stft tile trapezoid.dx
    trapezoid.x trapz.dx trapz.x triangular_solve vander
    """.split())
# Rows of ours that others are made of, under names that PyTorch has as well.
HELPERS = {
    *("_ctc_loss", "_euclidean_dist", "_fused_rms_norm", "_linalg_svd"),
    "_prelu_kernel",
}
SAMPLES = 3


def leaves(x, library):
    """The same arguments, with floats that require gradients."""
    if isinstance(x, library.Tensor):
        float_like = x.is_floating_point() or x.is_complex()
        return x.detach().clone().requires_grad_(float_like)
    if isinstance(x, (list, tuple)):
        return type(x)(leaves(y, library) for y in x)
    if isinstance(x, dict):
        return {k: leaves(v, library) for k, v in x.items()}
    return x


def outcome(call, args, kwargs, library):
    try:
        result = call(*leaves(args, library), **leaves(kwargs, library))
    except Exception as error:
        return error
    return [
        x.grad_fn.name() if x.grad_fn is not None else x.requires_grad
        for x in flat(result)
        if isinstance(x, library.Tensor)
    ]


def compared(name):
    """[torch's, ours] of each sample."""
    mine, torchs = native(ROWS[name])
    for case, args, kwargs, _ in reach(name, torch.float32, SAMPLES):
        of_torch, of_ours = (torchs, mine) if case.direct else (case.theirs, case.ours)
        theirs = outcome(of_torch, case.args, case.kwargs, torch)
        if isinstance(theirs, Exception):
            continue  # what takes no leaf (buffers that it writes to)
        ours = outcome(of_ours, args, kwargs, flashlight)
        yield [theirs, ours]


@pytest.mark.parametrize("name", [n for n in ROWS if n not in OTHER_PARTS | HELPERS])
def test_names(name):
    for theirs, ours in compared(name):
        assert theirs == ours, name


def test_what_differs_is_listed():
    """A row that has come to agree goes from the list."""
    agree = [n for n in OTHER_PARTS if all(a == b for a, b in compared(n))]
    assert not agree, sorted(agree)
