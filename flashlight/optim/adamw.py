"""AdamW: Adam whose weight decay does not go through the averages."""

from .adam import Adam

__all__ = ["AdamW"]


class AdamW(Adam):
    """AdamW (Loshchilov and Hutter, 2017); options of :class:`Adam`.

    Args:
        params: Parameters or groups.
        lr: Learning rate.
        betas: Decay of the averages of the gradient and of its square.
        eps: Added to the root of the second average.
        weight_decay: The parameter is multiplied by 1 - lr * weight_decay.
        amsgrad: Use the maximum of the second average.
        maximize: Ascend instead.
        foreach: Accepted; the same update for all parameters at once.
        capturable: Keep the step count on the device.
        differentiable: Let gradients flow through the step.
        fused: Accepted; the same update in one kernel.
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach=None,
        capturable: bool = False,
        differentiable: bool = False,
        fused=None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
