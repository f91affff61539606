"""Recurrent layers of the same weights: dropout between layers, packed sequences."""

import pytest
import torch
from nn_bridge import assert_close, load_torch_state, to_fl

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

KINDS = ["RNN", "LSTM", "GRU"]


def made(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pair(kind, *args, **kwargs):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(*args, **kwargs)
    ours = getattr(flashlight.nn, kind)(*args, **kwargs)
    load_torch_state(ours, theirs)
    return ours, theirs


def compare(ours, theirs, run):
    """The tensors that `run(library, module)` gives, and all gradients."""
    results = []
    for t, module in ((flashlight, ours), (torch, theirs)):
        t.manual_seed(3)
        outputs = run(t, module)
        sum((x * x).sum() for x in outputs).backward()
        results.append([x.detach() for x in outputs])
    assert_close(*results, rtol=1e-5, atol=1e-5)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters()):
        assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4, what=name)


def flat(output, states):
    return [output, *(states if isinstance(states, tuple) else (states,))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_between_layers(kind, bidirectional):
    ours, theirs = pair(
        kind, 5, 4, num_layers=3, dropout=0.4, bidirectional=bidirectional
    )
    x = made(6, 3, 5)
    compare(ours, theirs, lambda t, m: flat(*m(x if t is torch else to_fl(x))))
    ours.eval(), theirs.eval()
    assert_close(ours(to_fl(x))[0], theirs(x)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_packed_sequences(kind, bidirectional, batch_first):
    """Each sample's result depends on its own steps alone, in both directions."""
    ours, theirs = pair(
        *(kind, 5, 4, 2), bidirectional=bidirectional, batch_first=batch_first
    )
    x = made(3, 6, 5) if batch_first else made(6, 3, 5)

    def run(t, module):
        given = x if t is torch else to_fl(x)
        rnn = t.nn.utils.rnn
        packed = rnn.pack_padded_sequence(given, [6, 4, 1], batch_first=batch_first)
        output, states = module(packed)
        padded, lengths = rnn.pad_packed_sequence(output, batch_first=batch_first)
        assert lengths.tolist() == [6, 4, 1]
        return flat(padded, states)

    compare(ours, theirs, run)


@pytest.mark.parametrize("proj_size", [0, 2])
def test_states_are_carried_on(proj_size):
    """Two halves in turn are the whole; a sequence without a batch is one of it."""
    ours, _ = pair("LSTM", 5, 4, num_layers=2, proj_size=proj_size)
    x = to_fl(made(6, 3, 5))
    whole, (h, c) = ours(x)
    first, state = ours(x[:2])
    second, (h2, c2) = ours(x[2:], state)
    joined = flashlight.cat([first, second])
    for a, b in ((joined, whole), (h2, h), (c2, c), (ours(x[:, 1])[0], whole[:, 1])):
        assert flashlight.allclose(a, b, atol=1e-6)
