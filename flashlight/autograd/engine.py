"""``backward`` and ``grad``: argument checks before the engine runs."""

import warnings

from flashlight import _C
from flashlight.autograd.graph import GradientEdge

__all__ = ["backward", "grad"]

_warned_of_cycle = False


def _as_tuple(x, length=None):
    if x is None:
        return (None,) * length
    if isinstance(x, (_C.TensorBase, GradientEdge)):
        return (x,)
    return tuple(x)


def _shape(output):
    if isinstance(output, GradientEdge):
        return output.node._input_metadata[output.output_nr].shape
    return output.shape


def _dtype(output):
    if isinstance(output, GradientEdge):
        return output.node._input_metadata[output.output_nr].dtype
    return output.dtype


def _calculate_shape(output, grad, is_grads_batched):
    """The shapes that have to be the same: of an output, and of its gradient."""
    return _shape(output), grad.shape[1:] if is_grads_batched else grad.shape


def _check_grad(i, output, grad, is_batched):
    of_output, of_grad = _calculate_shape(output, grad, is_batched)
    if tuple(of_grad) != tuple(of_output):
        if is_batched:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each "
                "grad_output as the batch dimension. The sizes of the remaining "
                "dimensions are expected to match the shape of corresponding output, "
                f"but a mismatch was detected: grad_output[{i}] has a shape of "
                f"{grad.shape} and output[{i}] has a shape of {_shape(output)}. If you "
                "only want some tensors in `grad_output` to be considered batched, "
                "consider using vmap."
            )
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {grad.shape} and "
            f"output[{i}] has a shape of {_shape(output)}."
        )
    if _dtype(output).is_complex != grad.is_complex():
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have "
            f"the same dtype. Mismatch in dtype: grad_output[{i}] has a dtype of "
            f"{grad.dtype} and output[{i}] has a dtype of {_dtype(output)}."
        )


def _make_grads(outputs, grads, is_batched=False):
    """The gradients to start with; ``None`` where the engine is to make ones."""
    out = []
    for i, (output, grad) in enumerate(zip(outputs, grads)):
        if isinstance(grad, _C.TensorBase):
            _check_grad(i, output, grad, is_batched)
        elif grad is None:
            if isinstance(output, GradientEdge) or output.requires_grad:
                shape, dtype = _shape(output), _dtype(output)
                if shape.numel() != 1:
                    raise RuntimeError(
                        "grad can be implicitly created only for scalar outputs"
                    )
                if not dtype.is_floating_point:
                    raise RuntimeError(
                        "grad can be implicitly created only for real scalar outputs "
                        f"but got {dtype}"
                    )
        else:
            raise TypeError(
                "gradients can be either Tensors or None, but got "
                + type(grad).__name__
            )
        out.append(grad)
    return tuple(out)


def _run(outputs, grads, retain_graph, create_graph, inputs, allow_unused, accumulate):
    if len(outputs) != len(grads):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    for i, x in enumerate(outputs):
        if not isinstance(x, (_C.TensorBase, GradientEdge)):
            raise TypeError(f"element {i} of tensors tuple is not a Tensor")
    for i, x in enumerate(inputs):
        if not isinstance(x, (_C.TensorBase, GradientEdge)):
            raise TypeError(f"element {i} of inputs tuple is not a Tensor")
    rest = allow_unused, accumulate
    if any(_is_parted(x) for x in (*outputs, *inputs)):
        return _run_of_parts(outputs, grads, retain_graph, create_graph, inputs, *rest)
    return _C._run_backward(outputs, grads, retain_graph, create_graph, inputs, *rest)


def _is_parted(x):
    """Whether it is a sparse or quantized tensor: the tape knows its values."""
    return hasattr(type(x), "_differentiated")


def _run_of_parts(outputs, grads, retain_graph, create_graph, inputs, *rest):
    for x in filter(_is_parted, outputs):
        raise NotImplementedError(
            f"backward: not supported of {x._kind} tensors; take that of the values"
        )
    parts = [x._differentiated() if _is_parted(x) else (x, None) for x in inputs]
    plain = tuple(part for part, _ in parts)
    found = _C._run_backward(outputs, grads, retain_graph, create_graph, plain, *rest)
    return found and tuple(
        g if g is None or made is None else made(g)
        for g, (_, made) in zip(found, parts)
    )


def backward(
    tensors,
    grad_tensors=None,
    retain_graph=None,
    create_graph=False,
    grad_variables=None,
    inputs=None,
):
    """Add the gradients of ``tensors`` to the leaves' ``grad``.

    Args:
        tensors: The tensor(s) (or ``GradientEdge``) to differentiate.
        grad_tensors: The gradient of each; may be absent for one element.
        retain_graph: Keep the graph for another backward; ``create_graph`` by default.
        create_graph: Record the gradients' own graph.
        grad_variables: The old name of ``grad_tensors``.
        inputs: The tensors to accumulate into; all leaves by default.

    Raises:
        RuntimeError: A gradient does not fit, nothing requires grad, a saved tensor
            was changed in place, or the graph was freed already.
    """
    global _warned_of_cycle

    if grad_variables is not None:
        warnings.warn(
            "`grad_variables` is deprecated. Use `grad_tensors` instead.",
            FutureWarning,
            stacklevel=2,
        )
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both "
                "passed to `backward()`. Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    if _C._top_level() is not None:
        raise RuntimeError(
            "backward() called inside a functorch transform. This is not supported, "
            "please use functorch.grad or functorch.vjp instead or call backward() "
            "outside of functorch transforms."
        )
    inputs = () if inputs is None else (_as_tuple(inputs) or None)
    if inputs is None:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    tensors = _as_tuple(tensors)
    grads = _make_grads(tensors, _as_tuple(grad_tensors, len(tensors)))
    if retain_graph is None:
        retain_graph = create_graph
    if create_graph and (_C._is_warn_always() or not _warned_of_cycle):
        _warned_of_cycle = True
        warnings.warn(
            "Using backward() with create_graph=True will create a reference cycle "
            "between the parameter and its gradient which can cause a memory leak. We "
            "recommend using autograd.grad when creating the graph to avoid this. If "
            "you have to use this function, make sure to reset the .grad fields of "
            "your parameters to None after use to break the cycle and avoid the leak.",
            stacklevel=2,
        )
    _run(tensors, grads, retain_graph, create_graph, inputs, True, True)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """The gradients of ``outputs`` with respect to ``inputs``, as a tuple.

    Args:
        outputs: The tensor(s) to differentiate.
        inputs: The tensor(s) to differentiate with respect to.
        grad_outputs: The gradient of each output.
        retain_graph: Keep the graph; ``create_graph`` by default.
        create_graph: Record the gradients' own graph.
        only_inputs: Ignored.
        allow_unused: Give ``None`` for an input without a path, instead of raising.
        is_grads_batched: ``grad_outputs`` have a leading batch dimension.
        materialize_grads: Give zeros instead of ``None``.

    Raises:
        RuntimeError: As :func:`backward`, or an input has no path.

    Example:
        >>> import flashlight as torch
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> torch.autograd.grad((x * x).sum(), x)
        (tensor([2., 4.]),)
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when "
            "materialize_grads=True, but got: allow_unused=False."
        )
    if allow_unused is None:
        allow_unused = materialize_grads
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). "
            "To accumulate gradient for other parts of the graph, please use "
            "torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    outputs, inputs = _as_tuple(outputs), _as_tuple(inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    grads = _as_tuple(grad_outputs, len(outputs))
    grads = _make_grads(outputs, grads, is_grads_batched)
    if retain_graph is None:
        retain_graph = create_graph
    run = _run_batched if is_grads_batched else _run
    result = run(
        outputs, grads, retain_graph, create_graph, inputs, allow_unused, False
    )
    if materialize_grads:
        result = _materialized(result, inputs, create_graph, is_grads_batched, grads)
    return result


def _materialized(result, inputs, create_graph, is_batched, grads):
    import flashlight

    if any(g is None and isinstance(x, GradientEdge) for g, x in zip(result, inputs)):
        raise RuntimeError(
            "materialize_grads cannot be used when the given input is a GradientEdge"
        )
    return tuple(
        flashlight.zeros_like(x, requires_grad=create_graph) if g is None else g
        for g, x in zip(result, inputs)
    )


def _run_batched(outputs, grads, retain_graph, create_graph, inputs, *rest):
    """One backward for each row of the batch, joined along a leading dimension."""
    import flashlight

    sizes = {g.shape[0] for g in grads if g is not None}
    if len(sizes) != 1:
        raise ValueError(
            "is_grads_batched expects grad_outputs with one batch size, but got "
            f"{sorted(sizes)}"
        )
    (n,) = sizes
    if n == 0:
        # One backward tells which inputs have a gradient, and of what shape.
        zeros = [flashlight.zeros_like(o) for o in outputs]
        rows = [_run(outputs, zeros, retain_graph, create_graph, inputs, *rest)]
        return tuple(None if g is None else flashlight.stack([g])[:0] for g in rows[0])
    rows = []
    for i in range(n):
        row = tuple(None if g is None else g[i] for g in grads)
        keep = retain_graph or i + 1 < n
        rows.append(_run(outputs, row, keep, create_graph, inputs, *rest))
    return tuple(
        None if column[0] is None else flashlight.stack(column) for column in zip(*rows)
    )
