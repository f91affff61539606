"""nn.MultiheadAttention with each of its options beside torch's."""

import itertools

import pytest
import torch
from nn_bridge import assert_close, to_fl

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


def made(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g)


MASK = made(5, 6, seed=3) > 0
PADDING = torch.tensor([[False] * 6, [False, False, False, False, True, True]])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"add_bias_kv": True},
        {"add_zero_attn": True},
        {"kdim": 6, "vdim": 10},
        {"batch_first": True},
    ],
    ids=lambda o: "-".join(o) or "plain",
)
@pytest.mark.parametrize("need_weights", [False, True])
def test_multihead_attention(options, need_weights):
    """Modules of the same weights: outputs, weights and gradients of all of them."""
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(8, 2, **options)
    ours = flashlight.nn.MultiheadAttention(8, 2, **options)
    ours.load_state_dict({k: to_fl(v) for k, v in theirs.state_dict().items()})
    first = options.get("batch_first", False)
    q = made(5, 2, 8)
    k = made(6, 2, options.get("kdim", 8), seed=1)
    v = made(6, 2, options.get("vdim", 8), seed=2)
    if first:
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))
    masks = (None, MASK | True, ~MASK & (torch.arange(5) != 1)[:, None])
    for padding, mask, average in itertools.product(
        (None, PADDING), masks, (True, False)
    ):
        kwargs = {
            "key_padding_mask": padding,
            "attn_mask": None if mask is None else mask & (torch.arange(6) > 2),
            "need_weights": need_weights,
            "average_attn_weights": average,
        }
        results = []
        for t, module, args, given in (
            (torch, theirs, (q, k, v), kwargs),
            (flashlight, ours, to_fl((q, k, v)), to_fl(kwargs)),
        ):
            module.zero_grad()
            out, weights = module(*args, **given)
            ((out * out).sum() + (0 if weights is None else weights.sum())).backward()
            results.append(
                [out.detach(), *(p.grad for p in module.parameters())]
                + ([weights.detach()] if need_weights else [])
            )
            assert need_weights or weights is None
        for a, b in zip(*results[::-1]):
            assert_close(a, b, rtol=1e-4, atol=1e-4)
