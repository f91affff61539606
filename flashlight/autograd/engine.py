"""``backward`` and ``grad``: argument checks before the engine runs."""

from flashlight import _C
from flashlight.autograd.graph import GradientEdge

__all__ = ["backward", "grad"]


def _as_tuple(x):
    if isinstance(x, (_C.TensorBase, GradientEdge)):
        return (x,)
    return tuple(x)


def _make_grads(outputs, grads):
    if grads is None:
        return [None] * len(outputs)
    grads = list(_as_tuple(grads)) if not isinstance(grads, (list, tuple)) else grads
    if len(grads) != len(outputs):
        raise RuntimeError(
            "got %d tensors and %d gradients" % (len(outputs), len(grads))
        )
    out = []
    for i, (tensor, grad) in enumerate(zip(outputs, grads)):
        if grad is None:
            if tensor.requires_grad and tensor.numel() != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs"
                )
            out.append(None)
            continue
        if not isinstance(grad, _C.TensorBase):
            raise TypeError(
                "gradients can be either Tensors or None, but got "
                + type(grad).__name__
            )
        if tuple(grad.shape) != tuple(tensor.shape):
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {grad.shape} and "
                f"output[{i}] has a shape of {tensor.shape}."
            )
        if tensor.is_complex() != grad.is_complex():
            raise RuntimeError(
                "For complex Tensors, both grad_output and output are required to have "
                f"the same dtype. Mismatch in dtype: grad_output[{i}] has a dtype of "
                f"{grad.dtype} and output[{i}] has a dtype of {tensor.dtype}."
            )
        out.append(grad)
    return out


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
        tensors: The tensor(s) to differentiate.
        grad_tensors: The gradient of each; may be absent for one element.
        retain_graph: Keep the graph for another backward; ``create_graph`` by default.
        create_graph: Record the gradients' own graph.
        grad_variables: The old name of ``grad_tensors``.
        inputs: The tensors to accumulate into; all leaves by default.
    """
    if grad_variables is not None:
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both "
                "passed to `backward()`. Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    if inputs is not None:
        inputs = list(_as_tuple(inputs))
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    tensors = _as_tuple(tensors)
    grads = _make_grads(tensors, grad_tensors)
    if retain_graph is None:
        retain_graph = create_graph
    _C._run_backward(tensors, grads, retain_graph, create_graph, inputs, True, True)


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
        only_inputs: Must be true.
        allow_unused: Give ``None`` for an input without a path, instead of raising.
        is_grads_batched: ``grad_outputs`` have a leading batch dimension.
        materialize_grads: Give zeros instead of ``None``.
    """
    import flashlight

    if not only_inputs:
        raise ValueError("only_inputs argument is deprecated and must be True")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when "
            "materialize_grads=True, but got: allow_unused=False."
        )
    if allow_unused is None:
        allow_unused = materialize_grads
    outputs, inputs = _as_tuple(outputs), _as_tuple(inputs)
    if retain_graph is None:
        retain_graph = create_graph
    if is_grads_batched:
        grads = list(_as_tuple(grad_outputs))
        n = grads[0].shape[0]
        rows = [
            grad(
                outputs,
                inputs,
                [g[i] for g in grads],
                retain_graph=True if i + 1 < n else retain_graph,
                create_graph=create_graph,
                allow_unused=allow_unused,
                materialize_grads=materialize_grads,
            )
            for i in range(n)
        ]
        return tuple(
            None if column[0] is None else flashlight.stack(column)
            for column in zip(*rows)
        )
    grads = _make_grads(outputs, grad_outputs)
    result = _C._run_backward(
        outputs, grads, retain_graph, create_graph, inputs, allow_unused, False
    )
    if materialize_grads:
        result = tuple(
            flashlight.zeros_like(x) if g is None else g for g, x in zip(result, inputs)
        )
    return result
