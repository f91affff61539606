"""RMSprop."""

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

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop (Hinton's lecture), centered or not.

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        alpha: Decay of the average of squares.
        eps: Added to its root.
        weight_decay: Factor of the parameter added to its gradient.
        momentum: Share of the last update that is kept.
        centered: Divide by the deviation instead of the root mean square.
        capturable: Keep the step count on the device.
        foreach: Accepted; the same update for all parameters at once.
        maximize: Ascend instead.
        differentiable: Let gradients flow through the step.
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach=None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check_not_negative("epsilon value", eps)
        _check_not_negative("momentum value", momentum)
        _check_not_negative("weight_decay value", weight_decay)
        _check_not_negative("alpha value", alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("momentum", 0)
            group.setdefault("centered", False)
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
            group, "RMSprop does not support sparse gradients"
        )
        for p in params:
            state = self.state[p]
            if len(state) == 0:
                state["step"] = _new_step(p, group["capturable"])
                state["square_avg"] = flashlight.zeros_like(p)
                if group["momentum"] > 0:
                    state["momentum_buffer"] = flashlight.zeros_like(p)
                if group["centered"]:
                    state["grad_avg"] = flashlight.zeros_like(p)
        states = [self.state[p] for p in params]
        _step(
            params,
            grads,
            [s["square_avg"] for s in states],
            [s.get("grad_avg") for s in states],
            [s.get("momentum_buffer") for s in states],
            [s["step"] for s in states],
            lr=_get_value(group["lr"]),
            alpha=group["alpha"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            centered=group["centered"],
            maximize=group["maximize"],
            differentiable=group["differentiable"],
        )


def _step(
    params,
    grads,
    square_avgs,
    grad_avgs,
    buffers,
    steps,
    *,
    lr,
    alpha,
    eps,
    weight_decay,
    momentum,
    centered,
    maximize,
    differentiable,
) -> None:
    """Update ``params`` and the state in place."""
    for param, grad, square_avg, grad_avg, buffer, step in zip(
        params, grads, square_avgs, grad_avgs, buffers, steps
    ):
        step += 1
        if maximize:
            grad = -grad
        if weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        param, grad, square_avg, grad_avg, buffer = map(
            _real, (param, grad, square_avg, grad_avg, buffer)
        )
        square_avg.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if centered:
            grad_avg.lerp_(grad, 1 - alpha)
            avg = square_avg.addcmul(grad_avg, grad_avg, value=-1).sqrt()
        else:
            avg = square_avg.sqrt()
        avg = avg.add(eps) if differentiable else avg.add_(eps)
        if momentum > 0:
            buffer.mul_(momentum).addcdiv_(grad, avg)
            param.add_(buffer, alpha=-lr)
        else:
            param.addcdiv_(grad, avg, value=-lr)
