"""Attention beside torch: masks, heads, errors, and MLX's fused kernel's formula."""

import pytest
import torch
from registry import to_ours, to_theirs

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


def made(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


Q, K, V = made(2, 4, 5, 8), made(2, 4, 6, 8, seed=1), made(2, 4, 6, 8, seed=2)
MASK = made(5, 6, seed=3) > 0
MASK[1] = False  # a query that may look at nothing


def attend(t, q, k, v, **kwargs):
    """The output, first and second derivatives."""
    q, k, v = (x.detach().clone().requires_grad_() for x in (q, k, v))
    if t is torch:  # its other kernels have no second derivative
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            out = t.nn.functional.scaled_dot_product_attention(q, k, v, **kwargs)
    else:
        out = t.nn.functional.scaled_dot_product_attention(q, k, v, **kwargs)
    first = t.autograd.grad((out * out).sum(), (q, k, v), create_graph=True)
    second = t.autograd.grad(sum((g * g).sum() for g in first), (q, k, v))
    return [x.detach() for x in (out, *first, *second)]


def check(q, k, v, **kwargs):
    theirs = attend(torch, q, k, v, **kwargs)
    ours = attend(flashlight, *to_ours((q, k, v)), **to_ours(kwargs))
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(to_theirs(a), b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "mask, is_causal",
    [(None, False), (None, True), ("bool", False), ("float", False)],
)
@pytest.mark.parametrize("scale", [None, 0.3])
def test_masks(mask, is_causal, scale):
    made = {None: None, "bool": MASK, "float": MASK.double().log()}[mask]
    check(Q, K, V, attn_mask=made, is_causal=is_causal, scale=scale)


def test_a_mask_has_a_gradient():
    def gradient(t, q, k, v, mask):
        mask = mask.detach().requires_grad_()
        out = t.nn.functional.scaled_dot_product_attention(q, k, v, mask)
        return t.autograd.grad((out * out).sum(), mask)[0]

    mask = made(4, 5, 6)
    theirs = gradient(torch, Q, K, V, mask)
    ours = gradient(flashlight, *to_ours((Q, K, V, mask)))
    torch.testing.assert_close(to_theirs(ours), theirs)


def test_mask_and_causal():
    f = torch.nn.functional.scaled_dot_product_attention
    theirs = f(Q, K, V, MASK, is_causal=True)
    g = flashlight.nn.functional.scaled_dot_product_attention
    ours = g(*to_ours((Q, K, V, MASK)), is_causal=True)
    torch.testing.assert_close(to_theirs(ours), theirs)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_groups_of_heads(heads):
    check(Q, K[:, :heads], V[:, :heads], enable_gqa=True)
    check(Q[0], K[0, :heads], V[0, :heads], enable_gqa=True)


def test_fewer_dimensions_and_broadcasting():
    check(Q[0, 0], K[0, 0], V[0, 0])
    check(Q, K[:1], V[:1])
    check(Q, K[0], V[0, :, :, :3])


def test_no_keys_give_zeros():
    f = torch.nn.functional.scaled_dot_product_attention
    g = flashlight.nn.functional.scaled_dot_product_attention
    args = (Q, K[:, :, :0], V[:, :, :0])
    torch.testing.assert_close(to_theirs(g(*to_ours(args))), f(*args))


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_fused(is_causal, dtype):
    """The formula that serves where MLX has a kernel: here it is its plain form."""
    q, k, v = Q[:, :, :, :4], K[:, :, :5, :4], V[:, :, :5, :4]

    def run(function, t, *args):
        inputs = [x.detach().clone().requires_grad_() for x in args]
        out = function(*inputs)
        return [out, *t.autograd.grad((out * out).sum(), inputs)]

    def theirs(q, k, v):
        f = torch.nn.functional.scaled_dot_product_attention
        return f(q, k, v, is_causal=is_causal, scale=0.4)

    def ours(q, k, v):
        return flashlight._fused_attention(q, k, v, is_causal, 0.4)

    args = tuple(x.to(dtype) for x in (q, k, v))
    expected, got = run(theirs, torch, *args), run(ours, flashlight, *to_ours(args))
    tolerance = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 6e-2}[dtype]
    for a, b in zip(got, expected):
        torch.testing.assert_close(
            to_theirs(a), b.detach(), rtol=tolerance, atol=tolerance
        )


def raised(t, args, kwargs):
    try:
        t.nn.functional.scaled_dot_product_attention(*args, **kwargs)
    except Exception as e:
        return type(e), str(e)
    return None


@pytest.mark.parametrize(
    "args, kwargs",
    [
        ((Q, K.float(), V), {}),
        ((Q[0, 0, 0], K, V), {}),
        ((Q.long(), K.long(), V.long()), {}),
        ((Q, K, V, MASK.long()), {}),
        ((Q, K, V, MASK.half()), {}),
        ((Q, K, V, MASK[None, None, None]), {}),
        ((Q, K, V), {"dropout_p": 1.5}),
        ((Q, K[:, :3], V[:, :3]), {"enable_gqa": True}),
        ((Q, K[:, :2], V[:, :2]), {}),
    ],
)
def test_errors(args, kwargs):
    theirs = raised(torch, args, kwargs)
    assert theirs is not None
    assert raised(flashlight, to_ours(args), to_ours(kwargs)) == theirs
