"""Every schedule, 30 steps beside PyTorch's, with equal state at the end."""

import inspect
import warnings

import pytest
import torch
import torch.optim.swa_utils
from nn_bridge import compare_scripts

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
STEPS = 30


def _seq(m, opt, second, milestone=4):
    return m.SequentialLR(
        opt, [m.LinearLR(opt, 0.1, total_iters=4), second], [milestone]
    )


CASES = {
    "lambda": lambda m, o, s: m.LambdaLR(o, lambda e: 0.9**e),
    "lambdas": lambda m, o, s: m.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (1 + e)]),
    "multiplicative": lambda m, o, s: m.MultiplicativeLR(o, lambda e: 0.95),
    "step": lambda m, o, s: m.StepLR(o, 3),
    "multi_step": lambda m, o, s: m.MultiStepLR(o, [2, 5, 5, 20]),
    "constant": lambda m, o, s: m.ConstantLR(o, 0.3, 4),
    "linear": lambda m, o, s: m.LinearLR(o, 0.25, 0.9, 7),
    "exponential": lambda m, o, s: m.ExponentialLR(o, 0.9),
    "polynomial": lambda m, o, s: m.PolynomialLR(o, 12, 1.7),
    "cosine": lambda m, o, s: m.CosineAnnealingLR(o, 7, 0.01),
    "cosine_1": lambda m, o, s: m.CosineAnnealingLR(o, 1, 0.01),
    "restarts": lambda m, o, s: m.CosineAnnealingWarmRestarts(o, 3, 2, 0.001),
    "restarts_1": lambda m, o, s: m.CosineAnnealingWarmRestarts(o, 4),
    "cyclic": lambda m, o, s: m.CyclicLR(o, 0.01, 0.1, 4, 6),
    "cyclic_triangular2": lambda m, o, s: m.CyclicLR(
        o, [0.01, 0.02], 0.1, 4, mode="triangular2"
    ),
    "cyclic_exp": lambda m, o, s: m.CyclicLR(
        o, 0.01, 0.1, 4, mode="exp_range", gamma=0.97
    ),
    "cyclic_own": lambda m, o, s: m.CyclicLR(
        o, 0.01, 0.1, 4, scale_fn=lambda x: 0.9**x, scale_mode="iterations"
    ),
    "one_cycle": lambda m, o, s: m.OneCycleLR(o, 0.1, 40),
    "one_cycle_3": lambda m, o, s: m.OneCycleLR(
        o,
        [0.1, 0.2],
        epochs=10,
        steps_per_epoch=4,
        three_phase=True,
        anneal_strategy="linear",
    ),
    "sequential": lambda m, o, s: _seq(m, o, m.ExponentialLR(o, 0.9)),
    "sequential_multiplicative": lambda m, o, s: _seq(
        m, o, m.MultiplicativeLR(o, lambda e: 0.9)
    ),
    "sequential_cosine": lambda m, o, s: _seq(m, o, m.CosineAnnealingLR(o, 10)),
    "sequential_restarts": lambda m, o, s: _seq(
        m, o, m.CosineAnnealingWarmRestarts(o, 5)
    ),
    "chained": lambda m, o, s: m.ChainedScheduler(
        [m.ConstantLR(o, 0.1, 4), m.ExponentialLR(o, 0.9)]
    ),
    "swa": lambda m, o, s: s.SWALR(o, 0.05, anneal_epochs=6),
    "swa_0": lambda m, o, s: s.SWALR(
        o, [0.05, 0.02], anneal_epochs=0, anneal_strategy="linear"
    ),
}


def _make(lib, case, optimizer):
    params = [lib.nn.Parameter(lib.zeros(2)) for _ in range(2)]
    groups = [{"params": [p], "lr": 0.1 * (i + 1)} for i, p in enumerate(params)]
    kwargs = {"momentum": 0.9} if optimizer == "SGD" else {}
    opt = getattr(lib.optim, optimizer)(groups, **kwargs)
    return opt, CASES[case](lib.optim.lr_scheduler, opt, lib.optim.swa_utils)


def _rates(opt):
    return [(g["lr"], g.get("momentum"), g.get("betas")) for g in opt.param_groups]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("case", CASES)
def test_schedule(case, optimizer):
    theirs_opt, theirs = _make(torch, case, optimizer)
    mine_opt, mine = _make(flashlight, case, optimizer)
    seen = {str([(0.1 * (i + 1), *r[1:]) for i, r in enumerate(_rates(mine_opt))])}
    for _ in range(STEPS):
        assert _rates(mine_opt) == _rates(theirs_opt)
        assert mine.get_last_lr() == theirs.get_last_lr()
        seen.add(str(_rates(mine_opt)))
        for obj in (theirs_opt, mine_opt, theirs, mine):
            obj.step()
    assert len(seen) > 1, "the schedule never changed anything"
    assert str(mine.state_dict()) == str(theirs.state_dict())

    # A new schedule goes on from PyTorch's state.
    opt, resumed = _make(flashlight, case, optimizer)
    opt.load_state_dict(theirs_opt.state_dict())
    resumed.load_state_dict(theirs.state_dict())
    resumed.step()
    theirs.step()
    assert resumed.get_last_lr() == theirs.get_last_lr()


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_reduce_on_plateau(mode, threshold_mode):
    pairs = []
    for lib in (torch, flashlight):
        opt, _ = _make(lib, "step", "SGD")
        pairs.append(
            lib.optim.lr_scheduler.ReduceLROnPlateau(
                opt,
                mode,
                patience=2,
                cooldown=1,
                threshold_mode=threshold_mode,
                min_lr=[0.001, 0.01],
            )
        )
    theirs, mine = pairs
    for i in range(STEPS):
        for s in pairs:
            s.step((i * 7 % 11) / 3 + 1)
        assert mine.get_last_lr() == theirs.get_last_lr()
    assert mine.get_last_lr() != [0.1, 0.2]
    assert str(mine.state_dict()) == str(theirs.state_dict())


@pytest.mark.parametrize("name", torch.optim.lr_scheduler.__all__)
def test_signature(name):
    mine = getattr(flashlight.optim.lr_scheduler, name)
    theirs = getattr(torch.optim.lr_scheduler, name)

    def parameters(cls):
        return [
            (p.name, p.default)
            for p in inspect.signature(cls.__init__).parameters.values()
        ]

    assert parameters(mine) == parameters(theirs)


def test_errors_and_order_warning():
    def script(lib, log, fails):
        m = lib.optim.lr_scheduler
        opt, _ = _make(lib, "step", "SGD")
        fails(lambda: m.StepLR(3, 1))
        fails(lambda: m.LambdaLR(opt, [lambda e: 1]))
        fails(lambda: m.ConstantLR(opt, 2))
        fails(lambda: m.LinearLR(opt, 0))
        fails(lambda: m.OneCycleLR(opt, 0.1))
        fails(lambda: m.OneCycleLR(opt, 0.1, -1))
        fails(lambda: m.CyclicLR(opt, [0.1], 0.2))
        fails(lambda: m.CyclicLR(opt, 0.1, 0.2, mode="x"))
        fails(lambda: m.CosineAnnealingWarmRestarts(opt, 0))
        fails(lambda: m.ReduceLROnPlateau(opt, factor=2))
        fails(lambda: m.ReduceLROnPlateau(opt, mode="x"))
        fails(lambda: m.ChainedScheduler([]))
        fails(lambda: m.SequentialLR(opt, [m.StepLR(opt, 1)], [1]))
        fails(lambda: m.SequentialLR(opt, [m.ReduceLROnPlateau(opt)], []))
        opt, _ = _make(lib, "step", "Adam")
        sched = m.StepLR(opt, 1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sched.step()
        log([str(w.message) for w in caught])

    compare_scripts(script)
