"""Rprop."""

import flashlight

from .optimizer import (
    Optimizer,
    _check_foreach,
    _check_lr,
    _get_value,
    _new_step,
    _real,
    _use_grad_for_differentiable,
)

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller and Braun, 1993).

    Args:
        params: Parameters or groups.
        lr: First step size.
        etas: Factors of the step size after a change of sign and without one.
        step_sizes: Bounds of the step size.
        capturable: Keep the step count on the device.
        foreach: Accepted; the same update for all parameters at once.
        maximize: Ascend instead.
        differentiable: Let gradients flow through the step.
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable: bool = False,
        foreach=None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
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
            group, "Rprop does not support sparse gradients"
        )
        lr = _get_value(group["lr"])
        for p, grad in zip(params, grads):
            state = self.state[p]
            if len(state) == 0:
                state["step"] = _new_step(p, group["capturable"])
                state["prev"] = flashlight.zeros_like(p)
                first = complex(lr, lr) if p.is_complex() else lr
                state["step_size"] = flashlight.full_like(grad, first)
        states = [self.state[p] for p in params]
        _step(
            params,
            grads,
            [s["prev"] for s in states],
            [s["step_size"] for s in states],
            [s["step"] for s in states],
            etas=group["etas"],
            bounds=group["step_sizes"],
            maximize=group["maximize"],
            differentiable=group["differentiable"],
        )


def _step(
    params, grads, prevs, step_sizes, steps, *, etas, bounds, maximize, differentiable
) -> None:
    """Update ``params`` and the state in place."""
    for param, grad, prev, step_size, step in zip(
        params, grads, prevs, step_sizes, steps
    ):
        step += 1
        if maximize:
            grad = -grad
        param, grad, prev, step_size = map(_real, (param, grad, prev, step_size))
        old = prev.clone() if differentiable else prev
        sign = grad.mul(old).sign()
        factor = flashlight.ones_like(sign)
        factor = factor.masked_fill(sign > 0, etas[1]).masked_fill(sign < 0, etas[0])
        step_size.mul_(factor).clamp_(*bounds)
        # After a change of sign, neither move nor compare with this gradient.
        grad = grad.masked_fill(sign < 0, 0)
        param.addcmul_(grad.sign(), step_size, value=-1)
        prev.copy_(grad)
