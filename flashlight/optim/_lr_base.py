"""The base of learning rate schedules."""

import types
import warnings
from contextlib import contextmanager
from functools import wraps

import flashlight

from .optimizer import Optimizer

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being "
    "deprecated where possible. Please use `scheduler.step()` to step the scheduler. "
    "During the deprecation, if epoch is different from None, the closed form is used "
    "instead of the new chainable form, where available. Please open an issue if you "
    "are unable to replicate your use case: https://github.com/pytorch/pytorch/issues/"
    "new/choose."
)
_ORDER_URL = (
    "See more details at "
    "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
)


def _copy(value):
    return value.clone() if isinstance(value, flashlight.Tensor) else value


def _param_groups_val_list(optimizer, key):
    """Return ``key`` of every group; tensors are copied."""
    return [_copy(group[key]) for group in optimizer.param_groups]


def _update_param_group_val(param_group, key, val) -> None:
    """Set ``key`` of a group; a tensor is filled, so that it stays the same one."""
    if isinstance(param_group[key], flashlight.Tensor):
        param_group[key].fill_(val)
    else:
        param_group[key] = val


def _format_param(name, optimizer, param):
    """Return one value of ``param`` for each group."""
    groups = optimizer.param_groups
    if not isinstance(param, (list, tuple)):
        return [_copy(param) for _ in groups]
    if len(param) != len(groups):
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has "
            f"{len(param)} values, param_groups has {len(groups)}."
        )
    return [_copy(p) for p in param]


def _check_optimizer(optimizer) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


@contextmanager
def _flag(obj, name):
    """Set an attribute to True for a while."""
    setattr(obj, name, True)
    try:
        yield
    finally:
        setattr(obj, name, False)


def _track_step_calls(opt) -> None:
    """Note on the optimizer that its step was called."""
    if hasattr(opt.step, "_wrapped_by_lr_sched"):
        return
    inner = opt.step.__func__

    @wraps(inner)
    def wrapper(self, *args, **kwargs):
        self._opt_called = True
        return inner(self, *args, **kwargs)

    wrapper._wrapped_by_lr_sched = True
    opt.step = types.MethodType(wrapper, opt)


class LRScheduler:
    """Base class of schedules.

    Subclasses define ``get_lr``, which gives the rates of epoch ``last_epoch`` from
    those before, and ``_get_closed_form_lr`` if there is a formula.

    Args:
        optimizer: Optimizer whose rates are set.
        last_epoch: Epoch to resume from; -1 starts.
    """

    _get_lr_called_within_step: bool = False
    _is_initial: bool = False

    def __init__(self, optimizer, last_epoch: int = -1) -> None:
        _check_optimizer(optimizer)
        self.optimizer = optimizer
        if last_epoch == -1:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", _copy(group["lr"]))
        else:
            for i, group in enumerate(optimizer.param_groups):
                if "initial_lr" not in group:
                    raise KeyError(
                        "param 'initial_lr' is not specified in "
                        f"param_groups[{i}] when resuming scheduler with last_epoch >= "
                        "0.\nThis typically happens when:\n1. You're trying to resume "
                        "training from a checkpoint but haven't properly loaded the "
                        "optimizer state\n2. You're using last_epoch >= 0 for a fresh "
                        "training run (not recommended)"
                    )
        self.base_lrs = _param_groups_val_list(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _track_step_calls(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        with _flag(self, "_is_initial"):
            self.step()

    def state_dict(self):
        """Return everything but the optimizer."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict) -> None:
        """Take the state of :meth:`state_dict`."""
        self.__dict__.update(state_dict)

    def get_last_lr(self):
        """Return the rates that were set last."""
        return self._last_lr

    def get_lr(self):
        """Return the rates of epoch ``last_epoch``."""
        raise NotImplementedError

    def step(self, epoch=None) -> None:
        """Go on to the next epoch; call it after ``optimizer.step()``.

        Args:
            epoch: Deprecated: epoch to go to.
        """
        if self._step_count == 1:
            if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
                warnings.warn(
                    "Seems like `optimizer.step()` has been overridden after learning "
                    "rate scheduler initialization. Please, make sure to call "
                    "`optimizer.step()` before `lr_scheduler.step()`. " + _ORDER_URL,
                    UserWarning,
                    stacklevel=2,
                )
            elif not getattr(self.optimizer, "_opt_called", False):
                warnings.warn(
                    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. "
                    "In PyTorch 1.1.0 and later, you should call them in the opposite "
                    "order: `optimizer.step()` before `lr_scheduler.step()`.  Failure "
                    "to do this will result in PyTorch skipping the first value of the "
                    "learning rate schedule. " + _ORDER_URL,
                    UserWarning,
                    stacklevel=2,
                )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch=None) -> None:
        with _flag(self, "_get_lr_called_within_step"):
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                if hasattr(self, "_get_closed_form_lr"):
                    values = self._get_closed_form_lr()
                else:
                    values = self.get_lr()
        self._set_lrs(values)

    def _set_lrs(self, values) -> None:
        for group, lr in zip(self.optimizer.param_groups, values):
            _update_param_group_val(group, "lr", lr)
        self._last_lr = _param_groups_val_list(self.optimizer, "lr")

    def _current(self, factor=None):
        """Return the rates of the optimizer, times ``factor``."""
        lrs = _param_groups_val_list(self.optimizer, "lr")
        return lrs if factor is None else [lr * factor for lr in lrs]

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use "
                "`get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )


class _LRScheduler(LRScheduler):
    """Old name of :class:`LRScheduler`."""
