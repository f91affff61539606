"""nn.utils: clipping, vectors, parametrizations, packed sequences, functional_call."""

import numpy as np
import pytest
import torch
from nn_bridge import assert_close, compare_scripts, load_torch_state, to_fl

import flashlight

pytestmark = pytest.mark.parity


def test_clipping_and_vectors():
    def script(lib, log, fails):
        m = lib.nn.Linear(3, 2)
        lib.nn.init.ones_(m.weight)
        lib.nn.init.ones_(m.bias)
        (m(lib.arange(3.0)) * lib.tensor([1.0, -3.0])).sum().backward()
        u = lib.nn.utils
        log(u.clip_grad_norm_(m.parameters(), 2.0), m.weight.grad, m.bias.grad)
        log(u.clip_grad_norm_(m.parameters(), 100.0, norm_type=float("inf")))
        u.clip_grad_value_(m.parameters(), 0.5)
        log(m.weight.grad)
        vec = u.parameters_to_vector(m.parameters())
        u.vector_to_parameters(vec * 2, m.parameters())
        log(vec, m.weight, m.bias)
        m.weight.grad.fill_(float("nan"))
        fails(lambda: u.clip_grad_norm_(m.parameters(), 1.0, error_if_nonfinite=True))

    compare_scripts(script)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_parametrizations(kind):
    def script(lib, log, fails):
        lib.manual_seed(0)
        m = lib.nn.Linear(3, 4)
        getattr(lib.nn.utils.parametrizations, kind)(m)
        log(m, list(m.state_dict()), type(m).__name__)
        is_parametrized = lib.nn.utils.parametrize.is_parametrized
        log(is_parametrized(m), is_parametrized(m, "bias"))
        lib.nn.utils.parametrize.remove_parametrizations(m, "weight")
        log(m, list(m.state_dict()))
        fails(lambda: lib.nn.utils.parametrize.remove_parametrizations(m, "weight"))

    compare_scripts(script)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_parametrized_values_and_gradients(kind):
    expected = torch.nn.Linear(3, 4)
    module = flashlight.nn.Linear(3, 4)
    getattr(torch.nn.utils.parametrizations, kind)(expected)
    getattr(flashlight.nn.utils.parametrizations, kind)(module)
    load_torch_state(module, expected)
    x = torch.randn(5, 3)
    want, got = expected(x), module(to_fl(x))
    assert_close(got, want)
    want.square().sum().backward()
    (got * got).sum().backward()
    assert_close(
        [p.grad for p in module.parameters()],
        [p.grad for p in expected.parameters()],
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_orthogonal_parametrization(shape):
    m = flashlight.nn.Linear(*shape)
    flashlight.nn.utils.parametrizations.orthogonal(m)
    w = m.weight.detach().numpy()
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-5)


def test_custom_parametrization_and_cache():
    def script(lib, log, fails):
        class Double(lib.nn.Module):
            calls = 0

            def forward(self, x):
                Double.calls += 1
                return x * 2

            def right_inverse(self, y):
                return y / 2

        P = lib.nn.utils.parametrize
        m = lib.nn.Linear(2, 2, bias=False)
        lib.nn.init.ones_(m.weight)
        P.register_parametrization(m, "weight", Double())
        log(m.weight, m.parametrizations.weight.original)
        m.weight = lib.full((2, 2), 6.0)
        log(m.parametrizations.weight.original)
        Double.calls = 0
        with P.cached():
            m.weight, m.weight
        log(Double.calls)
        fails(lambda: P.register_parametrization(m, "nothing", Double()))

    compare_scripts(script)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_packed_sequences(batch_first, enforce_sorted):
    def script(lib, log, fails):
        rnn = lib.nn.utils.rnn
        lengths = [4, 3, 1] if enforce_sorted else [3, 1, 4]
        seqs = [lib.arange(float(n * 2)).reshape(n, 2) for n in lengths]
        padded = rnn.pad_sequence(seqs, batch_first=batch_first, padding_value=-1)
        log(padded)
        packed = rnn.pack_padded_sequence(padded, lengths, batch_first, enforce_sorted)
        log(packed.data, packed.batch_sizes)
        log(*rnn.pad_packed_sequence(packed, batch_first, -2.0, total_length=5))
        log([s.tolist() for s in rnn.unpack_sequence(packed)])
        fails(lambda: rnn.pad_packed_sequence(packed, total_length=2))

    compare_scripts(script)


def test_functional_call():
    from torch.nn.utils.stateless import _functional_call as torch_call

    from flashlight.nn.utils.stateless import _functional_call

    expected, module = torch.nn.Linear(2, 2), flashlight.nn.Linear(2, 2)
    before = module.weight
    new = {"weight": torch.eye(2) * 3, "bias": torch.ones(2)}
    x = torch.arange(2.0)
    assert_close(
        _functional_call(module, to_fl(new), to_fl(x)), torch_call(expected, new, x)
    )
    assert module.weight is before
    with pytest.raises(RuntimeError, match="Missing key"):
        _functional_call(module, {"weight": before}, to_fl(x), strict=True)


def test_fusion_gives_the_same_output():
    conv, bn = flashlight.nn.Conv2d(3, 4, 3), flashlight.nn.BatchNorm2d(4)
    x = flashlight.randn(2, 3, 6, 6)
    bn(conv(x))  # moves the running statistics away from 0 and 1
    conv.eval(), bn.eval()
    fused = flashlight.nn.utils.fuse_conv_bn_eval(conv, bn)
    assert_close(fused(x), bn(conv(x)), rtol=1e-4, atol=1e-5)
