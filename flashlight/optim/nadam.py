"""NAdam."""

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

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """NAdam (Dozat, 2016): Adam with Nesterov momentum.

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        betas: Decay of the averages of the gradient and of its square.
        eps: Added to the root of the second average.
        weight_decay: Factor of the parameter added to its gradient.
        momentum_decay: Decay of the momentum.
        decoupled_weight_decay: Decay the parameter itself.
        foreach: Accepted; the same update for all parameters at once.
        maximize: Ascend instead.
        capturable: Keep the step count on the device.
        differentiable: Let gradients flow through the step.
    """

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach=None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check_not_negative("epsilon value", eps)
        _check_betas(betas)
        _check_not_negative("weight_decay value", weight_decay)
        _check_not_negative("momentum_decay value", momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("maximize", False)
            group.setdefault("foreach", None)
            group.setdefault("capturable", False)
            group.setdefault("differentiable", False)
            group.setdefault("decoupled_weight_decay", False)

    @_use_grad_for_differentiable
    def step(self, closure=None):
        """Update the parameters once; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group) -> None:
        _check_foreach(group["foreach"], group["differentiable"])
        params, grads = self._with_grad(
            group, "NAdam does not support sparse gradients"
        )
        for p in params:
            state = self.state[p]
            if len(state) == 0:
                state["step"] = _new_step(p, group["capturable"])
                state["mu_product"] = flashlight.ones_like(state["step"])
                state["exp_avg"] = flashlight.zeros_like(p)
                state["exp_avg_sq"] = flashlight.zeros_like(p)
        states = [self.state[p] for p in params]
        beta1, beta2 = group["betas"]
        _step(
            params,
            grads,
            [s["exp_avg"] for s in states],
            [s["exp_avg_sq"] for s in states],
            [s["mu_product"] for s in states],
            [s["step"] for s in states],
            lr=_get_value(group["lr"]),
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum_decay=group["momentum_decay"],
            decoupled_weight_decay=group["decoupled_weight_decay"],
            maximize=group["maximize"],
        )


def _step(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    mu_products,
    steps,
    *,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    momentum_decay,
    decoupled_weight_decay,
    maximize,
) -> None:
    """Update ``params`` and the state in place."""
    for param, grad, exp_avg, exp_avg_sq, mu_product, step in zip(
        params, grads, exp_avgs, exp_avg_sqs, mu_products, steps
    ):
        if maximize:
            grad = -grad
        step += 1
        t = step.item()
        bias_correction2 = 1 - beta2**t
        if weight_decay != 0:
            if decoupled_weight_decay:
                param.mul_(1 - lr * weight_decay)
            else:
                grad = grad.add(param, alpha=weight_decay)
        param, grad, exp_avg, exp_avg_sq = map(
            _real, (param, grad, exp_avg, exp_avg_sq)
        )
        mu = beta1 * (1.0 - 0.5 * (0.96 ** (t * momentum_decay)))
        mu_next = beta1 * (1.0 - 0.5 * (0.96 ** ((t + 1) * momentum_decay)))
        mu_product *= mu
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        denom = exp_avg_sq.div(bias_correction2).sqrt().add(eps)
        product = mu_product.item()
        param.addcdiv_(grad, denom, value=-lr * (1.0 - mu) / (1.0 - product))
        param.addcdiv_(exp_avg, denom, value=-lr * mu_next / (1.0 - product * mu_next))
