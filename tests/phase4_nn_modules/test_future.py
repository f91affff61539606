"""torch.__future__: how modules convert and load their tensors, against PyTorch's."""

import pytest
import torch
from comparing import Scripts, compare_scripts

import flashlight

script = Scripts()


@pytest.fixture(autouse=True)
def defaults():
    yield
    for t in (torch, flashlight):
        t.__future__.set_overwrite_module_params_on_conversion(False)
        t.__future__.set_swap_module_params_on_conversion(False)


def module(t, grad=True):
    m = t.nn.Linear(2, 3)
    with t.no_grad():
        for i, p in enumerate(m.parameters()):
            p.fill_(i + 1)
    if grad:
        m(t.ones(1, 2)).sum().backward()
    return m


@script
def converted(t, log, fails):
    f = t.__future__
    log(f.get_overwrite_module_params_on_conversion())
    log(f.get_swap_module_params_on_conversion())
    for overwrite, swap in ((False, False), (True, False), (False, True), (True, True)):
        f.set_overwrite_module_params_on_conversion(overwrite)
        f.set_swap_module_params_on_conversion(swap)
        m = module(t)
        weight, grad, data = m.weight, m.weight.grad, m.weight.data
        m.double()
        log(m.weight is weight, m.weight.grad is grad, weight.dtype, data.dtype)
        log(m.weight, m.weight.grad, m.weight.requires_grad, type(m.weight).__name__)
        m = module(t, grad=False)
        m.to_empty(device="meta")
        log(m.weight.device.type)


@script
def loaded_by_swapping(t, log, fails):
    t.__future__.set_swap_module_params_on_conversion(True)
    for assign in (False, True):
        m = module(t, grad=False)
        weight = m.weight
        state = {k: v.double() + 1 for k, v in m.state_dict().items()}
        m.load_state_dict(state, assign=assign)
        log(m.weight is weight, m.weight, m.weight.dtype, m.weight.requires_grad)
        log(m.load_state_dict({"weight": t.zeros(3, 2)}, strict=False, assign=assign))
        log(m.weight)


@script
def loaded_as_a_class_wishes(t, log, fails):
    t.__future__.set_swap_module_params_on_conversion(True)

    class Scaled(t.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            with t._C.DisableTorchFunctionSubclass():
                if func is t.Tensor.module_load:
                    log([type(a).__name__ for a in args], kwargs)
                    return t.Tensor(args[1]).mul(2).detach()
                return func(*args, **(kwargs or {}))

    m = module(t, grad=False)
    loaded = t.ones(3, 2).as_subclass(Scaled)
    m.load_state_dict({"weight": loaded}, strict=False)
    log(m.weight, type(m.weight).__name__)


@script
def held_tensors_do_not_swap(t, log, fails):
    t.__future__.set_swap_module_params_on_conversion(True)
    m = module(t, grad=False)
    view = m.weight.view(-1)
    fails(lambda: m.double())
    log(view.dtype, m.weight.dtype)


@script
def parametrized_by_swapping(t, log, fails):
    t.__future__.set_swap_module_params_on_conversion(True)
    parametrize = t.nn.utils.parametrize

    class Twice(t.nn.Module):
        def forward(self, x):
            return 2 * x

        def right_inverse(self, x):
            return x / 2

    class Wrong(Twice):
        def right_inverse(self, x):
            return x, x

    m = module(t, grad=False)
    weight = m.weight
    parametrize.register_parametrization(m, "weight", Twice())
    log(m.parametrizations.weight.original is weight, weight, m.weight)
    m.weight = t.full((3, 2), 8.0)
    log(weight, m.weight)
    fails(lambda: parametrize.register_parametrization(m, "weight", Wrong()))
    parametrize.remove_parametrizations(m, "weight")
    log(m.weight is weight, m.weight)


@script.each
def test_future(program):
    compare_scripts(program)
