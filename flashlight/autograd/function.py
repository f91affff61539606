"""Custom autograd functions."""

import contextvars
import functools
import inspect
import warnings

from flashlight import _C
from flashlight.autograd.graph import NodeAttributes, SavedTensor
from flashlight.tensor import Tensor

__all__ = [
    "Function",
    "FunctionCtx",
    "InplaceFunction",
    "NestedIOFunction",
    "once_differentiable",
]


class FunctionCtx:
    """What ``forward`` leaves for ``backward``."""

    _in_jvp = False
    saved_for_forward = ()

    def save_for_backward(self, *tensors):
        """Keep tensors for ``backward``; call at most once."""
        self.to_save = tensors

    def save_for_forward(self, *tensors):
        """Keep tensors for ``jvp``."""
        self.saved_for_forward = tensors

    def mark_dirty(self, *args):
        """Name the inputs that ``forward`` changed in place."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args):
        """Name the outputs that have no gradient."""
        self.non_differentiable = args

    def set_materialize_grads(self, value):
        """Whether ``backward`` gets zeros (the default) or ``None`` for no gradient."""
        self.materialize_grads = value

    @property
    def saved_tensors(self):
        """The tensors that were saved."""
        if self._in_jvp:
            return self.saved_for_forward
        return _C._ctx_saved_tensors(self)

    @property
    def _raw_saved_tensors(self):
        count = _C._ctx_saved_count(self)
        return tuple(SavedTensor._of(self, i) for i in range(count))

    @property
    def saved_variables(self):
        warnings.warn(
            "'saved_variables' is deprecated; use 'saved_tensors'",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.saved_tensors


class _Context(FunctionCtx, NodeAttributes):
    """The node of one call of a Function, which is also its context."""

    to_save = None
    dirty_tensors = None
    non_differentiable = None
    materialize_grads = True
    _materialize_non_diff_grads = True
    needs_input_grad = ()

    def apply(self, *grads):
        """Run the class's ``backward`` (or ``vjp``)."""
        cls = self._forward_cls
        backward, vjp = cls.backward, cls.vjp
        if backward is not Function.backward and vjp is not Function.vjp:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not "
                "allowed. You should only implement one of them."
            )
        run = vjp if vjp is not Function.vjp else backward
        return run(self, *grads)


class _FunctionMeta(type):
    def __init__(cls, name, bases, attrs):
        super().__init__(name, bases, attrs)
        cls._backward_cls = type(
            name + "Backward",
            (_Context,),
            {"_forward_cls": cls, "__module__": cls.__module__},
        )


class Function(metaclass=_FunctionMeta):
    """A function with a derivative of its own.

    Subclasses give static methods ``forward`` and ``backward`` (and ``setup_context``
    in the newer style); ``apply`` calls it.

    Example:
        >>> import flashlight as torch
        >>> class Square(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x * x
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         return 2 * grad * ctx.saved_tensors[0]
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> Square.apply(x).backward()
        >>> x.grad
        tensor(6.)
    """

    generate_vmap_rule = False

    def __init__(self, *args, **kwargs):
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions "
            "are all static, so you should invoke them on the class itself. "
            "Instantiating an autograd function will raise an error in a future "
            "version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args, **kwargs):
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. "
            "Please use new-style autograd function with static forward method. "
            "(Example: https://pytorch.org/docs/stable/autograd.html"
            "#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args, **kwargs):
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx, inputs, output):
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx, *grad_inputs):
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use "
            "it with forward mode AD."
        )

    @staticmethod
    def vmap(info, in_dims, *args):
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap "
            "staticmethod or set generate_vmap_rule=True."
        )

    @classmethod
    def _has_setup_context(cls):
        return cls.setup_context is not Function.setup_context

    @classmethod
    def _positional(cls, args, kwargs):
        """The arguments of ``forward`` in order, as ``needs_input_grad`` has them."""
        signature = inspect.signature(cls.forward)
        if cls._has_setup_context():
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            if kwargs and _C._top_level() is not None:
                _check_positional(bound.kwargs)
            return bound.args
        parameters = list(signature.parameters.values())[1:]  # after ctx
        named = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        for name in kwargs:
            if name not in named:
                raise TypeError(
                    f"forward() got an unexpected keyword argument '{name}'"
                )
        bound = signature.bind(None, *args, **kwargs)
        if bound.kwargs:  # after one that is left out
            bound.apply_defaults()
        return bound.args[1:]

    @classmethod
    def apply(cls, *args, **kwargs):
        """Call the function."""
        if kwargs or cls._has_setup_context():
            args = cls._positional(args, kwargs)
        if _C._forward_enabled():
            tangents = [_tangent_of(a) for a in args]
            if any(t is not None for t in tangents):
                return _apply_dual(cls, args, tangents)
        level = _C._top_level()
        if level is not None:
            return _apply_at(level, cls, args)
        return _C._run_function(cls, cls._backward_cls(), args)


def _check_positional(kwargs):
    given = {k: v for k, v in kwargs.items() if isinstance(v, Tensor)}
    if given and _C._top_level().is_batch:
        raise NotImplementedError(
            "Run vmap on autograd.Function with kwarg-only Tensor args. Please do not "
            f"pass kwarg-only Tensors to autograd.Function. Got: {given}"
        )


# Whether vmap takes the forward of a Function as the ops that it is made of.
_of_parts = contextvars.ContextVar("_of_parts", default=False)


def _tangent_of(x):
    return _C._tangent(x) if isinstance(x, Tensor) else None


def _apply_dual(cls, args, tangents):
    """``apply``, and the tangents of its outputs by ``jvp``."""
    ctx = cls._backward_cls()
    level = _C._top_level()
    constants = []
    ctx.mark_non_differentiable = functools.partial(_mark, ctx, constants)
    with _C._HideTangents():
        if level is None:
            outputs = _C._run_function(cls, ctx, args)
        else:
            outputs = _apply_at(level, cls, args, ctx)
        del ctx.mark_non_differentiable
        given = tangents
        if ctx.materialize_grads:
            given = [_materialized(x, t) for x, t in zip(args, tangents)]
        versions = [None if t is None else t._version for t in tangents]
        ctx._in_jvp = True
        along = _tuple(cls.jvp(ctx, *given))
        ctx._in_jvp = False
    results = _tuple(outputs)
    if len(along) != len(results):
        raise RuntimeError(
            "Function's jvp returned an invalid number of forward gradients (expected "
            f"{len(results)} but got {len(along)})"
        )
    for i, (output, tangent) in enumerate(zip(results, along)):
        if not isinstance(output, Tensor):
            continue
        if tangent is not None and not isinstance(tangent, Tensor):
            raise RuntimeError(
                f"expected Variable or None (got {type(tangent).__name__}) for grad "
                f"output {i}."
            )
        if any(output is x for x in constants) or not _differentiable(output):
            if tangent is not None:
                raise RuntimeError(
                    f"Function's jvp returned a gradient at position {i}, but  the "
                    "corresponding forward output is not a differentiable Tensor."
                    "You should return None at that position instead."
                )
            continue
        _check_alias(output, tangent, args, zip(tangents, versions))
        if tangent is not None:
            _set_tangent(output, tangent)
            _C._keep_saved_tangent(output)
    return outputs


def _mark(ctx, constants, *args):
    constants.extend(args)
    FunctionCtx.mark_non_differentiable(ctx, *args)


def _differentiable(x):
    return x.is_floating_point() or x.is_complex()


def _materialized(x, tangent):
    if tangent is None and isinstance(x, Tensor) and _differentiable(x):
        import flashlight

        return flashlight.zeros_like(x)
    return tangent


def _check_alias(output, tangent, args, tangents):
    """What aliases an input in ``forward`` has a tangent that aliases the input's.

    Tangents come with their versions before ``jvp``.
    """
    for x, (given, version) in zip(args, tangents):
        if given is None:
            continue
        if output is x:
            if tangent is not given or given._version == version:
                raise RuntimeError(
                    "An inplace custom Function is not modifying the forward mode "
                    "gradients inplace. If the forward is modifying an input inplace, "
                    "then the jvp function must modify the corresponding gradient "
                    "inplace."
                )
            return
        base = x if x._base is None else x._base
        if tangent is None or output._base is not base:
            continue
        if not tangent._is_view():
            raise RuntimeError(
                "A custom Function's forward is returning a view (or an input as-is) "
                "but the jvp is not returning a view."
            )
        base_of_given = given if given._base is None else given._base
        if tangent._base is not base_of_given:
            what = "same base as the given" if given._is_view() else "given"
            raise RuntimeError(
                "A custom Function is returning a view but the jvp is not returning a "
                f"view of the {what} grad input."
            )
        return


def _set_tangent(output, tangent):
    if tangent.shape != output.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that "
            "of the original Tensor, this is not supported. Tensor is of size "
            f"{list(output.shape)} while the given forward gradient is of size "
            f"{list(tangent.shape)}."
        )
    _C._set_tangent(output, tangent)


def _tuple(x):
    return x if isinstance(x, tuple) else (x,)


def _apply_at(level, cls, args, ctx=None):
    """``apply`` inside a transform: what it is one level down, as this level's."""
    from flashlight.autograd import _function_levels

    if not cls._has_setup_context():
        if level.is_batch and _of_parts.get():
            return _C._run_function(cls, ctx or cls._backward_cls(), args)
        raise RuntimeError(
            "In order to use an autograd.Function with functorch transforms (vmap, "
            "grad, jvp, jacrev, ...), it must override the setup_context staticmethod. "
            "For more details, please see "
            "https://pytorch.org/docs/main/notes/extending.func.html"
        )
    if level.is_batch:
        return _function_levels.apply_batched(level, cls, args)
    lowered = _function_levels.lowered(level, cls)
    args = tuple(_C._lift(level, a) if isinstance(a, Tensor) else a for a in args)
    return _C._run_function(lowered, ctx or lowered._backward_cls(), args)


def _leaf_like(output):
    """A leaf with the value of a gradient, or the ``None`` that it is."""
    is_tensor = isinstance(output, Tensor)
    return output.detach().requires_grad_() if is_tensor else output


def once_differentiable(fn):
    """Mark a ``backward`` that cannot be differentiated again."""

    @functools.wraps(fn)
    def wrapper(ctx, *args):
        import flashlight

        with flashlight.no_grad():
            outputs = fn(ctx, *args)
        if not flashlight.is_grad_enabled():
            return outputs
        if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            return outputs
        if not isinstance(outputs, tuple):
            outputs = (outputs,)
        return _C._delayed_error(
            tuple(_leaf_like(o) for o in outputs),
            "trying to differentiate twice a function that was marked with "
            "@once_differentiable",
        )

    return wrapper


class InplaceFunction(Function):
    """A function that may work in place; kept for old programs."""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace


class NestedIOFunction(Function):
    """Not supported: raises when used."""

    @classmethod
    def apply(cls, *args, **kwargs):
        raise NotImplementedError("NestedIOFunction is not supported")


BackwardCFunction = _Context
FunctionMeta = _FunctionMeta
