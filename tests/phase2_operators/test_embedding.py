"""Bags of embeddings whose padding counts for nothing, in value and in gradients."""

import pytest
import torch

import flashlight


@pytest.mark.parametrize("padding", [None, 1, -1])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_padding_of_bags(mode, padding):
    seen = []
    for t in (flashlight, torch):
        w = t.arange(12.0).reshape(4, 3).requires_grad_()
        each = t.tensor([1.0, 2.0, 3.0, 4.0, 5.0], requires_grad=mode == "sum")
        out = t.nn.functional.embedding_bag(
            t.tensor([0, 1, 2, 1, 3]),
            w,
            t.tensor([0, 2, 4]),
            mode=mode,
            per_sample_weights=each if mode == "sum" else None,
            padding_idx=padding,
        )
        (out * out).sum().backward()
        grad = each.grad.tolist() if mode == "sum" else None
        seen.append([out.tolist(), w.grad.tolist(), grad])
    assert seen[0] == seen[1]
