"""Samples of the fused steps of optimizers: what they make of their lists."""

import torch
from sampling import case, floats, t

SHAPES = ((3, 4), (5,), ())


def tensors(seed, low=-2.0):
    return [t(*shape, low=low, seed=seed) for shape in SHAPES]


def counts(dtype):
    return [torch.tensor(float(i + 1)) for i in range(len(SHAPES))]


def number(x):
    return lambda dtype: torch.tensor(x)


def step_of(name):
    """Runs the step on copies, and gives everything that it may write to."""

    def via(lib):
        def run(params, grads, *rest, **options):
            lists = [[x.clone() for x in xs] for xs in (params, grads, *rest)]
            function = getattr(lib, name, None) or getattr(native, name)
            with lib.no_grad():
                assert function(*lists, **options) is None
            return lists

        from flashlight import _C

        native = _C._VariableFunctions
        return run

    return via


def steps(name, states, options, variants):
    """Cases of a step: `states` are the lists that come after the gradients."""
    kinds = {"": 0.01, ".tensor_lr": number([0.01])}
    return {
        f"{name}{overload}": [
            case(
                tensors(1),
                tensors(2),
                *variant.get("states", states),
                via=step_of(name),
                only=floats,
                **{"lr": lr, **options, **without_states(variant)},
            )
            for variant in variants
        ]
        for overload, lr in kinds.items()
    }


def without_states(variant):
    return {k: v for k, v in variant.items() if k != "states"}


SCALED = {"grad_scale": number(4.0)}
STOPPED = {"grad_scale": number(4.0), "found_inf": number(1.0)}
PASSED = {"found_inf": number(0.0)}

# Averages, their greatest, counts.
ADAM = [tensors(3), tensors(4, low=0.1), [], counts]
AMSGRAD = [*ADAM[:2], tensors(5, low=0.1), counts]
ADAM_OPTIONS = dict(
    beta1=0.9, beta2=0.99, weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False
)
ADAM_VARIANTS = [
    {},
    {"weight_decay": 0.1},
    {"amsgrad": True, "maximize": True, "states": AMSGRAD},
    {"beta1": 0.3, **SCALED},
    STOPPED,
    {"weight_decay": 0.1, **PASSED},
]

EXTRA = {
    **steps("_fused_adam_", ADAM, ADAM_OPTIONS, ADAM_VARIANTS),
    **steps("_fused_adamw_", ADAM, ADAM_OPTIONS, ADAM_VARIANTS),
    **steps(
        "_fused_sgd_",
        [tensors(3)],
        dict(
            weight_decay=0.0,
            momentum=0.9,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        ),
        [
            {},
            {"is_first_step": True, "dampening": 0.5},
            {"dampening": 0.5, "weight_decay": 0.1, "maximize": True},
            {"nesterov": True, **SCALED},
            STOPPED,
            PASSED,
        ],
    ),
    **steps(
        "_fused_adagrad_",
        [tensors(3, low=0.1), counts],
        dict(lr_decay=0.1, weight_decay=0.0, eps=1e-8, maximize=False),
        [{}, {"weight_decay": 0.1, "maximize": True}, SCALED, STOPPED],
    ),
}
