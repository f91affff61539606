"""Every optimizer of PyTorch's own database: trajectories, state, errors."""

import inspect
import re
import warnings

import numpy as np
import pytest
import torch
from nn_bridge import assert_close, compare_scripts, to_fl
from torch.testing._internal.common_optimizers import optim_db

import flashlight

pytestmark = pytest.mark.parity
INFOS = {info.optim_cls.__name__: info for info in optim_db}
STEPS = 10


def _inputs(info):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return info.optim_inputs_func(device="cpu")


SPARSE = pytest.mark.xfail(
    strict=True, reason="a sparse gradient cannot be assigned to .grad"
)
CASES = [
    pytest.param(
        name,
        i,
        id=f"{name}-{case.desc or i}",
        marks=[SPARSE] if name == "SparseAdam" else [],
    )
    for name, info in INFOS.items()
    for i, case in enumerate(_inputs(info))
]


def _params(lib, name):
    rng = np.random.RandomState(0)
    shapes = [(3, 4), (2, 5)] if name == "Muon" else [(3, 4), (5,)]
    return [
        lib.nn.Parameter(lib.from_numpy(rng.randn(*s).astype("float32")))
        for s in shapes
    ]


def _run(lib, cls, kwargs, steps, state=None):
    """Return the parameters and the optimizer after some steps."""
    params = _params(lib, cls.__name__)
    opt = cls(params, **kwargs)
    if state is not None:
        for p, value in zip(params, state["params"]):
            with lib.no_grad():
                p.copy_(value)
        opt.load_state_dict(state["opt"])

    def closure():
        opt.zero_grad()
        loss = sum((p * p).sum() + p.sin().sum() * 0.5 for p in params)
        loss.backward()
        if cls.__name__ == "SparseAdam":
            for p in params:
                p.grad = p.grad.to_sparse()
        return loss

    for _ in range(steps):
        if cls.__name__ == "LBFGS":
            opt.step(closure)
        else:
            closure()
            opt.step()
    return params, opt


@pytest.mark.parametrize("name, index", CASES)
def test_trajectory_and_state(name, index):
    info = INFOS[name]
    kwargs = _inputs(info)[index].kwargs
    cls = getattr(flashlight.optim, name)
    fl_kwargs = to_fl(kwargs)
    rtol, atol = 1e-5, 1e-6
    want, expected = _run(torch, info.optim_cls, kwargs, STEPS)
    got, opt = _run(flashlight, cls, fl_kwargs, STEPS)
    assert_close(got, want, rtol=rtol, atol=atol)
    assert any(
        not np.allclose(p.detach().numpy(), q.detach().numpy())
        for p, q in zip(got, _params(flashlight, name))
    )

    mine, theirs = opt.state_dict(), expected.state_dict()
    assert {k: list(v) for k, v in mine["state"].items()} == {
        k: list(v) for k, v in theirs["state"].items()
    }
    assert [sorted(g) for g in mine["param_groups"]] == [
        sorted(g) for g in theirs["param_groups"]
    ]
    assert repr(opt) == repr(expected)

    # Each goes on from the state of the other.
    to_mine = {"params": to_fl(want), "opt": to_fl(theirs)}
    got, _ = _run(flashlight, cls, fl_kwargs, 3, to_mine)
    to_theirs = {
        "params": [torch.from_numpy(p.detach().numpy().copy()) for p in to_fl(want)],
        "opt": theirs,
    }
    want, _ = _run(torch, info.optim_cls, kwargs, 3, to_theirs)
    assert_close(got, want, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", sorted(INFOS))
def test_signature_and_defaults(name):
    mine, theirs = getattr(flashlight.optim, name), INFOS[name].optim_cls

    def signature(cls):
        return [
            (p.name, p.kind, p.default)
            for p in inspect.signature(cls.__init__).parameters.values()
        ]

    assert signature(mine) == signature(theirs)


@pytest.mark.parametrize("name", sorted(INFOS))
def test_error_inputs(name):
    info = INFOS[name]
    checked = 0
    for error in info.optim_error_inputs_func("cpu", torch.float32):
        sample = error.optimizer_error_input
        if error.error_on.name != "CONSTRUCTION_ERROR" or (
            error.error_type is UserWarning
        ):
            continue
        with pytest.raises(Exception) as caught:
            getattr(flashlight.optim, name)(
                to_fl(sample.params), **to_fl(sample.kwargs)
            )
        assert isinstance(caught.value, error.error_type)
        assert re.search(error.error_regex, str(caught.value)), sample.desc
        checked += 1
    assert checked


def test_param_groups_hooks_and_errors():
    def script(lib, log, fails):
        a, b = (lib.nn.Parameter(lib.ones(2)) for _ in range(2))
        SGD = lib.optim.SGD
        opt = SGD([{"params": a}, {"params": [b], "lr": 0.5}], lr=0.1, momentum=0.9)
        log(opt, opt.state_dict())
        fails(lambda: opt.add_param_group({"params": a}))
        fails(lambda: opt.add_param_group([a]))
        fails(lambda: opt.add_param_group({"params": {a, b}}))
        fails(lambda: opt.add_param_group({"params": [3]}))
        fails(lambda: opt.add_param_group({"params": [a * 2]}))
        fails(lambda: SGD([], lr=0.1))
        fails(lambda: SGD(a, lr=0.1))
        fails(lambda: SGD([a], lr=-1))
        fails(lambda: opt.load_state_dict(SGD([a], lr=0.1).state_dict()))
        fails(lambda: lib.optim.Optimizer([a], {}).step())
        opt.register_step_pre_hook(lambda o, args, kwargs: log("pre"))
        opt.register_step_post_hook(lambda o, args, kwargs: log("post"))
        opt.register_state_dict_pre_hook(lambda o: log("sd pre"))
        opt.register_state_dict_post_hook(lambda o, sd: log("sd post", list(sd)))
        opt.register_load_state_dict_pre_hook(lambda o, sd: log("load pre"))
        opt.register_load_state_dict_post_hook(lambda o: log("load post"))
        (a.sum() * 2 + b.sum()).backward()
        log(opt.step(), a, b)
        opt.load_state_dict(opt.state_dict())
        opt.zero_grad(set_to_none=False)
        log(a.grad)
        opt.zero_grad()
        log(a.grad)
        named = SGD([("a", a), ("b", b)], lr=0.1)
        log(named.param_groups[0]["param_names"])
        fails(lambda: SGD([("a", a), b], lr=0.1))
        bad = SGD([a], lr=0.1)
        bad.register_step_pre_hook(lambda *args: 3)
        try:
            bad.step()
        except RuntimeError as e:
            log("must return None or a tuple" in str(e))

    compare_scripts(script)


def test_averaged_model_and_update_bn():
    def script(lib, log, fails):
        swa = lib.optim.swa_utils
        m = lib.nn.Linear(2, 1, bias=False)
        lib.nn.init.ones_(m.weight)
        models = [swa.AveragedModel(m)]
        models += [swa.AveragedModel(m, multi_avg_fn=swa.get_ema_multi_avg_fn(0.5))]
        models += [swa.AveragedModel(m, avg_fn=swa.get_ema_avg_fn(0.5))]
        for i in range(3):
            for avg in models:
                avg.update_parameters(m)
            with lib.no_grad():
                m.weight.mul_(2)
        for avg in models:
            log(avg.module.weight, avg.n_averaged)
        bn = lib.nn.BatchNorm1d(2)
        swa.update_bn([lib.arange(4.0).reshape(2, 2), lib.ones(3, 2)], bn)
        log(bn.running_mean, bn.momentum, bn.training)
        fails(lambda: swa.get_ema_avg_fn(2))

    compare_scripts(script)
