"""Adafactor."""

import flashlight

from .optimizer import Optimizer, _get_value, _new_step, _use_grad_for_differentiable

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adafactor (Shazeer and Stern, 2018): second moments kept by row and column.

    Args:
        params: Parameters or groups.
        lr: Largest relative step size.
        beta2_decay: Power of the decay of the second moments.
        eps: Added to squared gradients, and least root mean square of a parameter.
        d: Threshold of the update's root mean square.
        weight_decay: The parameter is multiplied by 1 - lr * weight_decay.
        foreach: Accepted; the same update for all parameters at once.
        maximize: Ascend instead.
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        beta2_decay: float = -0.8,
        eps=(None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach=None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, flashlight.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 >= beta2_decay:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    @_use_grad_for_differentiable
    def step(self, closure=None):
        """Update the parameters once; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group) -> None:
        params, grads = self._with_grad(
            group, "Adafactor does not support sparse gradients"
        )
        for p, grad in zip(params, grads):
            if p.is_complex():
                raise RuntimeError("Adafactor does not support complex parameters")
            state = self.state[p]
            if len(state) == 0:
                state["step"] = _new_step()
                if grad.dim() > 1:
                    rows, cols = list(grad.shape), list(grad.shape)
                    rows[-1], cols[-2] = 1, 1
                    state["row_var"] = grad.new_zeros(rows)
                    state["col_var"] = grad.new_zeros(cols)
                else:
                    state["variance"] = flashlight.zeros_like(grad)
        states = [self.state[p] for p in params]
        eps1, eps2 = group["eps"]
        _step(
            params,
            grads,
            [s.get("row_var") for s in states],
            [s.get("col_var") for s in states],
            [s.get("variance") for s in states],
            [s["step"] for s in states],
            lr=_get_value(group["lr"]),
            beta2_decay=group["beta2_decay"],
            eps1=eps1,
            eps2=eps2,
            d=group["d"],
            weight_decay=group["weight_decay"],
            maximize=group["maximize"],
        )


def _step(
    params,
    grads,
    row_vars,
    col_vars,
    variances,
    steps,
    *,
    lr,
    beta2_decay,
    eps1,
    eps2,
    d,
    weight_decay,
    maximize,
) -> None:
    """Update ``params`` and the state in place."""
    for param, grad, row_var, col_var, variance, step in zip(
        params, grads, row_vars, col_vars, variances, steps
    ):
        if maximize:
            grad = -grad
        step += 1
        t = step.item()
        eps_1 = flashlight.finfo(param.dtype).eps if eps1 is None else eps1
        one_minus_beta2 = t**beta2_decay
        rho = min(lr, 1 / (t**0.5))
        rms_param = param.norm(2).item() / (param.numel() ** 0.5)
        alpha = max(eps2, rms_param) * rho
        if weight_decay != 0:
            param.mul_(1 - lr * weight_decay)
        if grad.dim() > 1:
            row_mean = grad.norm(dim=-1, keepdim=True).square_().div_(grad.size(-1))
            row_var.lerp_(row_mean, one_minus_beta2)
            col_mean = grad.norm(dim=-2, keepdim=True).square_().div_(grad.size(-2))
            col_var.lerp_(col_mean, one_minus_beta2)
            estimate = row_var @ col_var
            estimate.div_(row_var.mean(dim=-2, keepdim=True).clamp_(min=eps_1))
        else:
            variance.lerp_(grad.square(), one_minus_beta2)
            estimate = variance.clone()
        # eps is squared, as the estimate is of squares.
        update = estimate.clamp_(min=eps_1 * eps_1).rsqrt_()
        update.mul_(grad)
        denom = max(1.0, update.norm(2).item() / ((update.numel() ** 0.5) * d))
        param.add_(update, alpha=-alpha / denom)
