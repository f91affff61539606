"""Adam, with L2 regularization or decoupled weight decay."""

import flashlight
from flashlight import _C

from .optimizer import (
    Optimizer,
    _can_fuse,
    _check_foreach,
    _check_fused,
    _check_not_negative,
    _get_value,
    _new_step,
    _real,
    _use_grad_for_differentiable,
)

__all__ = ["Adam"]


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2014).

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        betas: Decay of the averages of the gradient and of its square.
        eps: Added to the root of the second average.
        weight_decay: Factor of the parameter added to its gradient.
        amsgrad: Use the maximum of the second average.
        foreach: Accepted; the same update for all parameters at once.
        maximize: Ascend instead.
        capturable: Keep the step count on the device.
        differentiable: Let gradients flow through the step.
        fused: Accepted; the same update in one kernel.
        decoupled_weight_decay: Decay the parameter itself, as :class:`AdamW`.

    Examples:
        >>> opt = torch.optim.Adam(model.parameters(), lr=1e-3)
        >>> opt.zero_grad()
        >>> loss_fn(model(input), target).backward()
        >>> opt.step()
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach=None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused=None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if isinstance(lr, flashlight.Tensor):
            if foreach and not capturable:
                raise ValueError(
                    "lr as a Tensor is not supported for capturable=False and "
                    "foreach=True"
                )
            if lr.numel() != 1:
                raise ValueError("Tensor lr must be 1-element")
        _check_not_negative("learning rate", lr)
        _check_not_negative("epsilon value", eps)
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        _check_not_negative("weight_decay value", weight_decay)
        tensor_betas = [isinstance(b, flashlight.Tensor) for b in betas]
        if tensor_betas[0] != tensor_betas[1]:
            raise ValueError("betas must be either both floats or both Tensors")
        for i, beta in enumerate(betas):
            if tensor_betas[i]:
                if not capturable and foreach:
                    raise ValueError(
                        f"betas[{i}] as a Tensor is not supported for capturable=False "
                        "and foreach=True"
                    )
                if beta.numel() != 1:
                    raise ValueError(f"Tensor betas[{i}] must be 1-element")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)
        if fused:
            self._step_supports_amp_scaling = True
        _check_fused(fused, foreach, differentiable)

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("amsgrad", False)
            group.setdefault("maximize", False)
            group.setdefault("foreach", None)
            group.setdefault("capturable", False)
            group.setdefault("differentiable", False)
            group.setdefault("decoupled_weight_decay", False)
            fused = group.setdefault("fused", None)
            for p in group["params"]:
                p_state = self.state.get(p, [])
                if len(p_state) != 0 and not isinstance(
                    p_state["step"], flashlight.Tensor
                ):
                    count = _new_step(p, group["capturable"] or fused)
                    p_state["step"] = count + float(p_state["step"])

    @_use_grad_for_differentiable
    def step(self, closure=None):
        """Update the parameters once; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group) -> None:
        params, grads = self._with_grad(
            group,
            "Adam does not support sparse gradients, please consider SparseAdam "
            "instead",
        )
        _check_foreach(group["foreach"], group["differentiable"])
        states = []
        for p in params:
            state = self.state[p]
            if len(state) == 0:
                state["step"] = _new_step(p, group["capturable"] or group["fused"])
                state["exp_avg"] = flashlight.zeros_like(p)
                state["exp_avg_sq"] = flashlight.zeros_like(p)
                if group["amsgrad"]:
                    state["max_exp_avg_sq"] = flashlight.zeros_like(p)
            if group["differentiable"] and state["step"].requires_grad:
                raise RuntimeError(
                    "`requires_grad` is not supported for `step` in differentiable mode"
                )
            states.append(state)
        lists = [
            params,
            grads,
            [s["exp_avg"] for s in states],
            [s["exp_avg_sq"] for s in states],
            [s["max_exp_avg_sq"] for s in states] if group["amsgrad"] else [],
            [s["step"] for s in states],
        ]
        beta1, beta2 = group["betas"]
        options = {
            key: group[key]
            for key in ("lr", "eps", "weight_decay", "amsgrad", "maximize")
        }
        if _can_fuse(group, *lists[:4], *filter(None, lists[4:5])):
            self._count_steps(lists[5])
            decoupled = group["decoupled_weight_decay"]
            native = _C._VariableFunctions
            fused = native._fused_adamw_ if decoupled else native._fused_adam_
            fused(
                *lists,
                beta1=_get_value(beta1),
                beta2=_get_value(beta2),
                **options,
                **self._scaling(),
            )
            return
        _step(
            *lists,
            beta1=beta1,
            beta2=beta2,
            capturable=group["capturable"],
            differentiable=group["differentiable"],
            decoupled_weight_decay=group["decoupled_weight_decay"],
            **options,
        )


def _step(
    params,
    grads,
    exp_avgs,
    exp_avg_sqs,
    max_exp_avg_sqs,
    steps,
    *,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    amsgrad,
    maximize,
    capturable,
    differentiable,
    decoupled_weight_decay,
) -> None:
    """Update ``params`` and the state in place."""
    on_tensors = capturable or differentiable
    if not on_tensors:
        lr, beta1, beta2 = _get_value(lr), _get_value(beta1), _get_value(beta2)
    if not amsgrad:
        max_exp_avg_sqs = [None] * len(params)
    for param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, step in zip(
        params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps
    ):
        if maximize:
            grad = -grad
        step += 1
        if weight_decay != 0:
            if decoupled_weight_decay:
                param.mul_(1 - lr * weight_decay)
            else:
                grad = grad.add(param, alpha=weight_decay)
        param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq = map(
            _real, (param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq)
        )
        exp_avg.lerp_(grad, 1 - beta1)
        if isinstance(beta2, flashlight.Tensor):
            exp_avg_sq.lerp_(grad.square(), 1 - beta2)
        else:
            exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        t = step if on_tensors else step.item()
        bias_correction1 = 1 - beta1**t
        bias_correction2 = 1 - beta2**t
        second = exp_avg_sq
        if amsgrad:
            old = max_exp_avg_sq.clone() if differentiable else max_exp_avg_sq
            max_exp_avg_sq.copy_(flashlight.maximum(old, exp_avg_sq))
            second = max_exp_avg_sq
        step_size = lr / bias_correction1
        denom = second.sqrt() / bias_correction2**0.5
        if on_tensors:
            # The step size is a tensor, so it goes into the denominator.
            denom = (denom / -step_size).add_(eps / -step_size)
            param.addcdiv_(exp_avg, denom)
        else:
            param.addcdiv_(exp_avg, denom.add_(eps), value=-step_size)
