"""Optimizer, the base class of all optimizers."""

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from copy import deepcopy
from itertools import chain

import flashlight
from flashlight.autograd.profiler import _scope

from ..utils.hooks import RemovableHandle

__all__ = [
    "Optimizer",
    "register_optimizer_step_pre_hook",
    "register_optimizer_step_post_hook",
]

_global_optimizer_pre_hooks: dict = OrderedDict()
_global_optimizer_post_hooks: dict = OrderedDict()


class _RequiredParameter:
    """Marks a parameter-group option that has no default."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _RequiredParameter()


def _typename(obj) -> str:
    if isinstance(obj, flashlight.Tensor):
        return obj.type()
    cls = type(obj)
    module = cls.__module__
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"


def _use_grad_for_differentiable(func):
    """Run ``step`` with gradients enabled only for ``differentiable=True``."""

    @functools.wraps(func)
    def step(*args, **kwargs):
        self = args[0]
        with flashlight.set_grad_enabled(self.defaults.get("differentiable", False)):
            return func(*args, **kwargs)

    return step


def _get_value(x):
    """Return the number in a tensor of one element, or the number itself."""
    return x.item() if isinstance(x, flashlight.Tensor) else x


def _check_lr(lr) -> None:
    if isinstance(lr, flashlight.Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not 0.0 <= lr:
        raise ValueError(f"Invalid learning rate: {lr}")


def _check_not_negative(what: str, value) -> None:
    if not 0.0 <= value:
        raise ValueError(f"Invalid {what}: {value}")


def _check_betas(betas) -> None:
    for i, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def _check_fused(fused, foreach, differentiable) -> None:
    if fused:
        if differentiable:
            raise RuntimeError("`fused` does not support `differentiable`")
        if foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def _check_foreach(foreach, differentiable) -> None:
    if foreach and differentiable:
        raise AssertionError("_foreach ops don't support autograd")


_FUSED_DEVICES = ["mps", "cuda", "cpu"]


def _can_fuse(group, params, grads, *states) -> bool:
    """Whether the group's step can be one call of the engine.

    Without being asked (``fused=None``), only where that computes what the steps in
    Python do: these round after each operation, which shows in dtypes of half width.
    """
    fused = group["fused"]
    if not params or any(g.is_sparse for g in grads):
        return False
    if fused:
        for p in params:
            if not p.is_floating_point():
                raise RuntimeError(
                    "`fused=True` requires all the params to be floating point Tensors "
                    f"of supported devices: {_FUSED_DEVICES} but {p.dtype} and "
                    f"{p.device.type}"
                )
        return True
    if fused is False or group["differentiable"]:
        return False
    if len({id(p) for p in params}) < len(params):
        return False
    if any(isinstance(x, flashlight.Tensor) for x in group.get("betas", ())):
        return False
    if isinstance(group["weight_decay"], flashlight.Tensor):
        return False
    if isinstance(group["lr"], flashlight.Tensor) and group["lr"].requires_grad:
        return False
    wide = (flashlight.float32, flashlight.float64)
    dtypes = [p.dtype for p in params]
    sizes = [p.shape for p in params]
    return all(d in wide for d in dtypes) and all(
        [t.dtype for t in tensors] == dtypes and [t.shape for t in tensors] == sizes
        for tensors in (grads, *states)
    )


def _real(t):
    """Return a complex tensor as a view of pairs of reals."""
    if t is not None and t.is_complex():
        return flashlight.view_as_real(t)
    return t


def _new_step(param=None, on_device: bool = False):
    """Return a step count of zero; on the parameter's device if it must be."""
    if on_device:
        return flashlight.zeros((), dtype=flashlight.float32, device=param.device)
    return flashlight.tensor(0.0, dtype=flashlight.float32)


def register_optimizer_step_pre_hook(hook) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before the step of every optimizer."""
    handle = RemovableHandle(_global_optimizer_pre_hooks)
    _global_optimizer_pre_hooks[handle.id] = hook
    return handle


def register_optimizer_step_post_hook(hook) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after the step of every optimizer."""
    handle = RemovableHandle(_global_optimizer_post_hooks)
    _global_optimizer_post_hooks[handle.id] = hook
    return handle


class Optimizer:
    """Base class of optimizers: parameter groups, state, and their exchange.

    Args:
        params: Tensors, (name, tensor) pairs, or dicts that define groups.
        defaults: Options of groups that do not set them.
    """

    def __init__(self, params, defaults) -> None:
        self.defaults = defaults
        self._optimizer_step_pre_hooks: dict = OrderedDict()
        self._optimizer_step_post_hooks: dict = OrderedDict()
        self._optimizer_state_dict_pre_hooks: dict = OrderedDict()
        self._optimizer_state_dict_post_hooks: dict = OrderedDict()
        self._optimizer_load_state_dict_pre_hooks: dict = OrderedDict()
        self._optimizer_load_state_dict_post_hooks: dict = OrderedDict()
        self._patch_step_function()
        if isinstance(params, flashlight.Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of "
                "Tensors or dicts, but got " + _typename(params)
            )
        self.state: dict = defaultdict(dict)
        self.param_groups: list = []
        param_groups = list(params)
        if len(param_groups) == 0:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(param_groups[0], dict):
            param_groups = [{"params": param_groups}]
        for param_group in param_groups:
            self.add_param_group(param_group)

    def __getstate__(self):
        return {
            "defaults": self.defaults,
            "state": self.state,
            "param_groups": self.param_groups,
        }

    def __setstate__(self, state) -> None:
        self.__dict__.update(state)
        for name in (
            "_optimizer_step_pre_hooks",
            "_optimizer_step_post_hooks",
            "_optimizer_state_dict_pre_hooks",
            "_optimizer_state_dict_post_hooks",
            "_optimizer_load_state_dict_pre_hooks",
            "_optimizer_load_state_dict_post_hooks",
        ):
            self.__dict__.setdefault(name, OrderedDict())
        self._patch_step_function()
        self.defaults.setdefault("differentiable", False)

    def __repr__(self) -> str:
        text = self.__class__.__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            for key in sorted(group):
                if key != "params":
                    text += f"    {key}: {group[key]}\n"
        return text + ")"

    @staticmethod
    def profile_hook_step(func):
        """Wrap a step function so that it runs the step hooks."""

        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            self, *_ = args
            with _scope("Optimizer.step#{}.step", self):
                return run(self, args, kwargs)

        def run(self, args, kwargs):
            for pre_hook in chain(
                _global_optimizer_pre_hooks.values(),
                self._optimizer_step_pre_hooks.values(),
            ):
                result = pre_hook(self, args, kwargs)
                if result is None:
                    continue
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        f"{func} must return None or a tuple of (new_args, "
                        f"new_kwargs), but got {result}."
                    )
                args, kwargs = result
            out = func(*args, **kwargs)
            for post_hook in chain(
                self._optimizer_step_post_hooks.values(),
                _global_optimizer_post_hooks.values(),
            ):
                post_hook(self, args, kwargs)
            return out

        return wrapper

    def _patch_step_function(self) -> None:
        cls = self.__class__
        if not getattr(cls.step, "hooked", None):
            cls.step = self.profile_hook_step(cls.step)
            cls.step.hooked = True

    # ------------------------------------------------------------------------ hooks

    def register_step_pre_hook(self, hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before step.

        It may return a pair of new arguments, the optimizer among them.
        """
        handle = RemovableHandle(self._optimizer_step_pre_hooks)
        self._optimizer_step_pre_hooks[handle.id] = hook
        return handle

    def register_step_post_hook(self, hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after step."""
        handle = RemovableHandle(self._optimizer_step_post_hooks)
        self._optimizer_step_post_hooks[handle.id] = hook
        return handle

    @staticmethod
    def _add_hook(hooks, hook, prepend) -> RemovableHandle:
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def register_state_dict_pre_hook(
        self, hook, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(optimizer)`` before state_dict."""
        return self._add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(
        self, hook, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)``, which may return another dict."""
        return self._add_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)``, which may return another dict."""
        return self._add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(optimizer)`` after load_state_dict."""
        return self._add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    # ------------------------------------------------------------------------ state

    def state_dict(self):
        """Return the state, with parameters replaced by their numbers.

        Returns:
            A dict of ``state`` (by number) and ``param_groups`` (lists of numbers).
        """
        for pre_hook in self._optimizer_state_dict_pre_hooks.values():
            pre_hook(self)
        numbers: dict = {}

        def pack_group(group):
            packed = {k: v for k, v in group.items() if k != "params"}
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            return packed

        param_groups = [pack_group(g) for g in self.param_groups]
        state = {
            (numbers[id(k)] if isinstance(k, flashlight.Tensor) else k): v
            for k, v in self.state.items()
        }
        state_dict = {"state": state, "param_groups": param_groups}
        for post_hook in self._optimizer_state_dict_post_hooks.values():
            out = post_hook(self, state_dict)
            if out is not None:
                state_dict = out
        return state_dict

    @staticmethod
    def _process_value_according_to_param_policy(
        param, value, param_id, param_groups, key=None
    ):
        """Cast loaded state to its parameter's dtype and device, except ``step``."""
        fused = capturable = False
        for group in param_groups:
            if param_id in group["params"]:
                fused = group.get("fused", False)
                capturable = group.get("capturable", False)
                break
        if key == "step":
            if capturable or fused:
                return value.to(dtype=flashlight.float32, device=param.device)
            return value
        if param.is_floating_point():
            return value.to(dtype=param.dtype, device=param.device)
        return value.to(device=param.device)

    def load_state_dict(self, state_dict) -> None:
        """Take the state of :meth:`state_dict`; groups must have the same sizes."""
        state_dict = state_dict.copy()
        for pre_hook in self._optimizer_load_state_dict_pre_hooks.values():
            out = pre_hook(self, state_dict)
            if out is not None:
                state_dict = out

        groups = self.param_groups
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(groups) != len(saved_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups"
            )
        if any(
            len(g["params"]) != len(s["params"]) for g, s in zip(groups, saved_groups)
        ):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the "
                "size of optimizer's group"
            )
        id_map = dict(
            zip(
                chain.from_iterable(g["params"] for g in saved_groups),
                chain.from_iterable(g["params"] for g in groups),
            )
        )

        def cast(param, value, param_id=None, key=None):
            if isinstance(value, flashlight.Tensor):
                return self._process_value_according_to_param_policy(
                    param, value, param_id, state_dict["param_groups"], key
                )
            if isinstance(value, dict):
                return {
                    k: cast(param, v, param_id=param_id, key=k)
                    for k, v in value.items()
                }
            if isinstance(value, Iterable) and not isinstance(value, str):
                return type(value)(cast(param, v, param_id=param_id) for v in value)
            return value

        state: dict = defaultdict(dict)
        for k, v in state_dict["state"].items():
            if k in id_map:
                state[id_map[k]] = cast(id_map[k], v, param_id=k)
            else:
                state[k] = v

        def update_group(group, new_group):
            new_group["params"] = group["params"]
            if "param_names" in group and "param_names" not in new_group:
                new_group["param_names"] = group["param_names"]
            return new_group

        param_groups = [update_group(g, ng) for g, ng in zip(groups, saved_groups)]
        self.__setstate__({"state": state, "param_groups": param_groups})
        for post_hook in self._optimizer_load_state_dict_post_hooks.values():
            post_hook(self)

    # --------------------------------------------------------------------- stepping

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters, to None by default."""
        with _scope("Optimizer.zero_grad#{}.zero_grad", self):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    if set_to_none:
                        p.grad = None
                        continue
                    if p.grad.grad_fn is not None:
                        p.grad.detach_()
                    else:
                        p.grad.requires_grad_(False)
                    p.grad.zero_()

    def step(self, closure=None):
        """Update the parameters once.

        Args:
            closure: Evaluates the model again and returns the loss.
        """
        raise NotImplementedError

    def _step_groups(self, closure):
        """Evaluate the closure, then call ``_update(group)`` for every group."""
        loss = None
        if closure is not None:
            with flashlight.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update(group)
        return loss

    def _with_grad(self, group, sparse_error=None):
        """Return the group's parameters that have a gradient, and these."""
        params = [p for p in group["params"] if p.grad is not None]
        if sparse_error is not None and any(p.grad.is_sparse for p in params):
            raise RuntimeError(sparse_error)
        return params, [p.grad for p in params]

    def _scaling(self):
        """What a gradient scaler has left for the fused step, as its arguments."""
        return {
            "grad_scale": getattr(self, "grad_scale", None),
            "found_inf": getattr(self, "found_inf", None),
        }

    def _count_steps(self, steps) -> None:
        """Add one to each count, unless the scaler has found infinities."""
        found_inf = getattr(self, "found_inf", None)
        for step in steps:
            step += 1
            if found_inf is not None:
                step -= found_inf

    def add_param_group(self, param_group) -> None:
        """Add a group of parameters.

        Args:
            param_group: Dict of ``params`` and the options that differ from the
                defaults.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, flashlight.Tensor):
            param_group["params"] = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but "
                "the ordering of tensors in sets will change between runs. Please use "
                "a list instead."
            )
        else:
            param_group["params"] = list(params)

        tensors, names = [], []
        for param in param_group["params"]:
            if isinstance(param, tuple):
                names.append(param[0])
                tensors.append(param[1])
            else:
                tensors.append(param)
        param_group["params"] = tensors
        if names:
            if len(names) != len(tensors):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param "
                    "names are missing"
                )
            param_group["param_names"] = names

        for param in tensors:
            if not isinstance(param, flashlight.Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is "
                    + _typename(param)
                )
            if not self.defaults.get("differentiable", None) and not (
                param.is_leaf or param.retains_grad
            ):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization "
                    f"parameter {name}"
                )
            param_group.setdefault(name, default)

        if len(tensors) != len({id(p) for p in tensors}):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in "
                "future, this will cause an error; see github.com/pytorch/pytorch/"
                "issues/40967 for more information",
                stacklevel=3,
            )
        seen = {id(p) for group in self.param_groups for p in group["params"]}
        if ("param_names" in param_group) != (
            "param_names" in self.param_groups[0] if self.param_groups else bool(names)
        ):
            has_names = "with names" if names else "without names"
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add "
                f"param group {has_names} to the optimizer"
            )
        if not seen.isdisjoint(id(p) for p in tensors):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)
