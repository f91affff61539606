"""Averaged stochastic gradient descent."""

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

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Averaged stochastic gradient descent (Polyak and Juditsky, 1992).

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        lambd: Decay.
        alpha: Power of the decay of the learning rate.
        t0: Step at which averaging begins.
        weight_decay: Factor of the parameter added to its gradient.
        foreach: Accepted; the same update for all parameters at once.
        maximize: Ascend instead.
        differentiable: Let gradients flow through the step.
        capturable: Keep the step count on the device.
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach=None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
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
        params, grads = self._with_grad(group, "ASGD does not support sparse gradients")
        lr = _get_value(group["lr"])
        for p in params:
            state = self.state[p]
            if len(state) == 0:
                state["step"] = _new_step(p, True)
                state["eta"] = _new_step(p, True) + lr
                state["mu"] = flashlight.ones_like(state["step"])
                state["ax"] = flashlight.zeros_like(p)
        states = [self.state[p] for p in params]
        _step(
            params,
            grads,
            [s["ax"] for s in states],
            [s["mu"] for s in states],
            [s["eta"] for s in states],
            [s["step"] for s in states],
            lr=lr,
            lambd=group["lambd"],
            alpha=group["alpha"],
            t0=group["t0"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )


def _step(
    params,
    grads,
    averages,
    mus,
    etas,
    steps,
    *,
    lr,
    lambd,
    alpha,
    t0,
    weight_decay,
    maximize,
) -> None:
    """Update ``params`` and the state in place."""
    for param, grad, ax, mu, eta, step in zip(
        params, grads, averages, mus, etas, steps
    ):
        if maximize:
            grad = -grad
        param, grad, ax = map(_real, (param, grad, ax))
        step += 1
        t = step.item()
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        eta_value, mu_value = eta.item(), mu.item()
        param.mul_(1 - lambd * eta_value)
        param.add_(grad, alpha=-eta_value)
        if mu_value != 1:
            ax.add_(param.sub(ax).mul_(mu_value))
        else:
            ax.copy_(param)
        eta.fill_(lr / ((1 + lambd * lr * t) ** alpha))
        mu.fill_(1 / max(1, t - t0))
