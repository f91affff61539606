"""Random numbers: PyTorch's own, bit for bit, and its generator's state after."""

import pytest
import torch

import flashlight


@pytest.mark.parity
@pytest.mark.parametrize("seed", [0, 7, -1, 2**40])
@pytest.mark.parametrize("n", [0, 1, 5, 15, 16, 17, 100, 1000])
def test_streams_are_equal(seed, n):
    def run(t):
        t.manual_seed(seed)
        out = [
            t.rand(n),
            t.randn(n),
            t.randn(n, dtype=t.float64),
            t.randint(-5, 1000, (n,)),
            t.randperm(n),
            t.empty(n).uniform_(-2, 3),
            t.empty(n).normal_(1, 2),
            t.empty(n, 3).t().normal_(),
        ]
        return [x.tolist() for x in out], t.get_rng_state().tolist()

    assert run(flashlight) == run(torch)


@pytest.mark.parity
def test_a_generator_of_its_own():
    def run(t):
        g = t.Generator().manual_seed(3)
        first = t.rand(4, generator=g).tolist()
        state = g.get_state()
        second = t.rand(4, generator=g).tolist()
        g.set_state(state)
        return first, second, t.rand(4, generator=g).tolist(), g.initial_seed()

    assert run(flashlight) == run(torch)


def draws(t):
    """A draw of everything, in several dtypes and orders of memory."""
    out = []
    for kind in ("float32", "float64", "float16", "bfloat16"):
        for shape in ((3,), (4, 5), (2, 3, 4, 5), (17, 33)):
            t.manual_seed(5)
            x = t.empty(shape, dtype=getattr(t, kind)).uniform_()
            out += [
                t.bernoulli(x),
                t.bernoulli(x, 0.3),
                t.rand_like(x),
                t.randn_like(x),
                t.randint_like(x, -3, 9),
                t.normal(x, 2.0),
                t.normal(x, x),
                t.poisson(x * 90),
                t.dropout(x, 0.3, True),
                t.alpha_dropout(x, 0.3, True),
                *t.native_dropout(x, 0.4, True),
            ]
            for name, args in (
                ("bernoulli_", (0.7,)),
                ("bernoulli_", (x,)),
                ("exponential_", (2,)),
                ("cauchy_", (1, 2)),
                ("log_normal_", (0.5, 0.2)),
                ("geometric_", (0.3,)),
                ("random_", ()),
                ("random_", (7,)),
                ("random_", (-5, 90)),
            ):
                out.append(getattr(x.clone(), name)(*args))
            if x.dim() > 1:
                y = x.transpose(0, 1)
                out += [
                    t.feature_dropout(x, 0.5, True),
                    t.feature_alpha_dropout(x, 0.5, True),
                    t.dropout(y, 0.3, True),
                    t.bernoulli(y),
                    t.randn_like(y),
                    x.clone().transpose(0, 1).normal_(),
                    x.clone().transpose(0, 1).bernoulli_(y),
                    x.clone()[:, ::2].uniform_(),
                ]
            if x.dim() == 2:
                for replacement in (True, False):
                    out += [
                        t.multinomial(p, n, replacement)
                        for p in (x, x.t(), x[0])
                        for n in (1, 2)
                    ]
    for kind in ("int64", "int32", "uint8", "bool", "int8", "int16"):
        x = t.zeros((4, 7), dtype=getattr(t, kind))
        out += [x.random_().clone(), x.random_(2).clone(), x.bernoulli_(0.4).clone()]
        out.append(t.randint(2, (3, 4), dtype=x.dtype))
    for n in (5, 20):
        out.append(t.view_as_real(t.randn(n, dtype=t.complex64)))
    wide = t.empty(3, dtype=t.float64)
    out += [t.rand(3, out=wide).clone(), t.randn(3, out=wide).clone()]
    out += [t.randint(4, (3,), out=wide).clone(), t.randperm(3, out=wide).clone()]
    return [(tuple(x.stride()), x.tolist()) for x in (*out, t.get_rng_state())]


@pytest.mark.parity
def test_every_draw_is_equal():
    for ours, theirs in zip(draws(flashlight), draws(torch), strict=True):
        assert ours == theirs


@pytest.mark.parity
def test_errors_of_draws_are_pytorchs():
    def texts(t):
        x, i = t.zeros(3), t.zeros(3, dtype=t.int64)
        calls = [
            lambda: t.dropout(x, 2, True),
            lambda: t.dropout(i, 0.5, True),
            lambda: t.feature_dropout(x, 0.5, True),
            lambda: t.normal(x, -1.0),
            lambda: t.normal(x, x - 1),
            lambda: t.bernoulli(i),
            lambda: t.bernoulli(x, 2),
            lambda: t.rand_like(i),
            lambda: t.rand(2, out=t.zeros(2, dtype=t.float64), dtype=t.float32),
            lambda: t.poisson(x - 1),
            lambda: t.binomial(i, i),
            lambda: t.binomial(x, x.to(t.float64)),
            lambda: i.exponential_(),
            lambda: i.cauchy_(),
            lambda: i.log_normal_(),
            lambda: x.geometric_(2),
            lambda: t.multinomial(x + 1, 2, out=x),
            lambda: t.zeros(3, dtype=t.complex64).random_(),
        ]
        found = []
        for call in calls:
            with pytest.raises((RuntimeError, ValueError)) as e:
                call()
            found.append((type(e.value).__name__, str(e.value)))
        return found

    assert texts(flashlight) == texts(torch)
