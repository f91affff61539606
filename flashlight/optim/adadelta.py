"""Adadelta."""

import flashlight

from .optimizer import (
    Optimizer,
    _check_foreach,
    _check_lr,
    _check_not_negative,
    _get_value,
    _new_step,
    _real,
    _use_grad_for_differentiable,
)

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012).

    Args:
        params: Parameters or groups.
        lr: Factor of the update.
        rho: Decay of the averages of squares.
        eps: Added to the averages.
        weight_decay: Factor of the parameter added to its gradient.
        foreach: Accepted; the same update for all parameters at once.
        capturable: Keep the step count on the device.
        maximize: Ascend instead.
        differentiable: Let gradients flow through the step.
    """

    def __init__(
        self,
        params,
        lr=1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach=None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        _check_not_negative("epsilon value", eps)
        _check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
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
            group, "Adadelta does not support sparse gradients"
        )
        for p in params:
            state = self.state[p]
            if len(state) == 0:
                state["step"] = _new_step(p, group["capturable"])
                state["square_avg"] = flashlight.zeros_like(p)
                state["acc_delta"] = flashlight.zeros_like(p)
        states = [self.state[p] for p in params]
        _step(
            params,
            grads,
            [s["square_avg"] for s in states],
            [s["acc_delta"] for s in states],
            [s["step"] for s in states],
            lr=_get_value(group["lr"]),
            rho=group["rho"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
            differentiable=group["differentiable"],
        )


def _step(
    params,
    grads,
    square_avgs,
    acc_deltas,
    steps,
    *,
    lr,
    rho,
    eps,
    weight_decay,
    maximize,
    differentiable,
) -> None:
    """Update ``params`` and the state in place."""
    for param, grad, square_avg, acc_delta, step in zip(
        params, grads, square_avgs, acc_deltas, steps
    ):
        step += 1
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        param, grad, square_avg, acc_delta = map(
            _real, (param, grad, square_avg, acc_delta)
        )
        square_avg.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        std = square_avg.add(eps).sqrt_()
        delta = acc_delta.add(eps).sqrt_()
        if differentiable:
            delta = delta.clone()
        delta = delta.div_(std).mul_(grad)
        acc_delta.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        param.add_(delta, alpha=-lr)
