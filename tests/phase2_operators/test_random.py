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
