"""TorchDispatchMode: what it sees, what its answers become, and the FLOP counter."""

import pytest
import torch
import torch.utils._python_dispatch as torch_modes
import torch.utils.flop_counter as torch_flops

import flashlight
import flashlight.utils._python_dispatch as our_modes
import flashlight.utils.flop_counter as our_flops

BOTH = [(torch, torch_modes), (flashlight, our_modes)]


def logger(modes):
    class Logger(modes.TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.calls = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.calls.append((str(func), len(args), sorted(kwargs or {})))
            return func(*args, **(kwargs or {}))

    return Logger()


def seen(program, leave_out=("aten.detach.default", "aten.lift_fresh.default")):
    """What the mode of either library sees of a program."""
    found = []
    for lib, modes in BOTH:
        mode = logger(modes)
        with mode:
            program(lib)
        found.append([c for c in mode.calls if c[0] not in leave_out])
    return found


@pytest.mark.parametrize(
    "program",
    [
        lambda t: t.ones(2, 3).relu(),
        lambda t: t.ones(2, 3).sum(0).exp(),
        lambda t: t.ones(2, 3) * 2,
        lambda t: t.ones(2, 3).add(t.ones(3), alpha=2),
        lambda t: t.ones(3, 3).mm(t.ones(3, 3)),
        lambda t: t.addmm(t.ones(3), t.ones(3, 3), t.ones(3, 3)),
        lambda t: t.cat([t.ones(2), t.ones(2)]),
        lambda t: t.ones(2, 3)[0],
        lambda t: t.ones(2, 3).permute(1, 0),
        lambda t: t.ones(2, 3).mul_(2),
        lambda t: t.ones(2, 3).mul_(t.ones(3)).add_(1, alpha=3),
        lambda t: t.ones(4).normal_(),
        lambda t: t.ones(2, 2).where(t.ones(2, 2) > 0, t.zeros(2, 2)),
    ],
)
def test_what_is_seen_is_as_in_torch(program):
    theirs, ours = seen(program)
    without = {"device", "pin_memory"}  # torch's binding fills these in
    tidy = [
        [(name, n, [k for k in keys if k not in without]) for name, n, keys in calls]
        for calls in (theirs, ours)
    ]
    assert tidy[0] == tidy[1]


@pytest.mark.parametrize(("lib", "modes"), BOTH)
def test_the_ops_of_backward_are_seen(lib, modes):
    x = lib.ones(2, 2, requires_grad=True)
    y = (x.exp() * x).sum()
    mode = logger(modes)
    with mode:
        y.backward()
    assert {"aten.mul.Tensor", "aten.add.Tensor"} <= {c[0] for c in mode.calls}
    assert x.grad is not None


@pytest.mark.parametrize(("lib", "modes"), BOTH)
def test_what_a_mode_returns_is_recorded(lib, modes):
    class Doubled(modes.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            return out * 2 if func is lib.ops.aten.exp.default else out

    x = lib.zeros(3, requires_grad=True)
    with Doubled():
        y = x.exp()
    assert y.tolist() == [2.0, 2.0, 2.0] and y.requires_grad
    assert type(y.grad_fn).__name__ == "ExpBackward0"
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]  # exp's derivative is its result


@pytest.mark.parametrize(("lib", "modes"), BOTH)
def test_a_write_in_a_mode_is_one_version(lib, modes):
    x = lib.ones(3)
    view = x[:2]
    with logger(modes):
        view.mul_(3)
    assert x.tolist() == [3.0, 3.0, 1.0] and x._version == 1
    w = lib.ones(3, requires_grad=True)
    with logger(modes):
        y = w * 1
        y[1:].mul_(2)
        y.sum().backward()
    assert w.grad.tolist() == [1.0, 2.0, 2.0]


@pytest.mark.parametrize(("lib", "modes"), BOTH)
def test_modes_nest(lib, modes):
    order = []

    class Named(modes.TorchDispatchMode):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            order.append(self.name)
            assert modes._get_current_dispatch_mode() is not self
            return func(*args, **(kwargs or {}))

    x = lib.ones(2)
    with Named("outer"), Named("inner"):
        x.exp()
        with modes._disable_current_modes():
            x.exp()
    assert order == ["inner", "outer"]
    assert not modes.is_in_torch_dispatch_mode()


@pytest.mark.parametrize(("lib", "modes"), BOTH)
def test_an_exception_leaves_the_mode_as_it_was(lib, modes):
    class Refusing(modes.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            raise ValueError(f"no {func}")

    x, mode = lib.ones(2), Refusing()
    with mode:
        with pytest.raises(ValueError, match="no aten.exp.default"):
            x.exp()
        assert modes._get_current_dispatch_mode() is mode
    assert x.exp().tolist() == pytest.approx([2.718282] * 2)


def test_what_a_mode_may_not_return():
    class Wrong(our_modes.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return "text"

    with Wrong(), pytest.raises(RuntimeError, match="Unable to cast text to Tensor"):
        flashlight.ones(2)

    class Nothing(our_modes.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return NotImplemented

    with Nothing(), pytest.raises(TypeError, match="returned NotImplemented"):
        flashlight.ones(2)


@pytest.mark.parametrize(("lib", "modes"), BOTH)
def test_an_operator_of_a_program_is_seen(lib, modes):
    name = f"dispatch_modes::twice_{lib.__name__}"
    twice = lib.library.custom_op(
        name, lambda x: x * 2, mutates_args=(), schema="(Tensor x) -> Tensor"
    )
    mode = logger(modes)
    with mode:
        assert twice(lib.ones(2)).tolist() == [2.0, 2.0]
    assert name.replace("::", ".") + ".default" in [c[0] for c in mode.calls]


def test_overloads_are_named_as_in_torch():
    for name, which in [("add", "Tensor"), ("mm", "default"), ("add_", "Tensor")]:
        for attribute in ("__name__", "namespace", "__str__", "__repr__", "name"):
            ours = getattr(getattr(flashlight.ops.aten, name), which)
            theirs = getattr(getattr(torch.ops.aten, name), which)
            values = [getattr(o, attribute) for o in (ours, theirs)]
            values = [v() if callable(v) else v for v in values]
            assert values[0] == values[1]
    aten = flashlight.ops.aten
    assert aten.add.Tensor.overloadpacket is aten.add
    x = flashlight.ones(2)
    assert aten.add_.Tensor(x, x) is x and x.tolist() == [2.0, 2.0]
    assert [a.name for a in aten.add.Tensor._schema.arguments] == [
        a.name for a in torch.ops.aten.add.Tensor._schema.arguments
    ]
    assert aten.add_.Tensor._schema.is_mutable
    out = flashlight.zeros(2)
    assert aten.add.out(x, x, out=out) is out and out.tolist() == [4.0, 4.0]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        aten.nothing
    with pytest.raises(AttributeError, match="no overload name 'Nothing'"):
        aten.add.Nothing


# --- FLOPs -------------------------------------------------------------------------


def mlp(t):
    return t.nn.Sequential(t.nn.Linear(5, 7), t.nn.ReLU(), t.nn.Linear(7, 3)), (4, 5)


def cnn(t):
    nn = t.nn
    stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    return (
        nn.Sequential(
            stem,
            nn.Conv2d(4, 6, 3, stride=2, groups=2, bias=False),
            nn.ConvTranspose2d(6, 2, 3),
            nn.Flatten(),
            nn.Linear(2 * 5 * 5, 10),
        ),
        (2, 3, 8, 8),
    )


def products(t):
    class Products(t.nn.Module):
        def forward(self, x):
            return (x @ x.mT) @ t.ones(2, 3, 3) + t.baddbmm(x @ x.mT, x, x.mT)

    return Products(), (2, 3, 4)


@pytest.mark.parametrize("model", [mlp, cnn, products])
def test_flops_are_those_of_torch(model):
    totals = []
    for lib, flops in ((torch, torch_flops), (flashlight, our_flops)):
        net, shape = model(lib)
        with flops.FlopCounterMode(display=False) as counter:
            net(lib.ones(shape, requires_grad=True)).sum().backward()
        counts = counter.get_flop_counts()
        totals.append({name: sum(c.values()) for name, c in counts.items()})
        assert counter.get_total_flops() == totals[-1]["Global"]
    assert totals[0] == totals[1] and len(totals[0]) > 1


def test_attention_counts_two_products():
    q = flashlight.ones(1, 2, 4, 8)
    with our_flops.FlopCounterMode(display=False) as counter:
        flashlight.nn.functional.scaled_dot_product_attention(q, q, q)
    assert counter.get_total_flops() == 2 * (2 * 4 * 4 * 2 * 8)


def test_the_table_is_that_of_torch(capsys):
    tables = []
    for lib, flops in ((torch, torch_flops), (flashlight, our_flops)):
        net = lib.nn.Sequential(lib.nn.Conv1d(2, 3, 3), lib.nn.Flatten())
        with flops.FlopCounterMode():
            net(lib.ones(4, 2, 50)) @ lib.ones(144, 300)
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]


def test_a_formula_of_ones_own():
    flops = our_flops
    mapping = {flashlight.ops.aten.exp: lambda x, out_val: x.numel()}
    with flops.FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        flashlight.ones(5).exp()
    assert counter.get_total_flops() == 5
    with pytest.raises(RuntimeError, match="duplicate registrations for aten.mm"):
        flops.register_flop_formula(flashlight.ops.aten.mm)(lambda: 0)
    with pytest.raises(ValueError, match="expected each target to be OpOverloadPack"):
        flops.register_flop_formula("mm")(lambda: 0)
