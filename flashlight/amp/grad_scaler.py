"""Losses scaled so that small gradients survive in float16."""

import enum
import inspect
import warnings

import flashlight

__all__ = ["GradScaler", "OptState"]


class OptState(enum.Enum):
    """What has been done to an optimizer's gradients since the last update."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class GradScaler:
    """Scales losses, and skips steps whose gradients overflowed.

    Args:
        device: Device type that the gradients are on.
        init_scale: First scale.
        growth_factor: What the scale grows by after ``growth_interval`` good steps.
        backoff_factor: What it shrinks by after a skipped step.
        growth_interval: Good steps in a row before it grows.
        enabled: False makes every method pass its argument through.

    Example::

        scaler = flashlight.amp.GradScaler("cpu")
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    """

    def __init__(
        self,
        device="cuda",
        init_scale=2.0**16,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        enabled=True,
    ):
        self._device = device
        self._enabled = enabled
        if device == "cuda" and enabled and not flashlight.cuda.is_available():
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  "
                "Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._scale = None
        self._growth_tracker = None
        self._per_optimizer_states = {}

    def _state(self, optimizer):
        fresh = {"stage": OptState.READY, "found_inf_per_device": {}}
        return self._per_optimizer_states.setdefault(id(optimizer), fresh)

    def _check_started(self, name):
        for attribute in ("_scale", "_growth_tracker"):
            if getattr(self, attribute) is None:
                raise AssertionError(
                    f"Attempted {name} but {attribute} is None.  This may indicate "
                    "your script did not use scaler.scale(loss or outputs) earlier in "
                    "the iteration."
                )

    def _start(self, device):
        if self._scale is None:
            self._scale = flashlight.full(
                (), self._init_scale, dtype=flashlight.float32, device=device
            )
            self._growth_tracker = flashlight.full(
                (), self._init_growth_tracker, dtype=flashlight.int32, device=device
            )

    def scale(self, outputs):
        """Multiply a tensor, or each tensor of an iterable, by the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, flashlight.Tensor):
            self._start(outputs.device)
            return outputs * self._scale.to(device=outputs.device)
        if hasattr(outputs, "__iter__"):
            items = map(self.scale, outputs)
            return type(outputs)(items) if isinstance(outputs, (list, tuple)) else items
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _unscale_grads_(self, optimizer, inv_scale, found_inf, allow_fp16):
        found = {}
        with flashlight.no_grad():
            for group in optimizer.param_groups:
                for param in group["params"]:
                    grad = param.grad
                    if grad is None:
                        continue
                    if not allow_fp16 and grad.dtype == flashlight.float16:
                        raise ValueError("Attempting to unscale FP16 gradients.")
                    if grad.device not in found:
                        found[grad.device] = found_inf.to(grad.device, copy=True)
                    bad = flashlight.isfinite(grad).all().logical_not()
                    found[grad.device].copy_(
                        flashlight.maximum(found[grad.device], bad.to(inv_scale.dtype))
                    )
                    grad.mul_(inv_scale.to(grad.device))
        return found

    def unscale_(self, optimizer):
        """Divide the optimizer's gradients by the scale; at most once a step."""
        if not self._enabled:
            return
        self._check_started("unscale_")
        state = self._state(optimizer)
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last "
                "update()."
            )
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        inv_scale = self._scale.reciprocal()
        found_inf = flashlight.zeros_like(self._scale)
        state["found_inf_per_device"] = self._unscale_grads_(
            optimizer, inv_scale, found_inf, False
        )
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer, *args, **kwargs):
        """``optimizer.step(...)``, unless a gradient is infinite or NaN.

        Returns what the step returns, None if it was skipped.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError(
                "Closure use is not currently supported if GradScaler is enabled."
            )
        self._check_started("step")
        state = self._state(optimizer)
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError(
                "step() has already been called since the last update()."
            )
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            return self._scaling_step(optimizer, state, args, kwargs)
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        if not state["found_inf_per_device"]:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = None
        if not sum(v.item() for v in state["found_inf_per_device"].values()):
            result = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def _scaling_step(self, optimizer, state, args, kwargs):
        """A step of an optimizer that unscales by itself (fused ones)."""
        if "grad_scaler" in inspect.signature(optimizer.step).parameters:
            warnings.warn(
                "GradScaler is going to stop passing itself as a keyword argument to "
                "the passed optimizer. In the near future GradScaler registers "
                "`grad_scale: Tensor` and `found_inf: Tensor` to the passed optimizer "
                "and let the optimizer use them directly.",
                FutureWarning,
                stacklevel=3,
            )
            kwargs = {**kwargs, "grad_scaler": self}
        else:
            if state["stage"] is OptState.READY:
                self._check_inf_per_device(optimizer)
            unscaled = state["stage"] is OptState.UNSCALED
            optimizer.grad_scale = None if unscaled else self._scale
            optimizer.found_inf = sum(
                v.to(self._scale.device) for v in state["found_inf_per_device"].values()
            )
        result = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        for name in ("grad_scale", "found_inf"):
            if hasattr(optimizer, name):
                delattr(optimizer, name)
        return result

    def update(self, new_scale=None):
        """Choose the next scale; once an iteration, after all steps.

        Args:
            new_scale: Use this instead, a float or a float tensor of one element.
        """
        if not self._enabled:
            return
        self._check_started("update")
        if new_scale is not None:
            self._set_scale(new_scale)
        else:
            found = [
                v.to(self._scale.device)
                for state in self._per_optimizer_states.values()
                for v in state["found_inf_per_device"].values()
            ]
            if not found:
                raise AssertionError("No inf checks were recorded prior to update.")
            self._adapt(sum(v.item() for v in found) > 0)
        self._per_optimizer_states = {}

    def _set_scale(self, new_scale):
        if isinstance(new_scale, float):
            self._scale.fill_(new_scale)
            return
        reason = (
            "new_scale should be a float or a 1-element torch.cuda.FloatTensor or "
            "torch.FloatTensor with requires_grad=False."
        )
        if (
            new_scale.dtype != flashlight.float32
            or new_scale.numel() != 1
            or new_scale.requires_grad
        ):
            raise AssertionError(reason)
        self._scale.copy_(new_scale)

    def _adapt(self, overflowed):
        if overflowed:
            self._scale.mul_(self._backoff_factor)
            self._growth_tracker.zero_()
            return
        good = self._growth_tracker.item() + 1
        if good == self._growth_interval:
            grown = self._scale * self._growth_factor
            if flashlight.isfinite(grown):
                self._scale.copy_(grown)
            good = 0
        self._growth_tracker.fill_(good)

    def get_scale(self):
        """The scale as a float; 1.0 where scaling is off."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self):
        """What the scale grows by."""
        return self._growth_factor

    def set_growth_factor(self, new_factor):
        """Choose what the scale grows by."""
        self._growth_factor = new_factor

    def get_backoff_factor(self):
        """What the scale shrinks by."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor):
        """Choose what the scale shrinks by."""
        self._backoff_factor = new_factor

    def get_growth_interval(self):
        """Good steps in a row before the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval):
        """Choose how many good steps make the scale grow."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self):
        if not self._enabled:
            return 0
        if self._growth_tracker is None:
            return self._init_growth_tracker
        return self._growth_tracker.item()

    def is_enabled(self):
        """Whether this scales anything."""
        return self._enabled

    def state_dict(self):
        """The scale and how it moves; empty where scaling is off."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict):
        """Take what ``state_dict()`` gave."""
        if not self._enabled:
            return
        if len(state_dict) == 0:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a "
                "disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._growth_tracker is not None:
            self._growth_tracker.fill_(state_dict["_growth_tracker"])

    def _check_inf_per_device(self, optimizer):
        self._check_started("_check_inf_per_device")
        one = flashlight.ones_like(self._scale)
        found = self._unscale_grads_(optimizer, one, flashlight.zeros_like(one), True)
        self._state(optimizer)["found_inf_per_device"] = found
        return found

    def _found_inf_per_device(self, optimizer):
        return self._state(optimizer)["found_inf_per_device"]

    def __getstate__(self):
        if self._enabled and self._per_optimizer_states:
            raise AssertionError(
                "A GradScaler instance may only be pickled at the beginning of an "
                "iteration, or at the end after scaler.update()."
            )
        state = self.__dict__.copy()
        if self._enabled:
            state["_init_scale"] = self.get_scale()
            state["_init_growth_tracker"] = self._get_growth_tracker()
            state["_scale"] = state["_growth_tracker"] = None
        return state
