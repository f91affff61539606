"""Carries arguments and results between PyTorch and flashlight, through numpy."""

import numpy as np
import torch
from comparing import compare_scripts

import flashlight

__all__ = [
    "assert_close",
    "compare_scripts",
    "load_torch_state",
    "tensors",
    "to_fl",
    "to_np",
]


def to_fl(x, memo=None):
    """Return ``x`` with PyTorch's tensors, dtypes and modules made flashlight's.

    A tensor that occurs twice becomes one tensor that occurs twice.
    """
    memo = {} if memo is None else memo
    if isinstance(x, torch.Tensor):
        if x.is_sparse:
            return to_fl(x.to_dense()).to_sparse()
        if id(x) not in memo:
            t = flashlight.from_numpy(x.detach().numpy().copy())
            # The original is kept alive too, so that its id stays its own.
            memo[id(x)] = (t.requires_grad_(x.requires_grad), x)
        return memo[id(x)][0]
    if isinstance(x, torch.dtype):
        return getattr(flashlight, str(x).removeprefix("torch."))
    if isinstance(x, torch.device):
        return str(x)
    if isinstance(x, torch.nn.utils.rnn.PackedSequence):
        return flashlight.nn.utils.rnn.PackedSequence(*map(to_fl, x))
    if isinstance(x, torch.nn.TransformerEncoderLayer):
        return _encoder_layer(x)
    if isinstance(x, torch.nn.Module):
        return getattr(flashlight.nn, type(x).__name__)()
    if callable(x) and hasattr(flashlight.nn.functional, getattr(x, "__name__", "")):
        return getattr(flashlight.nn.functional, x.__name__)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(to_fl(v, memo) for v in x))
    if isinstance(x, (list, tuple)):
        return type(x)(to_fl(v, memo) for v in x)
    if isinstance(x, dict):
        return {k: to_fl(v, memo) for k, v in x.items()}
    return x


def _encoder_layer(layer):
    attn = layer.self_attn
    out = flashlight.nn.TransformerEncoderLayer(
        attn.embed_dim,
        attn.num_heads,
        layer.linear1.out_features,
        layer.dropout.p,
        layer.activation.__name__,
        layer.norm1.eps,
        attn.batch_first,
        layer.norm_first,
        layer.linear1.bias is not None,
    )
    load_torch_state(out, layer)
    return out


def load_torch_state(module, torch_module) -> None:
    """Load the state of PyTorch's module into ours."""
    state = {
        k: to_fl(v)
        for k, v in torch_module.state_dict().items()
        if isinstance(v, torch.Tensor)
    }
    module.load_state_dict(state)


def tensors(x):
    """Return the tensors of either library in a nest, in order."""
    if isinstance(x, (torch.Tensor, flashlight.Tensor)):
        return [x]
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (list, tuple)):
        return [t for part in x for t in tensors(part)]
    return []


def to_np(x):
    return x.detach().numpy()


def assert_close(actual, expected, rtol=1e-5, atol=1e-6, what="") -> None:
    """Compare nests of tensors: number, shapes, dtypes and values."""
    actual, expected = tensors(actual), tensors(expected)
    assert len(actual) == len(expected), what
    for a, e in zip(actual, expected):
        assert tuple(a.shape) == tuple(e.shape), what
        assert str(a.dtype) == str(e.dtype), what
        np.testing.assert_allclose(
            to_np(a), to_np(e), rtol=rtol, atol=atol, err_msg=what
        )
