"""Products with Jacobians and Hessians, and the whole of them, by backward passes."""

import flashlight
from flashlight import _C
from flashlight.autograd.engine import grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _as_tuple(value, what, function):
    """A tuple of tensors, and whether it was one; TypeError as PyTorch's."""
    is_tuple = isinstance(value, tuple)
    values = value if is_tuple else (value,)
    for i, x in enumerate(values):
        if isinstance(x, _C.TensorBase):
            continue
        if is_tuple:
            raise TypeError(
                f"The {what} given to {function} must be either a Tensor or a tuple of "
                f"Tensors but the value at index {i} has type {type(x)}."
            )
        raise TypeError(
            f"The {what} given to {function} must be either a Tensor or a tuple of "
            f"Tensors but the given {what} has type {type(x)}."
        )
    return is_tuple, values


def _prepared(inputs, create_graph, need_graph=True):
    """Inputs to differentiate with respect to: part of the caller's graph, or not."""
    return tuple(
        (
            x.view_as(x)
            if create_graph and x.requires_grad
            else x.detach().requires_grad_(need_graph)
        )
        for x in inputs
    )


def _finished(tensors, create_graph):
    return tensors if create_graph else tuple(x.detach() for x in tensors)


def _unwrapped(values, is_tuple):
    return values if is_tuple else values[0]


def _check_vector(v, other, is_tuple):
    if len(v) != len(other):
        if is_tuple:
            raise RuntimeError(
                f"v is a tuple of invalid length: should be {len(other)} but got "
                f"{len(v)}."
            )
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (a, b) in enumerate(zip(v, other)):
        if a.shape != b.shape:
            prepend = f"Entry {i} in " if is_tuple else ""
            raise RuntimeError(
                f"{prepend}v has invalid size: should be {b.shape} but got {a.shape}."
            )


# What strict mode says of what must require a gradient and does not.
_MUST_REQUIRE = {
    "outputs": (
        "Output {i} of the user-provided function does not require gradients. The "
        "outputs must be computed in a differentiable manner from the input when "
        "running in strict mode."
    ),
    "grad_inputs": (
        "The gradient with respect to input {i} is independent of the inputs of the "
        "user-provided function. This is not allowed in strict mode."
    ),
    "jacobian": (
        "While computing the hessian, found that the jacobian of the user-provided "
        "function with respect to input {i} is independent of the input. This is not "
        "allowed in strict mode. You should ensure that your function is twice "
        "differentiable and that the jacobian depends on the inputs (this would be "
        "violated by a linear function for example)."
    ),
    "hessian": (
        "The hessian of the user-provided function with respect to input {i} is "
        "independent of the input. This is not allowed in strict mode. You should "
        "ensure that your function is thrice differentiable and that the hessian "
        "depends on the inputs."
    ),
}
_NOT_STRICT = " This is not allowed in strict mode"
# ... and of gradients that are not there.
_ABSENT = {
    "back": "{output} of the user-provided function is independent of input {i}."
    + f"{_NOT_STRICT}.",
    "back_trick": (
        "The gradient with respect to the input is independent of entry {i} in the "
        "grad_outputs when using the double backward trick to compute forward mode "
        f"gradients.{_NOT_STRICT}."
    ),
    "double_back": "The jacobian of the user-provided function is independent of input "
    + f"{{i}}.{_NOT_STRICT}.",
    "double_back_trick": (
        "The hessian of the user-provided function is independent of entry {i} in the "
        f"grad_jacobian.{_NOT_STRICT} as it prevents from using the double backward "
        "trick to replace forward mode AD."
    ),
}


def _check_strict(tensors, strict, what):
    for i, x in enumerate(tensors if strict else ()):
        if x is None:
            raise RuntimeError(_ABSENT["back"].format(i=i, output="The output"))
        if not x.requires_grad:
            raise RuntimeError(_MUST_REQUIRE[what].format(i=i))


def _grads(outputs, inputs, vectors=None, create_graph=False):
    """The gradients, ``None`` where nothing leads from an input to the outputs."""
    pairs = [
        (o, v)
        for o, v in zip(outputs, vectors or [None] * len(outputs))
        if o is not None and o.requires_grad
    ]
    if not pairs:
        return (None,) * len(inputs)
    outputs, vectors = zip(*pairs)
    return grad(
        outputs,
        inputs,
        vectors,
        allow_unused=True,
        create_graph=create_graph,
        retain_graph=True,
    )


def _filled(grads, like, strict, create_graph, stage, output="The output"):
    """The gradients, zeros where there is none; strict mode does not take that."""
    out = []
    for i, (g, x) in enumerate(zip(grads, like)):
        if g is None:
            if strict:
                raise RuntimeError(_ABSENT[stage].format(i=i, output=output))
            g = flashlight.zeros_like(x)
        elif strict and create_graph and not g.requires_grad:
            name = "hessian" if stage.startswith("double") else "jacobian"
            raise RuntimeError(
                f"The {name} of the user-provided function is independent of input "
                f"{i}.{_NOT_STRICT} when create_graph=True."
            )
        out.append(g)
    return tuple(out)


def _single_output(outputs, is_tuple, function):
    if is_tuple or not isinstance(outputs[0], _C.TensorBase):
        raise RuntimeError(
            f"The function given to {function} should return a single Tensor"
        )
    if outputs[0].nelement() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {function} should contain a "
            "single element"
        )


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """The product of a vector with the Jacobian of ``func``.

    Args:
        func: A function of tensors that returns a tensor or a tuple of them.
        inputs: A tensor, or a tuple of them.
        v: The vector, of the shape of the output; may be absent for one element.
        create_graph: Make the results differentiable.
        strict: Raise where an output does not depend on an input.

    Returns:
        The outputs of ``func`` and the product, of the shape of the inputs.
    """
    with flashlight.enable_grad():
        is_inputs_tuple, inputs = _as_tuple(inputs, "inputs", "vjp")
        inputs = _prepared(inputs, create_graph)
        outputs = func(*inputs)
        is_outputs_tuple, outputs = _as_tuple(
            outputs, "outputs of the user-provided function", "vjp"
        )
        _check_strict(outputs, strict, "outputs")
        if v is not None:
            _, v = _as_tuple(v, "v", "vjp")
            v = _prepared(v, create_graph, need_graph=False)
            _check_vector(v, outputs, is_outputs_tuple)
        elif len(outputs) != 1 or outputs[0].nelement() != 1:
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a "
                "single Tensor with a single element."
            )
        grads = _grads(outputs, inputs, v, create_graph)
        product = _filled(grads, inputs, strict, create_graph, "back")
    return (
        _unwrapped(_finished(outputs, create_graph), is_outputs_tuple),
        _unwrapped(_finished(product, create_graph), is_inputs_tuple),
    )


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """The product of the Jacobian of ``func`` with a vector, by double backward.

    Args:
        func: A function of tensors that returns a tensor or a tuple of them.
        inputs: A tensor, or a tuple of them.
        v: The vector, of the shape of the inputs; may be absent for one element.
        create_graph: Make the results differentiable.
        strict: Raise where an output does not depend on an input.

    Returns:
        The outputs of ``func`` and the product, of the shape of the outputs.
    """
    with flashlight.enable_grad():
        is_inputs_tuple, inputs = _as_tuple(inputs, "inputs", "jvp")
        inputs = _prepared(inputs, create_graph)
        if v is not None:
            _, v = _as_tuple(v, "v", "jvp")
            v = _prepared(v, create_graph, need_graph=False)
            _check_vector(v, inputs, is_inputs_tuple)
        elif len(inputs) != 1 or inputs[0].nelement() != 1:
            raise RuntimeError(
                "The vector v can only be None if the input to the user-provided "
                "function is a single Tensor with a single element."
            )
        outputs = func(*inputs)
        is_outputs_tuple, outputs = _as_tuple(
            outputs, "outputs of the user-provided function", "jvp"
        )
        _check_strict(outputs, strict, "outputs")
        # The vjp is linear in its vector: its own vjp with v is the jvp.
        dual = tuple(flashlight.zeros_like(o, requires_grad=True) for o in outputs)
        grads = _grads(outputs, inputs, dual, create_graph=True)
        _check_strict(grads, strict, "grad_inputs")
        if v is None:
            v = (flashlight.ones_like(inputs[0]),)
        product = _grads(grads, dual, v, create_graph)
        product = _filled(product, outputs, strict, create_graph, "back_trick")
    return (
        _unwrapped(_finished(outputs, create_graph), is_outputs_tuple),
        _unwrapped(_finished(product, create_graph), is_outputs_tuple),
    )


def jacobian(
    func,
    inputs,
    create_graph=False,
    strict=False,
    vectorize=False,
    strategy="reverse-mode",
):
    """The Jacobian of ``func``: for each output and input, of both shapes joined.

    Args:
        func: A function of tensors that returns a tensor or a tuple of them.
        inputs: A tensor, or a tuple of them.
        create_graph: Make the result differentiable.
        strict: Raise where an output does not depend on an input.
        vectorize: Accepted; the same values.
        strategy: ``"reverse-mode"``, or ``"forward-mode"`` (with ``vectorize``).
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If '
            'your function has more outputs than inputs, "forward-mode" tends to be '
            'more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        return _forward_jacobian(func, inputs, create_graph, strict, vectorize)
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` "
            "are not supported together. Please either set `strict=False` or "
            "`vectorize=False`."
        )
    with flashlight.enable_grad():
        is_inputs_tuple, inputs = _as_tuple(inputs, "inputs", "jacobian")
        inputs = _prepared(inputs, create_graph)
        outputs = func(*inputs)
        is_outputs_tuple, outputs = _as_tuple(
            outputs, "outputs of the user-provided function", "jacobian"
        )
        _check_strict(outputs, strict, "outputs")
        jacobians = []
        for k, out in enumerate(outputs):
            columns = [[] for _ in inputs]
            for element in out.reshape(-1).unbind(0) if out.numel() else ():
                grads = _grads((element,), inputs, create_graph=create_graph)
                whose = f"Output {k}"
                grads = _filled(grads, inputs, strict, create_graph, "back", whose)
                for column, g in zip(columns, grads):
                    column.append(g)
            jacobians.append(
                _finished(
                    tuple(
                        (
                            flashlight.stack(column).reshape(out.shape + x.shape)
                            if column
                            else out.new_zeros(out.shape + x.shape)
                        )
                        for column, x in zip(columns, inputs)
                    ),
                    create_graph,
                )
            )
    rows = tuple(_unwrapped(j, is_inputs_tuple) for j in jacobians)
    return _unwrapped(rows, is_outputs_tuple)


def _forward_jacobian(func, inputs, create_graph, strict, vectorize):
    if strict:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `strategy="
            '"forward-mode"` are not supported together (yet). Please either set '
            '`strict=False` or `strategy="reverse-mode"`.'
        )
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is"
            "only implemented for `vectorize=True`."
        )
    from flashlight.func import jacfwd

    is_inputs_tuple, inputs = _as_tuple(inputs, "inputs", "jacobian")
    inputs = _prepared(inputs, create_graph)
    found = [True]

    def run(*args):
        out = func(*args)
        found[0], outputs = _as_tuple(
            out, "outputs of the user-provided function", "jacobian"
        )
        return tuple(outputs)

    rows = jacfwd(run, tuple(range(len(inputs))))(*inputs)
    rows = tuple(
        _unwrapped(_finished(tuple(row), create_graph), is_inputs_tuple) for row in rows
    )
    return _unwrapped(rows, found[0])


def hessian(
    func,
    inputs,
    create_graph=False,
    strict=False,
    vectorize=False,
    outer_jacobian_strategy="reverse-mode",
):
    """The Hessian of a function that returns one element.

    Args:
        func: A function of tensors that returns a tensor of one element.
        inputs: A tensor, or a tuple of them.
        create_graph: Make the result differentiable.
        strict: Raise where the derivative does not depend on an input.
        vectorize: Accepted; the same values.
        outer_jacobian_strategy: As ``strategy`` of :func:`jacobian`.
    """
    from flashlight.func import jacrev

    is_inputs_tuple, inputs = _as_tuple(inputs, "inputs", "hessian")

    def single(*args):
        out = func(*args)
        is_tuple, outputs = _as_tuple(
            out, "outputs of the user-provided function", "hessian"
        )
        _check_strict(outputs, strict, "outputs")
        _single_output(outputs, is_tuple, "hessian")
        return out.squeeze()

    forward = outer_jacobian_strategy == "forward-mode" and vectorize and not strict

    def first(*args):
        if forward:  # inside of that
            return jacrev(single, tuple(range(len(args))))(*args)
        found = jacobian(single, args, create_graph=True)
        _check_strict(found, strict, "jacobian")
        return found

    result = jacobian(
        first,
        inputs,
        create_graph=create_graph,
        strict=strict,
        vectorize=vectorize,
        strategy=outer_jacobian_strategy,
    )
    return result if is_inputs_tuple else result[0][0]


def _second_order(func, inputs, v, create_graph, strict, function):
    is_inputs_tuple, inputs = _as_tuple(inputs, "inputs", function)
    inputs = _prepared(inputs, create_graph)
    if v is not None:
        _, v = _as_tuple(v, "v", function)
        v = _prepared(v, create_graph, need_graph=False)
        _check_vector(v, inputs, is_inputs_tuple)
    elif len(inputs) != 1 or inputs[0].nelement() != 1:
        raise RuntimeError(
            "The vector v can only be None if the input to the user-provided function "
            "is a single Tensor with a single element."
        )
    outputs = func(*inputs)
    is_outputs_tuple, outputs = _as_tuple(
        outputs, "outputs of the user-provided function", function
    )
    _check_strict(outputs, strict, "outputs")
    _single_output(outputs, is_outputs_tuple, function)
    first = _grads(outputs, inputs, create_graph=True)
    _check_strict(first, strict, "jacobian")
    return is_inputs_tuple, inputs, v, outputs[0], first


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """The product of a vector with the Hessian of ``func``.

    Args:
        func: A function of tensors that returns a tensor of one element.
        inputs: A tensor, or a tuple of them.
        v: The vector, of the shape of the inputs; may be absent for one element.
        create_graph: Make the results differentiable.
        strict: Raise where the derivative does not depend on an input.

    Returns:
        The output of ``func`` and the product, of the shape of the inputs.
    """
    with flashlight.enable_grad():
        is_tuple, inputs, v, output, first = _second_order(
            func, inputs, v, create_graph, strict, "vhp"
        )
        product = _grads(first, inputs, v, create_graph)
        product = _filled(product, inputs, strict, create_graph, "double_back")
    return (
        _finished((output,), create_graph)[0],
        _unwrapped(_finished(product, create_graph), is_tuple),
    )


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """The product of the Hessian of ``func`` with a vector.

    Args:
        func: A function of tensors that returns a tensor of one element.
        inputs: A tensor, or a tuple of them.
        v: The vector, of the shape of the inputs; may be absent for one element.
        create_graph: Make the results differentiable.
        strict: Raise where the derivative does not depend on an input.

    Returns:
        The output of ``func`` and the product, of the shape of the inputs.
    """
    with flashlight.enable_grad():
        is_tuple, inputs, v, output, first = _second_order(
            func, inputs, v, create_graph, strict, "hvp"
        )
        dual = tuple(flashlight.zeros_like(x, requires_grad=True) for x in inputs)
        double = _grads(first, inputs, dual, create_graph=True)
        _check_strict(double, strict, "hessian")
        if v is None:
            v = (flashlight.ones_like(inputs[0]),)
        product = _grads(double, dual, v, create_graph)
        product = _filled(product, inputs, strict, create_graph, "double_back_trick")
    return (
        _finished((output,), create_graph)[0],
        _unwrapped(_finished(product, create_graph), is_tuple),
    )
