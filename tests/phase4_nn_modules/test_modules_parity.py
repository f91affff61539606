"""Every module of PyTorch's own database: repr, state, forward and gradients."""

import warnings

import numpy as np
import pytest
import torch
from nn_bridge import assert_close, load_torch_state, tensors, to_fl
from torch.testing._internal.common_modules import module_db

import flashlight

pytestmark = pytest.mark.parity

# Samples of a module that are tried; the database has thousands for some.
MAX_SAMPLES = 24
INFOS = {info.name.removeprefix("nn."): info for info in module_db}


def _samples(info, training):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = info.module_inputs_func(
            info,
            device="cpu",
            dtype=torch.float32,
            requires_grad=True,
            training=training,
        )
    step = max(1, len(samples) // MAX_SAMPLES)
    return samples[::step]


def _is_lazy(module):
    return any(
        isinstance(p, torch.nn.parameter.UninitializedTensorMixin)
        for p in [*module.parameters(), *module.buffers()]
    )


def _build(info, sample):
    args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
    torch.manual_seed(0)
    expected = info.module_cls(*args, **kwargs).to(torch.float32)
    cls = getattr(flashlight.nn, info.module_cls.__name__)
    fl_args, fl_kwargs = to_fl(args), to_fl(kwargs)
    flashlight.manual_seed(0)
    return cls(*fl_args, **fl_kwargs).to(flashlight.float32), expected


def _call(module, lib, args, kwargs):
    lib.manual_seed(1)
    return module(*args, **kwargs)


def _backward(lib, output):
    """Go back from a weighted sum of the outputs; the weights tell elements apart."""
    total = None
    for out in tensors(output):
        if not out.requires_grad:
            continue
        weight = np.linspace(0.5, 1.5, max(1, out.numel()), dtype="float32")
        weight = lib.from_numpy(weight[: out.numel()].reshape(tuple(out.shape)))
        part = (out * weight).sum()
        total = part if total is None else total + part
    if total is not None:
        total.backward()
    return total is not None


def _leaves(module, inputs):
    return [*module.parameters(), *(t for t in tensors(inputs) if t.requires_grad)]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", sorted(INFOS))
@pytest.mark.filterwarnings("ignore")
def test_module(name, training):
    info = INFOS[name]
    checked = 0
    for sample in _samples(info, training):
        what = f"{name} {sample.constructor_input} {sample.desc}"
        module, expected = _build(info, sample)
        assert repr(module) == repr(expected), what
        assert list(module.state_dict()) == list(expected.state_dict()), what
        if not _is_lazy(expected):
            # The same seed gives the same weights.
            assert_close(
                list(module.parameters()), list(expected.parameters()), what=what
            )
            load_torch_state(module, expected)
        if sample.forward_input is None:
            continue
        module.train(training)
        expected.train(training)
        args, kwargs = sample.forward_input.args, sample.forward_input.kwargs
        fl_args, fl_kwargs = to_fl(args), to_fl(kwargs)
        want = _call(expected, torch, args, kwargs)
        got = _call(module, flashlight, fl_args, fl_kwargs)
        assert type(module).__name__ == type(expected).__name__, what
        assert_close(got, want, rtol=1e-4, atol=1e-5, what=what)
        assert_close(
            list(module.buffers()), list(expected.buffers()), rtol=1e-4, what=what
        )
        assert _backward(flashlight, got) == _backward(torch, want), what
        for a, e in zip(
            _leaves(module, [fl_args, fl_kwargs]), _leaves(expected, [args, kwargs])
        ):
            if not e.is_leaf:  # the database computed this input from another
                continue
            assert (a.grad is None) == (e.grad is None), what
            if e.grad is not None:
                assert_close(a.grad, e.grad, rtol=1e-3, atol=1e-4, what=what)
        checked += 1
    assert checked, f"no sample of {name} was run"


def test_every_module_of_torch_is_here():
    missing = [i for i in INFOS.values() if not hasattr(flashlight.nn, i.name[3:])]
    assert [i.name for i in missing] == []


@pytest.mark.parametrize(
    "name", sorted(n for n, i in INFOS.items() if i.module_error_inputs_func)
)
@pytest.mark.filterwarnings("ignore")
def test_error_inputs(name):
    info = INFOS[name]
    for error in info.module_error_inputs_func(
        info, device="cpu", dtype=torch.float32, requires_grad=False, training=False
    ):
        sample = error.module_error_input
        args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
        cls = getattr(flashlight.nn, info.module_cls.__name__)

        def run():
            module = cls(*to_fl(args), **to_fl(kwargs))
            inputs = sample.forward_input
            if error.error_on.name == "FORWARD_ERROR":
                module(*to_fl(inputs.args), **to_fl(inputs.kwargs))

        with pytest.raises(error.error_type, match=error.error_regex):
            run()
