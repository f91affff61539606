"""Handles of registered hooks, and the machinery of module backward hooks."""

import warnings
import weakref
from collections import OrderedDict
from typing import Any

import flashlight

__all__ = [
    "RemovableHandle",
    "unserializable_hook",
    "warn_if_has_hooks",
    "BackwardHook",
]


class RemovableHandle:
    """Handle that takes a hook out of its registry.

    Args:
        hooks_dict: Ordered registry that holds the hook under ``self.id``.
        extra_dict: One registry, or a list of them, cleaned together with it.
    """

    id: int
    next_id: int = 0

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        if extra_dict is None:
            self.extra_dict_ref: tuple = ()
        elif isinstance(extra_dict, list):
            self.extra_dict_ref = tuple(weakref.ref(d) for d in extra_dict)
        else:
            self.extra_dict_ref = (weakref.ref(extra_dict),)

    def remove(self) -> None:
        """Unregister the hook; calling it again does nothing."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            registry = ref()
            if registry is not None:
                registry.pop(self.id, None)

    def __getstate__(self):
        if not self.extra_dict_ref:
            return (self.hooks_dict_ref(), self.id)
        return (
            self.hooks_dict_ref(),
            self.id,
            tuple(ref() for ref in self.extra_dict_ref),
        )

    def __setstate__(self, state) -> None:
        hooks_dict = OrderedDict() if state[0] is None else state[0]
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = state[1]
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)
        extras = state[2] if len(state) > 2 else ()
        self.extra_dict_ref = tuple(
            weakref.ref(OrderedDict() if d is None else d) for d in extras
        )

    def __enter__(self) -> "RemovableHandle":
        return self

    def __exit__(self, type: Any, value: Any, tb: Any) -> None:
        self.remove()


def unserializable_hook(f):
    """Mark a hook as one that saving a tensor may drop without a warning."""
    f.__torch_unserializable__ = True
    return f


def warn_if_has_hooks(tensor) -> None:
    """Warn about tensor hooks that serialization would lose."""
    for hook in (tensor._backward_hooks or {}).values():
        if not hasattr(hook, "__torch_unserializable__"):
            warnings.warn(
                f"backward hook {hook!r} on tensor will not be serialized.  "
                "If this is expected, you can decorate the function with "
                "@torch.utils.hooks.unserializable_hook to suppress this warning",
                stacklevel=2,
            )


def _identity_function():
    """Return the custom Function that gives a module call its own graph node."""
    global _IdentityNode
    if _IdentityNode is None:

        class BackwardHookFunction(flashlight.autograd.Function):
            @staticmethod
            def forward(ctx, *args):
                ctx.mark_non_differentiable(*[a for a in args if not a.requires_grad])
                return args

            @staticmethod
            def backward(ctx, *args):
                return args

        _IdentityNode = BackwardHookFunction
    return _IdentityNode


_IdentityNode = None


class BackwardHook:
    """Runs a module's backward hooks around its part of the graph.

    The inputs and outputs of a forward pass go through an identity node each; a
    hook on the first sees the gradients of the inputs, a pre-hook on the second
    those of the outputs.

    Args:
        module: Module passed to the hooks.
        user_hooks: Hooks ``(module, grad_input, grad_output)``.
        user_pre_hooks: Hooks ``(module, grad_output)``.
    """

    def __init__(self, module, user_hooks, user_pre_hooks) -> None:
        self.user_hooks = user_hooks
        self.user_pre_hooks = user_pre_hooks
        self.module = module
        self.grad_outputs: Any = None
        self.n_outputs = -1
        self.output_tensors_index = None
        self.n_inputs = -1
        self.input_tensors_index = None

    @staticmethod
    def _pack_with_none(indices, values, size):
        packed = [None] * size
        for index, value in zip(indices, values):
            packed[index] = value
        return tuple(packed)

    @staticmethod
    def _unpack_none(indices, values):
        return tuple(values[index] for index in indices)

    def _call_hooks(self, grad_input, grad_output):
        """Give ``grad_input`` to each user hook in turn; return what is left of it."""
        for hook in self.user_hooks:
            out = hook(self.module, grad_input, grad_output)
            if out is None:
                continue
            if isinstance(out, flashlight.Tensor):
                out = (out,)
            if len(out) != len(grad_input):
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(out)}, but expected {len(grad_input)}"
                )
            grad_input = out
        return grad_input

    def _set_input_hook(self, grad_fn) -> None:
        def hook(grad_input, _):
            if self.grad_outputs is None:
                # The outputs took no part in this backward pass.
                return None
            packed = self._pack_with_none(
                self.input_tensors_index, grad_input, self.n_inputs
            )
            result = self._call_hooks(packed, self.grad_outputs)
            self.grad_outputs = None
            return self._unpack_none(self.input_tensors_index, result)

        grad_fn.register_hook(hook)

    def _set_output_hook(self, grad_fn) -> None:
        def hook(_, grad_output):
            self.grad_outputs = self._pack_with_none(
                self.output_tensors_index, grad_output, self.n_outputs
            )
            for pre_hook in self.user_pre_hooks:
                out = pre_hook(self.module, self.grad_outputs)
                if out is None:
                    continue
                if isinstance(out, flashlight.Tensor):
                    out = (out,)
                expected = len(self.grad_outputs)
                if len(out) != expected:
                    raise RuntimeError(
                        "Backward pre hook returned an invalid number of "
                        f"grad_output, got {len(out)}, but expected {expected}"
                    )
                self.grad_outputs = out
            grads = self._unpack_none(self.output_tensors_index, self.grad_outputs)

            if self.input_tensors_index is None:
                warnings.warn(
                    "Full backward hook is firing when gradients are computed with "
                    "respect to module outputs since no inputs require gradients. "
                    "See https://docs.pytorch.org/docs/main/generated/"
                    "torch.nn.Module.html"
                    "#torch.nn.Module.register_full_backward_hook for more details.",
                    stacklevel=5,
                )
                empty = self._pack_with_none([], [], self.n_inputs)
                for user_hook in self.user_hooks:
                    res = user_hook(self.module, empty, self.grad_outputs)
                    if res is not None and not (
                        isinstance(res, tuple) and all(el is None for el in res)
                    ):
                        raise RuntimeError(
                            "Backward hook for Modules where no input requires "
                            "gradient should always return None or None for all "
                            "gradients."
                        )
                self.grad_outputs = None
            return grads

        grad_fn.register_prehook(lambda grad_output: hook(None, grad_output))

    def _apply_on_tensors(self, set_hook, args):
        """Send the tensors of ``args`` through one identity node with a hook."""
        indices = [i for i, a in enumerate(args) if isinstance(a, flashlight.Tensor)]
        needs_grad = flashlight.is_grad_enabled() and any(
            args[i].requires_grad for i in indices
        )
        if not (needs_grad and indices):
            return args, None

        new_tensors = _identity_function().apply(*[args[i] for i in indices])
        if not new_tensors:
            raise RuntimeError(
                "Cannot set Module backward hook for a Module with no input Tensors."
            )
        grad_fns = [t.grad_fn for t in new_tensors if t.grad_fn is not None]
        if not grad_fns or any(
            fn.name() != "BackwardHookFunctionBackward" for fn in grad_fns
        ):
            raise RuntimeError(
                "Error while setting up backward hooks. Please open an issue with a "
                "code sample to reproduce this."
            )
        set_hook(grad_fns[0])

        out = list(args)
        for index, tensor in zip(indices, new_tensors):
            out[index] = tensor
        if type(args) is tuple:
            return tuple(out), indices
        return type(args)(*out), indices

    def setup_input_hook(self, args):
        """Return ``args`` with its tensors behind the input node."""
        res, indices = self._apply_on_tensors(self._set_input_hook, args)
        self.n_inputs = len(args)
        self.input_tensors_index = indices
        return res

    def setup_output_hook(self, args):
        """Return ``args`` (a tensor or a tuple) behind the output node."""
        is_tuple = True
        if not isinstance(args, tuple):
            args = (args,)
            is_tuple = False
        res, indices = self._apply_on_tensors(self._set_output_hook, args)
        self.n_outputs = len(args)
        self.output_tensors_index = indices
        return res if is_tuple else res[0]
