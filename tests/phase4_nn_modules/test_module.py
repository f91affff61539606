"""Module: registration, state, hooks, errors, as PyTorch's step by step."""

import copy
import pickle

import numpy as np
import pytest
from nn_bridge import compare_scripts

import flashlight
import flashlight.nn as nn


def net(lib):
    return lib.nn.Sequential(
        lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.ReLU(), lib.nn.Linear(4, 2)
    )


@pytest.mark.parity
def test_forward_hooks_order_and_replacement():
    def script(lib, log, fails):
        m = net(lib)
        m.register_forward_pre_hook(lambda mod, args: log("pre 1"))
        m.register_forward_pre_hook(
            lambda mod, args, kwargs: log("pre 0", kwargs),
            prepend=True,
            with_kwargs=True,
        )
        m.register_forward_hook(lambda mod, args, out: log("post 1", out.sum() * 0))
        m.register_forward_hook(lambda mod, args, out: out * 2)
        handle = m.register_forward_hook(
            lambda mod, args, kwargs, out: log("post 0"), prepend=True, with_kwargs=True
        )
        g = lib.nn.modules.module.register_module_forward_pre_hook(
            lambda mod, args: log("global pre", type(mod).__name__)
        )
        g2 = lib.nn.modules.module.register_module_forward_hook(
            lambda mod, args, out: log("global post", type(mod).__name__)
        )
        m.eval()
        log(m(lib.ones(2, 3)).shape)
        g.remove()
        g2.remove()
        handle.remove()
        log(m(lib.ones(2, 3)).shape)
        m.register_forward_pre_hook(lambda mod, a, k: 3, with_kwargs=True)
        fails(lambda: m(lib.ones(2, 3)))

    compare_scripts(script)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_always_call_hooks_run_after_an_error():
    def script(lib, log, fails):
        class Bad(lib.nn.Module):
            def forward(self, x):
                raise ValueError("bad forward")

        m = Bad()
        m.register_forward_hook(lambda *a: log("always", len(a)), always_call=True)
        m.register_forward_hook(lambda *a: log("never"))
        m.register_forward_hook(lambda *a: 1 / 0, always_call=True)
        fails(lambda: m(1))

    compare_scripts(script)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_backward_hooks():
    def script(lib, log, fails):
        m = lib.nn.Linear(3, 2)
        with lib.no_grad():
            m.weight.copy_(lib.arange(6.0).reshape(2, 3))
            m.bias.zero_()
        m.register_full_backward_pre_hook(
            lambda mod, go: log("pre", go[0]) or (go[0] * 2,)
        )
        m.register_full_backward_hook(lambda mod, gi, go: log("post", gi[0], go[0]))
        m.register_full_backward_hook(lambda mod, gi, go: (gi[0] * 10,))
        x = lib.ones(1, 3, requires_grad=True)
        m(x).sum().backward()
        log(x.grad, m.weight.grad)
        bad = lib.nn.Linear(3, 2)
        bad.register_full_backward_hook(lambda mod, gi, go: (gi[0], gi[0]))
        fails(lambda: bad(lib.ones(1, 3, requires_grad=True)).sum().backward())
        fails(lambda: bad.register_backward_hook(lambda *a: None))

    compare_scripts(script)


@pytest.mark.parity
def test_load_state_dict_messages():
    def script(lib, log, fails):
        m = net(lib)
        sd = m.state_dict()
        log(list(sd), {k: v for k, v in sd._metadata.items()})
        sd.pop("0.weight")
        sd["extra"] = lib.ones(1)
        sd["0.more"] = lib.ones(1)
        sd["3.bias"] = lib.ones(7)
        fails(lambda: m.load_state_dict(sd))
        sd["3.bias"] = lib.ones(2)
        log(m.load_state_dict(sd, strict=False))
        log(m.load_state_dict(m.state_dict()))
        sd["3.bias"] = 5
        fails(lambda: m.load_state_dict(sd, strict=False))
        fails(lambda: m.load_state_dict([1]))

    compare_scripts(script)


@pytest.mark.parity
def test_state_dict_hooks_extra_state_and_assign():
    def script(lib, log, fails):
        class Extra(lib.nn.Linear):
            def get_extra_state(self):
                return {"v": 3}

            def set_extra_state(self, state):
                log("set", state)

        m = Extra(2, 2)
        m.register_state_dict_pre_hook(lambda mod, prefix, keep: log("pre", prefix))
        m.register_state_dict_post_hook(
            lambda mod, sd, prefix, meta: log("post", list(sd), meta)
        )
        m.register_load_state_dict_pre_hook(
            lambda mod, sd, *rest: log("load pre", list(sd), len(rest))
        )
        m.register_load_state_dict_post_hook(lambda mod, keys: log("load post", keys))
        sd = m.state_dict()
        m.load_state_dict(sd)
        weight = lib.ones(2, 2)
        sd["weight"] = weight
        m.load_state_dict(sd, assign=True)
        log(m.weight.data_ptr() == weight.data_ptr(), type(m.weight).__name__)
        sd.pop("_extra_state")
        fails(lambda: m.load_state_dict(sd))
        m.register_state_dict_post_hook(lambda *a: 1)
        fails(lambda: m.state_dict())

    compare_scripts(script)


@pytest.mark.parity
def test_attribute_rules_and_error_texts():
    def script(lib, log, fails):
        nn_ = lib.nn

        class NoInit(nn_.Module):
            def __init__(self, value):
                self.x = value

        for value in (nn_.Parameter(lib.ones(1)), nn_.ReLU(), nn_.Buffer(lib.ones(1))):
            fails(lambda: NoInit(value))
        m = nn_.Linear(2, 2)
        fails(lambda: setattr(m, "weight", lib.ones(2, 2)))
        fails(lambda: setattr(m, "weight", 3))
        m.act = nn_.ReLU()
        fails(lambda: setattr(m, "act", 3))
        m.register_buffer("buf", lib.ones(2), persistent=False)
        fails(lambda: setattr(m, "buf", 3))
        m.buf = lib.zeros(2)
        log(m.buf, list(m.state_dict()), [n for n, _ in m.named_buffers()])
        for bad in ("a.b", "", "weight", 3):
            fails(lambda: m.register_parameter(bad, nn_.Parameter(lib.ones(1))))
            fails(lambda: m.register_buffer(bad, lib.ones(1)))
            fails(lambda: m.add_module(bad, nn_.ReLU()))
        fails(lambda: m.register_parameter("p", lib.ones(1)))
        fails(lambda: m.register_buffer("q", 3))
        fails(lambda: m.add_module("r", 3))
        fails(lambda: m.nothing)
        fails(lambda: m.get_submodule("act.x"))
        fails(lambda: m.get_submodule("weight"))
        fails(lambda: m.get_parameter("act"))
        fails(lambda: m.get_buffer("weight"))
        fails(lambda: m.train(3))
        fails(lambda: nn_.Module(3))
        fails(lambda: nn_.Module(a=3))
        fails(lambda: nn_.Module()(1))
        fails(lambda: m.to(lib.int32))
        m.weight = None
        log(m.weight, [n for n, _ in m.named_parameters()])
        m.act = None
        log(m)
        del m.buf
        fails(lambda: m.buf)
        m.b2 = nn_.Buffer(lib.ones(1), persistent=False)
        log([n for n, _ in m.named_buffers()], "b2" in m.state_dict())
        m.b2 = nn_.Parameter(lib.ones(1))
        log([n for n, _ in m.named_buffers()], [n for n, _ in m.named_parameters()])
        log([k for k in dir(m) if k in ("b2", "weight", "bias")])

    compare_scripts(script)


@pytest.mark.parity
def test_iterators_shared_members_and_apply():
    def script(lib, log, fails):
        m = net(lib)
        m.add_module("tied", m[0])
        m.same = m[3].weight
        for dup in (True, False):
            log([n for n, _ in m.named_parameters(remove_duplicate=dup)])
            log([n for n, _ in m.named_modules(remove_duplicate=dup)])
        log([n for n, _ in m.named_buffers(prefix="x")])
        log([n for n, _ in m.named_children()], len(list(m.children())))
        m.apply(lambda mod: log(type(mod).__name__))
        log(m)
        m.requires_grad_(False)
        log([p.requires_grad for p in m.parameters()])
        log(m.double()[0].weight.dtype, m[1].num_batches_tracked.dtype)
        m.set_submodule("2", lib.nn.Tanh())
        log(m[2], m.get_parameter("0.weight").shape, m.get_buffer("1.running_mean"))

    compare_scripts(script)


@pytest.mark.parity
def test_containers():
    def script(lib, log, fails):
        nn_ = lib.nn
        s = net(lib)
        log(s[1:3], s[-1], len(s + s), len(s * 2))
        fails(lambda: s[9])
        fails(lambda: s + 3)
        fails(lambda: s * 0)
        fails(lambda: s * "a")
        del s[1]
        s.insert(1, nn_.GELU()).append(nn_.SiLU()).extend([nn_.Mish()])
        log(s, s.pop(0))
        fails(lambda: s.insert(99, nn_.ReLU()))
        ml = nn_.ModuleList([nn_.Linear(1, 1) for _ in range(3)] + [nn_.ReLU()])
        log(ml, ml[1:], len(ml + ml))
        del ml[0]
        ml.insert(0, nn_.Tanh())
        log(ml)
        fails(lambda: ml.extend(3))
        md = nn_.ModuleDict({"a": nn_.ReLU(), "b": nn_.Tanh()})
        md.update([["c", nn_.GELU()]])
        log(md, list(md.keys()), "a" in md, md.pop("a"))
        fails(lambda: md.update(3))
        fails(lambda: md.update([[1, 2, 3]]))
        pl = nn_.ParameterList([lib.ones(2), nn_.Parameter(lib.ones(1)), "text"])
        log(pl, len(pl), [n for n, _ in pl.named_parameters()], pl[0:2])
        fails(lambda: pl(1))
        fails(lambda: pl[7])
        pd = nn_.ParameterDict({"b": lib.ones(2), "a": nn_.Parameter(lib.ones(1))})
        log(pd, list(pd), list(pd.items())[0][0], pd.get("z"), pd | {"c": lib.ones(3)})
        log(pd.popitem()[0], pd.setdefault("q", lib.ones(1)).shape)
        fails(lambda: pd[3])

    compare_scripts(script)


@pytest.mark.parity
def test_initializers_are_equal_under_a_seed():
    def script(lib, log, fails):
        init = lib.nn.init
        calls = [
            lambda t: init.uniform_(t, -1, 2),
            lambda t: init.normal_(t, 1, 3),
            lambda t: init.trunc_normal_(t, 0.1, 0.7, -1, 1),
            lambda t: init.trunc_normal_(t, 0.0, 1.0, 1.5, 3.0),
            lambda t: init.xavier_uniform_(t, 2),
            lambda t: init.xavier_normal_(t),
            lambda t: init.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu"),
            lambda t: init.kaiming_normal_(t, 0.3),
            lambda t: init.sparse_(t, 0.5),
            lambda t: init.eye_(t),
            lambda t: init.constant_(t, 3),
        ]
        for i, call in enumerate(calls):
            lib.manual_seed(i)
            log(call(lib.empty(4, 6)))
        log(init.dirac_(lib.empty(4, 2, 3), 2))
        for name in ("tanh", "relu", "leaky_relu", "selu", "linear"):
            log(init.calculate_gain(name))
        fails(lambda: init.calculate_gain("x"))
        fails(lambda: init.xavier_uniform_(lib.empty(3)))
        fails(lambda: init.kaiming_normal_(lib.empty(3, 3), mode="x"))
        fails(lambda: init.eye_(lib.empty(3)))
        fails(lambda: init.dirac_(lib.empty(3)))

    compare_scripts(script)


def test_orthogonal_initializer_is_orthogonal():
    t = nn.init.orthogonal_(flashlight.empty(5, 3)).numpy()
    np.testing.assert_allclose(t.T @ t, np.eye(3), atol=1e-5)


def test_deepcopy_and_pickle_keep_the_output():
    m = net(flashlight).eval()
    x = flashlight.randn(4, 3)
    want = m(x).detach().numpy()
    for other in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert repr(other) == repr(m)
        np.testing.assert_array_equal(other(x).detach().numpy(), want)
        assert other[0].weight is not m[0].weight
        assert isinstance(other[0].weight, nn.Parameter)


def test_compile_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="compile"):
        nn.Linear(1, 1).compile()


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_lazy_modules_become_ordinary_ones():
    def script(lib, log, fails):
        m = lib.nn.Sequential(lib.nn.LazyLinear(4), lib.nn.LazyBatchNorm1d())
        log(m, repr(m[0].weight), list(m.state_dict()))
        fails(lambda: m[0].weight.shape)
        m(lib.ones(5, 3))
        log(m, type(m[0]).__name__, m[0].weight.shape, m[1].running_mean.shape)
        fresh = lib.nn.LazyLinear(4)
        fresh.load_state_dict(m[0].state_dict())
        log(fresh.weight.shape)

    compare_scripts(script)
