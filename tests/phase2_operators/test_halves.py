"""float16 and bfloat16 round where PyTorch rounds: once, after float32 arithmetic."""

import pytest
import torch

import flashlight

CALLS = {
    "addmm": lambda t, x: t.addmm(x["c"], x["a"], x["b"], beta=1.3, alpha=-0.7),
    "addmm, beta 0": lambda t, x: t.addmm(x["nan"], x["a"], x["b"], beta=0, alpha=3),
    "linear": lambda t, x: t.nn.functional.linear(x["a"], x["b"].t(), x["c"][0]),
    "addmv": lambda t, x: t.addmv(x["u"], x["a"], x["v"], beta=1.3, alpha=-0.7),
    "addbmm": lambda t, x: t.addbmm(x["c"], x["a3"], x["b3"], beta=1.3, alpha=-0.7),
    "baddbmm": lambda t, x: t.baddbmm(x["c"], x["a3"], x["b3"], beta=1.3, alpha=-0.7),
    "addr": lambda t, x: t.addr(x["a"], x["u"], x["v"], beta=1.3, alpha=-0.7),
    "addcmul": lambda t, x: t.addcmul(x["a"], x["d"], x["d"], value=-0.7),
    "addcdiv": lambda t, x: t.addcdiv(x["a"], x["a"], x["d"], value=-0.7),
    "lerp": lambda t, x: t.lerp(x["a"], x["d"], 0.3),
    "lerp, by a tensor": lambda t, x: t.lerp(x["a"], x["d"], x["d"]),
    "times a number": lambda t, x: x["a"] * 0.3,
    "a number times": lambda t, x: 0.3 * x["a"],
    "over a number": lambda t, x: x["a"] / 0.3,
    "times a number, in place": lambda t, x: x["a"].clone().mul_(0.3),
}


def arguments(dtype):
    torch.manual_seed(0)
    sizes = {"a": (16, 7), "b": (7, 16), "c": (16, 16), "d": (16, 7), "u": (16,)}
    sizes |= {"v": (7,), "a3": (3, 16, 7), "b3": (3, 7, 16)}
    x = {k: torch.randn(s).to(dtype) for k, s in sizes.items()}
    x["nan"] = x["c"] * float("nan")
    return x


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", CALLS)
def test_rounding(name, dtype):
    x = arguments(getattr(torch, dtype))
    mine = {
        k: flashlight.from_numpy(t.float().numpy()).to(getattr(flashlight, dtype))
        for k, t in x.items()
    }
    theirs, ours = CALLS[name](torch, x), CALLS[name](flashlight, mine)
    assert str(ours.dtype).split(".")[1] == dtype
    # A last bit may differ where float32 sums are added up in another order.
    wrong = theirs.float().numpy() != ours.float().numpy()
    assert wrong.mean() < 0.01
