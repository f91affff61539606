"""Averaging of the weights of a model over training."""

import itertools
import math
from copy import deepcopy

import flashlight

from ..nn import Module
from ._lr_base import LRScheduler, _format_param

__all__ = [
    "AveragedModel",
    "update_bn",
    "SWALR",
    "get_ema_multi_avg_fn",
    "get_swa_multi_avg_fn",
    "get_ema_avg_fn",
    "get_swa_avg_fn",
]


def _check_decay(decay) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] "
            "range."
        )


def get_ema_multi_avg_fn(decay=0.999):
    """Return the exponential moving average of lists of parameters."""
    _check_decay(decay)

    def ema_update(ema_param_list, current_param_list, _):
        with flashlight.no_grad():
            for p_ema, p_model in zip(ema_param_list, current_param_list):
                if p_ema.is_floating_point() or p_ema.is_complex():
                    p_ema.lerp_(p_model, 1 - decay)
                else:
                    p_ema.copy_(p_ema * decay + p_model * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn():
    """Return the equal average of lists of parameters."""

    def swa_update(averaged_param_list, current_param_list, num_averaged):
        weight = 1 / (num_averaged + 1)
        with flashlight.no_grad():
            for p_avg, p_model in zip(averaged_param_list, current_param_list):
                if p_avg.is_floating_point() or p_avg.is_complex():
                    p_avg.lerp_(p_model, float(weight))
                else:
                    p_avg.copy_(p_avg + (p_model - p_avg) * weight)

    return swa_update


def get_ema_avg_fn(decay=0.999):
    """Return the exponential moving average of single parameters."""
    _check_decay(decay)

    def ema_update(ema_param, current_param, num_averaged):
        with flashlight.no_grad():
            return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """Return the equal average of single parameters."""

    def swa_update(averaged_param, current_param, num_averaged):
        with flashlight.no_grad():
            return averaged_param + (current_param - averaged_param) / (
                num_averaged + 1
            )

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages over training.

    Args:
        model: Model to copy.
        device: Device of the copy.
        avg_fn: Function of an averaged and a current parameter and their number.
        multi_avg_fn: The same of lists, changing the first in place.
        use_buffers: Average the buffers too.
    """

    def __init__(
        self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError(
                "Only one of avg_fn and multi_avg_fn should be provided"
            )
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer(
            "n_averaged", flashlight.tensor(0, dtype=flashlight.long, device=device)
        )
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def update_parameters(self, model) -> None:
        """Take the current parameters of ``model`` into the average."""

        def members(m):
            if self.use_buffers:
                return itertools.chain(m.parameters(), m.buffers())
            return m.parameters()

        averaged = list(members(self.module))
        current = [
            p.detach().to(p_avg.device) for p_avg, p in zip(averaged, members(model))
        ]
        averaged = [p.detach() for p in averaged]
        if self.n_averaged == 0:
            for p_avg, p in zip(averaged, current):
                p_avg.copy_(p)
        else:
            if self.avg_fn is None:
                update = self.multi_avg_fn or get_swa_multi_avg_fn()
                update(averaged, current, self.n_averaged)
            else:
                for p_avg, p in zip(averaged, current):
                    p_avg.copy_(self.avg_fn(p_avg, p, self.n_averaged))
        if not self.use_buffers:
            for b_swa, b_model in zip(self.module.buffers(), model.buffers()):
                b_swa.detach().copy_(b_model.detach().to(b_swa.device))
        self.n_averaged += 1


def update_bn(loader, model, device=None) -> None:
    """Compute the statistics of batch normalizations over a pass of the data.

    Args:
        loader: Batches, or tuples whose first element is the input.
        model: Model to update.
        device: Device to move the inputs to.
    """
    from ..nn.layers.normalization import _BatchNorm

    momenta = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.momentum = None
    with flashlight.no_grad():
        for batch in loader:
            if isinstance(batch, (list, tuple)):
                batch = batch[0]
            if device is not None:
                batch = batch.to(device)
            model(batch)
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Rate that goes to a fixed value and stays there.

    Args:
        optimizer: Optimizer.
        swa_lr: The value, or one for each group.
        anneal_epochs: Epochs until it is reached.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        last_epoch: Epoch to resume from.
    """

    def __init__(
        self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1
    ) -> None:
        swa_lrs = _format_param("swa_lr", optimizer, swa_lr)
        for lr, group in zip(swa_lrs, optimizer.param_groups):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                "anneal_strategy must be one of 'cos' or 'linear', instead got "
                f"{anneal_strategy}"
            )
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(
                f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}"
            )
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _alpha(self, step: int) -> float:
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        if self._anneal_strategy == "cos":
            return (1 - math.cos(math.pi * t)) / 2
        return t

    def get_lr(self):
        self._warn_outside_step()
        # _step_count counts the step of the constructor too.
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._alpha(step - 1), self._alpha(step)
        lrs = []
        for group in self.optimizer.param_groups:
            lr, swa_lr = group["lr"], group["swa_lr"]
            initial = swa_lr if before == 1 else (lr - before * swa_lr) / (1 - before)
            lrs.append(swa_lr * now + initial * (1 - now))
        return lrs
