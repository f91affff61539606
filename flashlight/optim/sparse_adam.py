"""Adam for sparse gradients."""

import flashlight

from .optimizer import (
    Optimizer,
    _check_betas,
    _check_lr,
    _get_value,
    _use_grad_for_differentiable,
)

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam that updates only the rows that a sparse gradient has.

    Args:
        params: Dense parameters or groups.
        lr: Learning rate.
        betas: Decay of the averages of the gradient and of its square.
        eps: Added to the root of the second average.
        maximize: Ascend instead.
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        _check_lr(lr)
        if not 0.0 < lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        _check_betas(betas)
        defaults = {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize}
        super().__init__(params, defaults)
        flat = [p for group in self.param_groups for p in group["params"]]
        sparse_params = [i for i, p in enumerate(flat) if p.is_sparse]
        complex_params = [i for i, p in enumerate(flat) if p.is_complex()]
        if sparse_params:
            raise ValueError(
                f"Sparse params at indices {sparse_params}: SparseAdam requires dense "
                "parameter tensors"
            )
        if complex_params:
            raise ValueError(
                f"Complex params at indices {complex_params}: SparseAdam does not "
                "support complex parameters"
            )

    @_use_grad_for_differentiable
    def step(self, closure=None):
        """Update the parameters once; see :meth:`Optimizer.step`."""
        return self._step_groups(closure)

    def _update(self, group) -> None:
        params, grads = self._with_grad(group)
        beta1, beta2 = group["betas"]
        for p, grad in zip(params, grads):
            if not grad.is_sparse:
                raise RuntimeError(
                    "SparseAdam does not support dense gradients, please consider Adam "
                    "instead"
                )
            state = self.state[p]
            if len(state) == 0:
                state["step"] = 0
                state["exp_avg"] = flashlight.zeros_like(p)
                state["exp_avg_sq"] = flashlight.zeros_like(p)
            state["step"] += 1
            _step(
                p,
                grad,
                state["exp_avg"],
                state["exp_avg_sq"],
                state["step"],
                lr=_get_value(group["lr"]),
                beta1=beta1,
                beta2=beta2,
                eps=group["eps"],
                maximize=group["maximize"],
            )


def _step(
    param, grad, exp_avg, exp_avg_sq, step, *, lr, beta1, beta2, eps, maximize
) -> None:
    """Update ``param`` and the state in place, at the elements of ``grad``."""
    grad = (-grad if maximize else grad).coalesce()
    index, values = grad._indices(), grad._values()
    if values.numel() == 0:
        return

    def sparse(data):
        return flashlight.sparse_coo_tensor(index, data, grad.size())

    old_avg = exp_avg.sparse_mask(grad)._values()
    avg_update = values.sub(old_avg).mul_(1 - beta1)
    exp_avg.add_(sparse(avg_update))
    old_sq = exp_avg_sq.sparse_mask(grad)._values()
    sq_update = values.pow(2).sub_(old_sq).mul_(1 - beta2)
    exp_avg_sq.add_(sparse(sq_update))
    numer = avg_update.add_(old_avg)
    denom = sq_update.add_(old_sq).sqrt_().add_(eps)
    step_size = lr * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
    param.add_(sparse(-step_size * numer.div_(denom)))
