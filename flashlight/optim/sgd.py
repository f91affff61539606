"""Stochastic gradient descent."""

import flashlight
from flashlight import _C

from .optimizer import (
    Optimizer,
    _can_fuse,
    _check_fused,
    _check_lr,
    _check_not_negative,
    _use_grad_for_differentiable,
)

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        momentum: Share of the last update that is kept.
        dampening: Share of the gradient that momentum leaves out.
        weight_decay: Factor of the parameter added to its gradient.
        nesterov: Look ahead by the momentum.
        maximize: Ascend instead.
        foreach: Accepted; the same update for all parameters at once.
        differentiable: Let gradients flow through the step.
        fused: Accepted; the same update in one kernel.

    Examples:
        >>> opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> opt.zero_grad()
        >>> loss_fn(model(input), target).backward()
        >>> opt.step()
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay=0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach=None,
        differentiable: bool = False,
        fused=None,
    ) -> None:
        _check_lr(lr)
        _check_not_negative("momentum value", momentum)
        _check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, defaults)
        if fused:
            self._step_supports_amp_scaling = True
        _check_fused(fused, foreach, differentiable)

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("nesterov", False)
            group.setdefault("maximize", False)
            group.setdefault("foreach", None)
            group.setdefault("differentiable", False)
            group.setdefault("fused", False)

    @_use_grad_for_differentiable
    def step(self, closure=None):
        """Update the parameters once; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group) -> None:
        params, grads = self._with_grad(group)
        momentum = group["momentum"]
        # Without momentum there is no state, not even an empty one.
        buffers = [
            self.state[p].get("momentum_buffer") if momentum != 0 else None
            for p in params
        ]
        options = {
            key: group[key]
            for key in ("lr", "dampening", "weight_decay", "nesterov", "maximize")
        }
        first = [i for i, b in enumerate(buffers) if b is None and momentum != 0]
        if _can_fuse(group, params, grads):
            for i in first:
                buffers[i] = flashlight.zeros_like(grads[i])
            self._fused_step(params, grads, buffers, first, momentum, options)
        else:
            _step(params, grads, buffers, momentum=momentum, **options)
        if momentum != 0:
            for p, buffer in zip(params, buffers):
                self.state[p]["momentum_buffer"] = buffer

    def _fused_step(self, params, grads, buffers, first, momentum, options) -> None:
        """Update all parameters at once; buffers at `first` hold nothing yet."""
        first = set(first)
        later = [i for i in range(len(params)) if i not in first]
        for indices, is_first in ((sorted(first), True), (later, False)):
            if indices:
                _C._VariableFunctions._fused_sgd_(
                    [params[i] for i in indices],
                    [grads[i] for i in indices],
                    [buffers[i] for i in indices] if momentum != 0 else [],
                    momentum=momentum,
                    is_first_step=is_first,
                    **options,
                    **self._scaling(),
                )


def _step(
    params,
    grads,
    buffers,
    *,
    lr,
    momentum,
    dampening,
    weight_decay,
    nesterov,
    maximize,
) -> None:
    """Update ``params`` in place, and ``buffers``, which starts as None's."""
    for i, (param, grad) in enumerate(zip(params, grads)):
        if maximize:
            grad = -grad
        if isinstance(weight_decay, flashlight.Tensor):
            grad = grad + param * weight_decay
        elif weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        if momentum != 0:
            if buffers[i] is None:
                buffers[i] = grad.detach().clone()
            else:
                buffers[i].mul_(momentum).add_(grad, alpha=1 - dampening)
            grad = grad.add(buffers[i], alpha=momentum) if nesterov else buffers[i]
        if isinstance(lr, flashlight.Tensor):
            if lr.requires_grad:
                param.addcmul_(grad, lr, value=-1)
            else:
                param.add_(grad, alpha=-lr.item())
        else:
            param.add_(grad, alpha=-lr)
