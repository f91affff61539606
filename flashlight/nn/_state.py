"""Saving and loading of a module's state: the state_dict protocol."""

import itertools
import warnings
from collections import OrderedDict
from collections.abc import Mapping

import flashlight
from flashlight import __future__
from flashlight.utils._swapping import swap_tensors

from ..utils.hooks import RemovableHandle
from ._global_hooks import _register, _WrappedHook
from .parameter import Parameter, is_lazy

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


def _typename(obj) -> str:
    """Return the name of an object's type as error messages show it."""
    if isinstance(obj, flashlight.Tensor):
        return obj.type()
    cls = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(cls, "__module__", None) or ""
    if module in ("builtins", "__builtin__", ""):
        return cls.__qualname__
    return f"{module}.{cls.__qualname__}"


def _swap_in(param, loaded, assign):
    """Let a tensor of a module change places with what its module_load() makes."""
    new = param.module_load(loaded, assign=assign)
    if new is loaded or new is param:
        raise RuntimeError(
            "module_load returned one of self or other, please .detach() the result if "
            "returning one of the inputs in module_load"
        )
    if isinstance(param, Parameter):
        if isinstance(new, Parameter):
            new.requires_grad_(param.requires_grad)
        else:
            new = Parameter(new, requires_grad=param.requires_grad)
    swap_tensors(param, new)


class StateDictMixin:
    """The part of Module that saves and loads parameters and buffers."""

    def get_extra_state(self):
        """Return state beyond tensors; subclasses override it."""
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be "
            "called. Please file an issue at https://github.com/pytorch/pytorch/issues/"
            "new?template=bug-report.yml to report this bug."
        )

    def set_extra_state(self, state) -> None:
        """Take what :meth:`get_extra_state` returned; subclasses override it."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be "
            "called. Please file an issue at https://github.com/pytorch/pytorch/issues/"
            "new?template=bug-report.yml to report this bug."
        )

    def _has_extra_state(self, method: str) -> bool:
        own = getattr(self.__class__, method)
        return own is not getattr(StateDictMixin, method)

    # ----------------------------------------------------------------------- saving

    def _register_state_dict_hook(self, hook):
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that "
                "was previously registered via register_state_dict_post_hook"
            )
        return _register(self._state_dict_hooks, hook)

    def register_state_dict_post_hook(self, hook) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after state_dict.

        The hook may change ``state_dict`` in place and returns None.
        """
        hook._from_public_api = True
        return _register(self._state_dict_hooks, hook)

    def register_state_dict_pre_hook(self, hook) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before state_dict."""
        return _register(self._state_dict_pre_hooks, hook)

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        """Put the module's own tensors, not those of submodules, in destination."""
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buf in self._buffers.items():
            if buf is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buf if keep_vars else buf.detach()
        if self._has_extra_state("get_extra_state"):
            key = prefix + _EXTRA_STATE_KEY_SUFFIX
            destination[key] = self.get_extra_state()

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """Return an ordered dict of all parameters and persistent buffers.

        Args:
            destination: Dict to fill; a new one by default.
            prefix: Put before each key.
            keep_vars: Keep the tensors attached to autograd.
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to "
                "https://pytorch.org/docs/main/generated/torch.nn.Module.html"
                "#torch.nn.Module.state_dict for details.",
                FutureWarning,
                stacklevel=2,
            )
            destination = args[0] if destination is None else destination
            if len(args) > 1 and prefix == "":
                prefix = args[1]
            if len(args) > 2 and keep_vars is False:
                keep_vars = args[2]
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata

        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination,
                    prefix=f"{prefix}{name}.",
                    keep_vars=keep_vars,
                )
        for hook in self._state_dict_hooks.values():
            hook_result = hook(self, destination, prefix, local_metadata)
            if not getattr(hook, "_from_public_api", False):
                if hook_result is not None:
                    destination = hook_result
            elif hook_result is not None:
                raise RuntimeError("state_dict post-hook must return None")
        return destination

    # ---------------------------------------------------------------------- loading

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        wrapped = _WrappedHook(hook, self if with_module else None)
        return _register(self._load_state_dict_pre_hooks, wrapped)

    def register_load_state_dict_pre_hook(self, hook) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, ...)`` before loading.

        The remaining arguments are those of ``_load_from_state_dict``.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after loading."""
        return _register(self._load_state_dict_post_hooks, hook)

    def _load_from_state_dict(
        self,
        state_dict,
        prefix,
        local_metadata,
        strict,
        missing_keys,
        unexpected_keys,
        error_msgs,
    ) -> None:
        """Copy the module's own entries of ``state_dict`` into its tensors.

        Problems are appended to the three lists, never raised.
        """
        for hook in self._load_state_dict_pre_hooks.values():
            hook(
                state_dict,
                prefix,
                local_metadata,
                strict,
                missing_keys,
                unexpected_keys,
                error_msgs,
            )
        persistent = {
            k: v
            for k, v in self._buffers.items()
            if k not in self._non_persistent_buffers_set
        }
        local_state = {
            k: v
            for k, v in itertools.chain(self._parameters.items(), persistent.items())
            if v is not None
        }
        assign = local_metadata.get("assign_to_params_buffers", False)

        for name, param in local_state.items():
            key = prefix + name
            if key in state_dict:
                self._load_entry(name, key, param, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)

        extra_key = prefix + _EXTRA_STATE_KEY_SUFFIX
        if self._has_extra_state("set_extra_state"):
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)

        if not strict:
            return
        for key in state_dict:
            if not key.startswith(prefix) or key == extra_key:
                continue
            first, *rest = key[len(prefix) :].split(".", 1)
            if rest:
                if first not in self._modules:
                    unexpected_keys.append(key)
            elif first not in local_state:
                unexpected_keys.append(key)

    def _load_entry(self, name, key, param, input_param, assign, error_msgs) -> None:
        if not isinstance(input_param, flashlight.Tensor):
            error_msgs.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or '
                "Tensor-like object from checkpoint but received "
                f"{type(input_param)}"
            )
            return
        lazy = is_lazy(param)
        # Old checkpoints hold 0-dim tensors as tensors of one element.
        if not lazy and len(param.shape) == 0 and len(input_param.shape) == 1:
            input_param = input_param[0]
        if not lazy and input_param.shape != param.shape:
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape "
                f"{input_param.shape} from checkpoint, the shape in current model is "
                f"{param.shape}."
            )
            return
        if param.is_meta and not input_param.is_meta and not assign:
            warnings.warn(
                f"for {key}: copying from a non-meta parameter in the checkpoint to a "
                "meta parameter in the current model, which is a no-op. (Did you mean "
                "to pass `assign=True` to assign items in the state dictionary to "
                "their corresponding key in the module instead of copying them in "
                "place?)",
                stacklevel=2,
            )
        swap = __future__.get_swap_module_params_on_conversion()
        try:
            with flashlight.no_grad():
                if swap:
                    _swap_in(param, input_param, assign)
                elif assign:
                    if isinstance(param, Parameter):
                        if not isinstance(input_param, Parameter):
                            input_param = Parameter(
                                input_param, requires_grad=param.requires_grad
                            )
                        else:
                            input_param.requires_grad_(param.requires_grad)
                    setattr(self, name, input_param)
                else:
                    param.copy_(input_param)
        except (RuntimeError, TypeError, ValueError, NotImplementedError) as ex:
            error_msgs.append(
                f"While {'swapping' if swap else 'copying'} the parameter named "
                f'"{key}", whose dimensions in the '
                f"model are {param.size()} and whose dimensions in the checkpoint are "
                f"{input_param.size()}, an exception occurred : {ex.args}."
            )

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        """Copy parameters and buffers from ``state_dict``.

        Args:
            state_dict: Mapping of dotted names to tensors.
            strict: Raise if keys are missing or unexpected.
            assign: Take the tensors themselves instead of copying their values.

        Returns:
            A named tuple of ``missing_keys`` and ``unexpected_keys``.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"Expected state_dict to be dict-like, got {type(state_dict)}."
            )
        from .module import _IncompatibleKeys

        missing_keys: list = []
        unexpected_keys: list = []
        error_msgs: list = []
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)
        if metadata is not None:
            state_dict._metadata = metadata

        def load(module, local_state_dict, prefix=""):
            local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local_metadata["assign_to_params_buffers"] = assign
            module._load_from_state_dict(
                local_state_dict,
                prefix,
                local_metadata,
                True,
                missing_keys,
                unexpected_keys,
                error_msgs,
            )
            for name, child in module._modules.items():
                if child is None:
                    continue
                child_prefix = f"{prefix}{name}."
                child_state = {
                    k: v
                    for k, v in local_state_dict.items()
                    if k.startswith(child_prefix)
                }
                load(child, child_state, child_prefix)
            incompatible = _IncompatibleKeys(missing_keys, unexpected_keys)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, incompatible) is not None:
                    raise AssertionError(
                        "Hooks registered with ``register_load_state_dict_post_hook`` "
                        "are not expected to return new values, if incompatible_keys "
                        "need to be modified, it should be done inplace."
                    )

        load(self, state_dict)

        if strict:
            if unexpected_keys:
                keys = ", ".join(f'"{k}"' for k in unexpected_keys)
                error_msgs.insert(0, f"Unexpected key(s) in state_dict: {keys}. ")
            if missing_keys:
                keys = ", ".join(f'"{k}"' for k in missing_keys)
                error_msgs.insert(0, f"Missing key(s) in state_dict: {keys}. ")
        if error_msgs:
            raise RuntimeError(
                "Error(s) in loading state_dict for {}:\n\t{}".format(
                    self.__class__.__name__, "\n\t".join(error_msgs)
                )
            )
        return _IncompatibleKeys(missing_keys, unexpected_keys)
