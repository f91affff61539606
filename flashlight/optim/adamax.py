"""Adamax."""

import flashlight

from .optimizer import (
    Optimizer,
    _check_betas,
    _check_foreach,
    _check_lr,
    _check_not_negative,
    _get_value,
    _new_step,
    _real,
    _use_grad_for_differentiable,
)

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adamax (Kingma and Ba, 2014): Adam with the infinity norm.

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        betas: Decay of the average of the gradient and of its norm.
        eps: Added to the gradient in the norm.
        weight_decay: Factor of the parameter added to its gradient.
        foreach: Accepted; the same update for all parameters at once.
        maximize: Ascend instead.
        differentiable: Let gradients flow through the step.
        capturable: Keep the step count on the device.
    """

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach=None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check_not_negative("epsilon value", eps)
        _check_betas(betas)
        _check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            group.setdefault("maximize", False)
            group.setdefault("differentiable", False)
            group.setdefault("capturable", False)

    @_use_grad_for_differentiable
    def step(self, closure=None):
        """Update the parameters once; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group) -> None:
        _check_foreach(group["foreach"], group["differentiable"])
        params, grads = self._with_grad(
            group, "Adamax does not support sparse gradients"
        )
        for p in params:
            state = self.state[p]
            if len(state) == 0:
                state["step"] = _new_step(p, group["capturable"])
                state["exp_avg"] = flashlight.zeros_like(p)
                state["exp_inf"] = flashlight.zeros_like(p)
        states = [self.state[p] for p in params]
        beta1, beta2 = group["betas"]
        _step(
            params,
            grads,
            [s["exp_avg"] for s in states],
            [s["exp_inf"] for s in states],
            [s["step"] for s in states],
            lr=_get_value(group["lr"]),
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
            differentiable=group["differentiable"],
        )


def _step(
    params,
    grads,
    exp_avgs,
    exp_infs,
    steps,
    *,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    maximize,
    differentiable,
) -> None:
    """Update ``params`` and the state in place."""
    for param, grad, exp_avg, exp_inf, step in zip(
        params, grads, exp_avgs, exp_infs, steps
    ):
        if maximize:
            grad = -grad
        step += 1
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        param, grad, exp_avg, exp_inf = map(_real, (param, grad, exp_avg, exp_inf))
        exp_avg.lerp_(grad, 1 - beta1)
        old = exp_inf.clone() if differentiable else exp_inf
        exp_inf.copy_(flashlight.maximum(old.mul(beta2), grad.abs().add_(eps)))
        clr = lr / (1 - beta1 ** step.item())
        param.addcdiv_(exp_avg, exp_inf, value=-clr)
