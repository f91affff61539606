"""Module, the base class of every layer and model."""

import inspect
import warnings
from collections import OrderedDict, namedtuple

import flashlight

from ..utils.hooks import BackwardHook, RemovableHandle
from . import _global_hooks as _g
from ._global_hooks import _has_any_global_hook, _WrappedHook
from ._moving import MovingMixin
from ._state import StateDictMixin, _typename
from .parameter import Buffer, Parameter

__all__ = ["Module"]


class _IncompatibleKeys(
    namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])
):
    """Result of ``load_state_dict``."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


def _addindent(s_: str, numSpaces: int) -> str:
    """Indent every line but the first."""
    return s_.replace("\n", "\n" + " " * numSpaces)


def _forward_unimplemented(self, *input) -> None:
    """Define the computation performed at every call; subclasses override it."""
    raise NotImplementedError(
        f'Module [{type(self).__name__}] is missing the required "forward" function'
    )


def _first_tensor(result):
    """Return the first tensor found by descending into dicts and sequences."""
    while not isinstance(result, flashlight.Tensor):
        if isinstance(result, dict):
            result = next(
                v for v in result.values() if isinstance(v, flashlight.Tensor)
            )
        else:
            result = result[0]
    return result


class _Call:
    """Arguments and result of a call, as the hooks run so far have left them."""

    __slots__ = ("args", "kwargs", "result", "done")

    def __init__(self, args, kwargs):
        self.args = args
        self.kwargs = kwargs
        self.result = None
        self.done: set = set()  # ids of the always_call hooks that have run


class Module(StateDictMixin, MovingMixin):
    """Base class of all neural network modules.

    Parameters, buffers and submodules assigned as attributes are registered, so that
    they are found by :meth:`parameters`, moved by :meth:`to` and saved by
    :meth:`state_dict`. Subclasses call ``super().__init__()`` first and define
    ``forward``.

    Attributes:
        training: Whether the module is in training mode.

    Examples:
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc = nn.Linear(3, 2)
        ...     def forward(self, x):
        ...         return self.fc(x).relu()
        >>> Net()(torch.ones(4, 3)).shape
        torch.Size([4, 2])
    """

    dump_patches: bool = False
    _version: int = 1
    training: bool
    call_super_init: bool = False
    _compiled_call_impl = None

    def __init__(self, *args, **kwargs) -> None:
        if self.call_super_init is False and kwargs:
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword "
                f"argument '{next(iter(kwargs))}'"
            )
        if self.call_super_init is False and args:
            raise TypeError(
                f"{type(self).__name__}.__init__() takes 1 positional argument but "
                f"{len(args) + 1} were given"
            )
        # Plain object.__setattr__: none of the registration rules apply yet.
        put = super().__setattr__
        put("training", True)
        put("_parameters", {})
        put("_buffers", {})
        put("_non_persistent_buffers_set", set())
        put("_backward_pre_hooks", OrderedDict())
        put("_backward_hooks", OrderedDict())
        put("_is_full_backward_hook", None)
        put("_forward_hooks", OrderedDict())
        put("_forward_hooks_with_kwargs", OrderedDict())
        put("_forward_hooks_always_called", OrderedDict())
        put("_forward_pre_hooks", OrderedDict())
        put("_forward_pre_hooks_with_kwargs", OrderedDict())
        put("_state_dict_hooks", OrderedDict())
        put("_state_dict_pre_hooks", OrderedDict())
        put("_load_state_dict_pre_hooks", OrderedDict())
        put("_load_state_dict_post_hooks", OrderedDict())
        put("_modules", {})
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    forward = _forward_unimplemented

    # ---------------------------------------------------------------- registration

    def register_buffer(self, name: str, tensor, persistent: bool = True) -> None:
        """Add a buffer: state that is not a parameter.

        Args:
            name: Attribute name.
            tensor: Tensor, or None to reserve the name.
            persistent: Whether the buffer is part of :meth:`state_dict`.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"buffer name should be a string. Got {_typename(name)}")
        if "." in name:
            raise KeyError('buffer name can\'t contain "."')
        if name == "":
            raise KeyError('buffer name can\'t be empty string ""')
        if hasattr(self, name) and name not in self._buffers:
            raise KeyError(f"attribute '{name}' already exists")
        if tensor is not None and not (
            isinstance(tensor, flashlight.Tensor)
            or hasattr(tensor, "__torch_function__")
        ):
            raise TypeError(
                f"cannot assign '{_typename(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        for hook in _g._global_buffer_registration_hooks.values():
            output = hook(self, name, tensor)
            if output is not None:
                tensor = output
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param) -> None:
        """Add a parameter, or None to reserve the name."""
        if "_parameters" not in self.__dict__:
            raise AttributeError(
                "cannot assign parameter before Module.__init__() call"
            )
        if not isinstance(name, str):
            raise TypeError(f"parameter name should be a string. Got {_typename(name)}")
        if "." in name:
            raise KeyError('parameter name can\'t contain "."')
        if name == "":
            raise KeyError('parameter name can\'t be empty string ""')
        if hasattr(self, name) and name not in self._parameters:
            raise KeyError(f"attribute '{name}' already exists")
        if param is None:
            self._parameters[name] = None
            return
        if not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_typename(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model "
                f"parameters must be created explicitly. To express '{name}' as a "
                "function of another Tensor, compute the value in the forward() "
                "method."
            )
        for hook in _g._global_parameter_registration_hooks.values():
            output = hook(self, name, param)
            if output is not None:
                param = output
        self._parameters[name] = param

    def add_module(self, name: str, module) -> None:
        """Add a submodule, or None to reserve the name."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {_typename(name)}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = self._run_module_registration_hooks(name, module)

    def register_module(self, name: str, module) -> None:
        """Alias of :meth:`add_module`."""
        self.add_module(name, module)

    def _run_module_registration_hooks(self, name, module):
        for hook in _g._global_module_registration_hooks.values():
            output = hook(self, name, module)
            if output is not None:
                module = output
        return module

    # ---------------------------------------------------------------------- lookup

    def get_submodule(self, target: str) -> "Module":
        """Return the submodule at the dotted path ``target`` ("" is the module)."""
        mod = self
        for item in target.split(".") if target else ():
            if not hasattr(mod, item):
                raise AttributeError(f"{mod._get_name()} has no attribute `{item}`")
            mod = getattr(mod, item)
            if not isinstance(mod, Module):
                raise AttributeError(f"`{item}` is not an nn.Module")
        return mod

    def set_submodule(
        self, target: str, module: "Module", strict: bool = False
    ) -> None:
        """Put ``module`` at the dotted path ``target``.

        Args:
            target: Path whose parents exist.
            module: Its new submodule.
            strict: Refuse to create a submodule that is not there yet.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        *parents, name = target.split(".")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        parent = self.get_submodule(".".join(parents)) if parents else self
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def _get_member(self, target: str):
        path, _, name = target.rpartition(".")
        mod = self.get_submodule(path)
        if not hasattr(mod, name):
            raise AttributeError(f"{mod._get_name()} has no attribute `{name}`")
        return mod, name, getattr(mod, name)

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at the dotted path ``target``."""
        _, name, param = self._get_member(target)
        if not isinstance(param, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return param

    def get_buffer(self, target: str):
        """Return the buffer at the dotted path ``target``."""
        mod, name, buffer = self._get_member(target)
        if name not in mod._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return buffer

    def apply(self, fn):
        """Call ``fn`` on every submodule, then on the module itself."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ----------------------------------------------------------------------- hooks

    def register_full_backward_pre_hook(
        self, hook, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the module's backward.

        Args:
            hook: Its result, if not None, replaces ``grad_output``.
            prepend: Run it before the hooks registered so far.
        """
        handle = _g._register(self._backward_pre_hooks, hook)
        if prepend:
            self._backward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def _set_full_backward(self, full: bool) -> None:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a "
                "single Module. Please use only one of them."
            )
        self._is_full_backward_hook = full

    def register_backward_hook(self, hook) -> RemovableHandle:
        """Deprecated: see :meth:`register_full_backward_hook`."""
        self._set_full_backward(False)
        return _g._register(self._backward_hooks, hook)

    def register_full_backward_hook(
        self, hook, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` after the module's backward.

        Args:
            hook: Its result, if not None, replaces ``grad_input``.
            prepend: Run it before the hooks registered so far.
        """
        self._set_full_backward(True)
        handle = _g._register(self._backward_hooks, hook)
        if prepend:
            self._backward_hooks.move_to_end(handle.id, last=False)
        return handle

    def _get_backward_hooks(self):
        """Return the full and the non-full backward hooks, global ones first."""
        full: list = []
        if _g._global_is_full_backward_hook is True:
            full += _g._global_backward_hooks.values()
        if self._is_full_backward_hook is True:
            full += self._backward_hooks.values()
        non_full: list = []
        if _g._global_is_full_backward_hook is False:
            non_full += _g._global_backward_hooks.values()
        if self._is_full_backward_hook is False:
            non_full += self._backward_hooks.values()
        return full, non_full

    def _get_backward_pre_hooks(self):
        return [
            *_g._global_backward_pre_hooks.values(),
            *self._backward_pre_hooks.values(),
        ]

    def _maybe_warn_non_full_backward_hook(self, inputs, result, grad_fn):
        def warn(what, missing, advice=True):
            warnings.warn(
                f"{what} is deprecated and will be removed in future versions. This "
                f"hook will be missing some {missing}."
                + (
                    " Please use register_full_backward_hook to get the documented "
                    "behavior."
                    if advice
                    else ""
                ),
                FutureWarning,
                stacklevel=4,
            )

        def flat(value):
            if isinstance(value, flashlight.Tensor):
                return (value,)
            ok = isinstance(value, tuple)
            return (
                value
                if ok and all(isinstance(v, flashlight.Tensor) for v in value)
                else None
            )

        results, ins = flat(result), flat(inputs)
        if results is None:
            warn(
                "Using non-full backward hooks on a Module that does not return a "
                "single Tensor or a tuple of Tensors",
                "of the grad_output",
            )
        elif ins is None:
            warn(
                "Using non-full backward hooks on a Module that does not take as input "
                "a single Tensor or a tuple of Tensors",
                "of the grad_input",
            )
        elif len({r.grad_fn for r in results if r.grad_fn is not None}) > 1:
            warn(
                "Using a non-full backward hook when outputs are generated by "
                "different autograd Nodes",
                "grad_output",
            )
        else:
            before = {i.grad_fn for i in ins if i.grad_fn is not None}
            after = {n[0] for n in grad_fn.next_functions if n[0] is not None}
            if before != after:
                warn(
                    "Using a non-full backward hook when the forward contains multiple "
                    "autograd Nodes",
                    "grad_input",
                )

    def register_forward_pre_hook(
        self, hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before forward.

        Args:
            hook: Its result, if not None, replaces the arguments.
            prepend: Run it before the hooks registered so far.
            with_kwargs: Call ``hook(module, args, kwargs)``, which returns None or a
                pair of new arguments.
        """
        handle = _g._register(
            self._forward_pre_hooks, hook, self._forward_pre_hooks_with_kwargs
        )
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        if prepend:
            self._forward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_forward_hook(
        self,
        hook,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after forward.

        Args:
            hook: Its result, if not None, replaces the output.
            prepend: Run it before the hooks registered so far.
            with_kwargs: Also pass the keyword arguments, before ``output``.
            always_call: Run the hook even if forward raised.
        """
        handle = _g._register(
            self._forward_hooks,
            hook,
            [self._forward_hooks_with_kwargs, self._forward_hooks_always_called],
        )
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        if prepend:
            self._forward_hooks.move_to_end(handle.id, last=False)
        return handle

    # ------------------------------------------------------------------------ call

    def _wrapped_call_impl(self, *args, **kwargs):
        return self._call_impl(*args, **kwargs)

    def _call_impl(self, *args, **kwargs):
        if not (
            self._backward_hooks
            or self._backward_pre_hooks
            or self._forward_hooks
            or self._forward_pre_hooks
            or _has_any_global_hook()
        ):
            return self.forward(*args, **kwargs)

        call = _Call(args, kwargs)
        try:
            return self._call_with_hooks(call)
        except Exception:
            self._run_always_called_hooks(call)
            raise

    __call__ = _wrapped_call_impl

    def _run_always_called_hooks(self, call):
        """After an error in forward, run the ``always_call`` hooks not yet run."""
        groups = (
            (
                "global module",
                _g._global_forward_hooks,
                _g._global_forward_hooks_always_called,
                _g._global_forward_hooks_with_kwargs,
            ),
            (
                "module",
                self._forward_hooks,
                self._forward_hooks_always_called,
                self._forward_hooks_with_kwargs,
            ),
        )
        for label, hooks, always, with_kwargs in groups:
            for hook_id, hook in hooks.items():
                if hook_id not in always or hook_id in call.done:
                    continue
                inputs = (call.args, call.kwargs)[: 1 + (hook_id in with_kwargs)]
                try:
                    out = hook(self, *inputs, call.result)
                    call.result = call.result if out is None else out
                except Exception as e:  # the error of forward is the one to report
                    warnings.warn(
                        f"{label} forward hook with ``always_call=True`` raised an "
                        "exception that was silenced as another error was raised in "
                        f"forward: {str(e)}",
                        stacklevel=2,
                    )

    def _call_with_hooks(self, call):
        full_hooks, non_full_hooks = self._get_backward_hooks()
        pre_hooks = self._get_backward_pre_hooks()

        for hook_id, hook in (
            *_g._global_forward_pre_hooks.items(),
            *self._forward_pre_hooks.items(),
        ):
            if hook_id in self._forward_pre_hooks_with_kwargs:
                out = hook(self, call.args, call.kwargs)
                if out is not None:
                    if not (isinstance(out, tuple) and len(out) == 2):
                        raise RuntimeError(
                            "forward pre-hook must return None or a tuple of "
                            f"(new_args, new_kwargs), but got {out}."
                        )
                    call.args, call.kwargs = out
            else:
                out = hook(self, call.args)
                if out is not None:
                    call.args = out if isinstance(out, tuple) else (out,)

        bw_hook = None
        if full_hooks or pre_hooks:
            bw_hook = BackwardHook(self, full_hooks, pre_hooks)
            call.args = bw_hook.setup_input_hook(call.args)

        call.result = self.forward(*call.args, **call.kwargs)

        for hook_id, hook in (
            *_g._global_forward_hooks.items(),
            *self._forward_hooks.items(),
        ):
            if (
                hook_id in self._forward_hooks_always_called
                or hook_id in _g._global_forward_hooks_always_called
            ):
                call.done.add(hook_id)
            if (
                hook_id in self._forward_hooks_with_kwargs
                or hook_id in _g._global_forward_hooks_with_kwargs
            ):
                out = hook(self, call.args, call.kwargs, call.result)
            else:
                out = hook(self, call.args, call.result)
            if out is not None:
                call.result = out

        result = call.result
        if bw_hook is not None:
            if not isinstance(result, (flashlight.Tensor, tuple)):
                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor "
                    f"or a tuple of Tensors but received {type(result)}",
                    stacklevel=2,
                )
            result = bw_hook.setup_output_hook(result)

        if non_full_hooks:
            grad_fn = _first_tensor(result).grad_fn
            if grad_fn is not None:
                for hook in non_full_hooks:
                    grad_fn.register_hook(_WrappedHook(hook, self))
                self._maybe_warn_non_full_backward_hook(call.args, result, grad_fn)
        return result

    # ------------------------------------------------------------------ attributes

    def __getstate__(self):
        state = self.__dict__.copy()
        state.pop("_compiled_call_impl", None)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        # Keys that checkpoints of old versions do not have.
        for name in (
            "_forward_pre_hooks",
            "_forward_pre_hooks_with_kwargs",
            "_forward_hooks_with_kwargs",
            "_forward_hooks_always_called",
            "_state_dict_hooks",
            "_state_dict_pre_hooks",
            "_load_state_dict_pre_hooks",
            "_load_state_dict_post_hooks",
            "_backward_pre_hooks",
        ):
            if name not in self.__dict__:
                self.__dict__[name] = OrderedDict()
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)

    def __getattr__(self, name: str):
        d = self.__dict__
        for kind in ("_parameters", "_buffers", "_modules"):
            members = d.get(kind)
            if members is not None and name in members:
                return members[name]
        raise AttributeError(
            f"'{type(self).__name__}' object has no attribute '{name}'"
        )

    def __setattr__(self, name: str, value) -> None:
        d = self.__dict__

        def remove_from(*kinds):
            for kind in kinds:
                members = d.get(kind)
                if members is None or name not in members:
                    continue
                if isinstance(members, set):
                    members.discard(name)
                else:
                    del members[name]

        params = d.get("_parameters")
        if isinstance(value, Parameter):
            if params is None:
                raise AttributeError(
                    "cannot assign parameters before Module.__init__() call"
                )
            d.pop(name, None)
            remove_from("_buffers", "_modules", "_non_persistent_buffers_set")
            self.register_parameter(name, value)
            return
        if params is not None and name in params:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as parameter '{name}' "
                    "(torch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, value)
            return

        modules = d.get("_modules")
        if isinstance(value, Module):
            if modules is None:
                raise AttributeError(
                    "cannot assign module before Module.__init__() call"
                )
            d.pop(name, None)
            remove_from("_parameters", "_buffers", "_non_persistent_buffers_set")
            modules[name] = self._run_module_registration_hooks(name, value)
            return
        if modules is not None and name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as child module '{name}' "
                    "(torch.nn.Module or None expected)"
                )
            modules[name] = self._run_module_registration_hooks(name, value)
            return

        buffers = d.get("_buffers")
        known = buffers is not None and name in buffers
        if not known and not isinstance(value, Buffer):
            super().__setattr__(name, value)
            return
        if value is not None and not (
            isinstance(value, flashlight.Tensor) or hasattr(value, "__torch_function__")
        ):
            raise TypeError(
                f"cannot assign '{_typename(value)}' as buffer '{name}' "
                "(torch.nn.Buffer, torch.Tensor or None expected)"
            )
        if isinstance(value, Buffer) and not known:
            if buffers is None:
                raise AttributeError(
                    "cannot assign buffer before Module.__init__() call"
                )
            d.pop(name, None)
            remove_from("_parameters", "_modules")
        persistent = (
            value.persistent
            if isinstance(value, Buffer)
            else name not in self._non_persistent_buffers_set
        )
        # A subclass may have a register_buffer without `persistent`.
        if getattr(self.register_buffer, "__func__", None) is Module.register_buffer:
            self.register_buffer(name, value, persistent)
            return
        sign = inspect.signature(self.register_buffer)
        if "persistent" in sign.parameters:
            self.register_buffer(name, value, persistent)
        elif not persistent:
            raise RuntimeError(
                "Registering a non-persistent buffer on a Module subclass that "
                "implements register_buffer() without the persistent argument is not "
                "allowed."
            )
        else:
            self.register_buffer(name, value)

    def __delattr__(self, name) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            super().__delattr__(name)

    def __dir__(self):
        keys = {
            *dir(self.__class__),
            *self.__dict__,
            *self._parameters,
            *self._modules,
            *self._buffers,
        }
        return sorted(key for key in keys if not key[0].isdigit())

    # ------------------------------------------------------------------- iterators

    def _named_members(
        self, get_members_fn, prefix="", recurse=True, remove_duplicate: bool = True
    ):
        memo = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for module_prefix, module in modules:
            for key, value in get_members_fn(module):
                if value is None or value in memo:
                    continue
                if remove_duplicate:
                    memo.add(value)
                yield module_prefix + ("." if module_prefix else "") + key, value

    def parameters(self, recurse: bool = True):
        """Iterate over the parameters, each once."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ):
        """Iterate over (dotted name, parameter).

        Args:
            prefix: Put before each name.
            recurse: Include those of submodules.
            remove_duplicate: Yield a shared parameter once only.
        """
        yield from self._named_members(
            lambda module: module._parameters.items(),
            prefix=prefix,
            recurse=recurse,
            remove_duplicate=remove_duplicate,
        )

    def buffers(self, recurse: bool = True):
        """Iterate over the buffers, each once."""
        for _, buf in self.named_buffers(recurse=recurse):
            yield buf

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ):
        """Iterate over (dotted name, buffer); see :meth:`named_parameters`."""
        yield from self._named_members(
            lambda module: module._buffers.items(),
            prefix=prefix,
            recurse=recurse,
            remove_duplicate=remove_duplicate,
        )

    def children(self):
        """Iterate over the direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self):
        """Iterate over (name, direct submodule)."""
        memo = set()
        for name, module in self._modules.items():
            if module is not None and module not in memo:
                memo.add(module)
                yield name, module

    def modules(self, remove_duplicate: bool = True):
        """Iterate over the module and all submodules, each once."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(self, memo=None, prefix: str = "", remove_duplicate: bool = True):
        """Iterate over (dotted name, module), the module itself first."""
        if memo is None:
            memo = set()
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = prefix + ("." if prefix else "") + name
                yield from module.named_modules(memo, path, remove_duplicate)

    # ------------------------------------------------------------------------ modes

    def train(self, mode: bool = True):
        """Set training mode in the module and its submodules."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Set evaluation mode: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True):
        """Set ``requires_grad`` of all parameters."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters, to None by default."""
        if getattr(self, "_is_replica", False):
            warnings.warn(
                "Calling .zero_grad() from a module created with nn.DataParallel() has "
                "no effect. The parameters are copied (in a differentiable manner) "
                "from the original module. This means they are not leaf nodes in "
                "autograd and so don't accumulate gradients. If you need gradients in "
                "your forward method, consider using autograd.grad instead.",
                stacklevel=2,
            )
        for p in self.parameters():
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

    # -------------------------------------------------------------------------- repr

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """Return the text that repr shows between the parentheses."""
        return ""

    def __repr__(self) -> str:
        extra_repr = self.extra_repr()
        extra_lines = extra_repr.split("\n") if extra_repr else []
        child_lines = [
            f"({name}): {_addindent(repr(module), 2)}"
            for name, module in self._modules.items()
        ]
        lines = extra_lines + child_lines
        body = ""
        if len(extra_lines) == 1 and not child_lines:
            body = extra_lines[0]
        elif lines:
            body = "\n  " + "\n  ".join(lines) + "\n"
        return f"{self._get_name()}({body})"

    def _replicate_for_data_parallel(self):
        replica = self.__new__(type(self))
        replica.__dict__ = self.__dict__.copy()
        replica._parameters = {}
        replica._buffers = replica._buffers.copy()
        replica._modules = replica._modules.copy()
        replica._is_replica = True
        return replica

    def compile(self, *args, **kwargs) -> None:
        """Compile the module's forward: its call goes through ``torch.compile``."""
        raise NotImplementedError(
            "flashlight: Module.compile() is not supported yet; call the module "
            "without it, the result is the same"
        )
