"""Adagrad."""

import flashlight
from flashlight import _C

from .optimizer import (
    Optimizer,
    _can_fuse,
    _check_foreach,
    _check_fused,
    _check_lr,
    _check_not_negative,
    _get_value,
    _new_step,
    _real,
    _use_grad_for_differentiable,
)

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011).

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        lr_decay: Decay of the learning rate.
        weight_decay: Factor of the parameter added to its gradient.
        initial_accumulator_value: First sum of squares.
        eps: Added to the root of the sum of squares.
        foreach: Accepted; the same update for all parameters at once.
        maximize: Ascend instead.
        differentiable: Let gradients flow through the step.
        fused: Accepted; the same update in one kernel.
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach=None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused=None,
    ) -> None:
        _check_lr(lr)
        _check_not_negative("lr_decay value", lr_decay)
        _check_not_negative("weight_decay value", weight_decay)
        _check_not_negative(
            "initial_accumulator_value value", initial_accumulator_value
        )
        _check_not_negative("epsilon value", eps)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        _check_fused(fused, foreach, differentiable)
        if fused:
            self._step_supports_amp_scaling = True
        for group in self.param_groups:
            for p in group["params"]:
                value = group["initial_accumulator_value"]
                if p.is_complex():
                    value = complex(value, value)
                self.state[p]["step"] = _new_step(p, group["fused"])
                self.state[p]["sum"] = flashlight.full_like(p, value)

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            group.setdefault("maximize", False)
            group.setdefault("differentiable", False)
            group.setdefault("fused", None)
        for p_state in self.state.values():
            if not isinstance(p_state["step"], flashlight.Tensor):
                p_state["step"] = _new_step() + float(p_state["step"])

    def share_memory(self) -> None:
        """Move the sums of squares to shared memory."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    @_use_grad_for_differentiable
    def step(self, closure=None):
        """Update the parameters once; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group) -> None:
        _check_foreach(group["foreach"], group["differentiable"])
        params, grads = self._with_grad(group)
        lists = [
            params,
            grads,
            [self.state[p]["sum"] for p in params],
            [self.state[p]["step"] for p in params],
        ]
        options = {
            key: group[key] for key in ("weight_decay", "lr_decay", "eps", "maximize")
        }
        if _can_fuse(group, *lists[:3]):
            self._count_steps(lists[3])
            _C._VariableFunctions._fused_adagrad_(
                *lists, lr=group["lr"], **options, **self._scaling()
            )
            return
        _step(
            *lists,
            lr=_get_value(group["lr"]),
            differentiable=group["differentiable"],
            **options,
        )


def _step(
    params,
    grads,
    sums,
    steps,
    *,
    lr,
    weight_decay,
    lr_decay,
    eps,
    maximize,
    differentiable,
) -> None:
    """Update ``params`` and the state in place."""
    for param, grad, total, step in zip(params, grads, sums, steps):
        step += 1
        if maximize:
            grad = -grad
        if weight_decay != 0:
            if grad.is_sparse:
                raise RuntimeError(
                    "weight_decay option is not compatible with sparse gradients"
                )
            grad = grad.add(param, alpha=weight_decay)
        clr = lr / (1 + (step.item() - 1) * lr_decay)
        if grad.is_sparse:
            grad = grad.coalesce()
            index, values = grad._indices(), grad._values()

            def sparse(data, index=index, size=grad.size()):
                return flashlight.sparse_coo_tensor(index, data, size)

            total.add_(sparse(values.pow(2)))
            std = total.sparse_mask(grad)._values().sqrt_().add_(eps)
            param.add_(sparse(values / std), alpha=-clr)
            continue
        param, grad, total = _real(param), _real(grad), _real(total)
        total.addcmul_(grad, grad, value=1)
        std = total.sqrt() + eps if differentiable else total.sqrt().add_(eps)
        param.addcdiv_(grad, std, value=-clr)
