"""Gradients, Jacobians and their products, as functions of functions."""

import functools

import flashlight
from flashlight import _C
from flashlight.autograd.engine import grad as _grad
from flashlight.autograd.graph import disable_saved_tensors_hooks
from flashlight.func._levels import (
    autograd_level,
    dual_level,
    is_tensor,
    unwrap,
    wrap,
)
from flashlight.func._vmap import vmap
from flashlight.utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = [
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "vjp",
]


# --- arguments ---------------------------------------------------------------


def _wrap_argnum(argnum, count):
    if not isinstance(argnum, int):
        raise RuntimeError(f"argnum must be int, got: {type(argnum)}")
    if not -count <= argnum < count:
        raise RuntimeError(f"Got argnum={argnum}, but only {count} positional inputs")
    return argnum % count


def _wrap_argnums(argnums, count):
    if isinstance(argnums, int):
        return _wrap_argnum(argnums, count)
    if not isinstance(argnums, tuple):
        raise RuntimeError(
            f"argnums must be int or Tuple[int, ...], got: {type(argnums)}"
        )
    if not argnums:
        raise RuntimeError("argnums must be non-empty")
    wrapped = tuple(_wrap_argnum(n, count) for n in argnums)
    if len(set(wrapped)) != len(wrapped):
        raise RuntimeError(f"argnums elements must be unique, got {wrapped}")
    return wrapped


def _selected(args, argnums):
    """The arguments that are differentiated: one, or a tuple."""
    argnums = _wrap_argnums(argnums, len(args))
    if isinstance(argnums, int):
        return args[argnums]
    return tuple(args[n] for n in argnums)


def _replaced(args, new, argnums):
    argnums = _wrap_argnums(argnums, len(args))
    pairs = {argnums: new} if isinstance(argnums, int) else dict(zip(argnums, new))
    return tuple(pairs.get(n, arg) for n, arg in enumerate(args))


def _variables(level, tree):
    """Tensors of the level that require grad, in place of those of a tree."""

    def variable(x):
        if not is_tensor(x):
            raise ValueError(
                f"Thing passed to transform API must be Tensor, got {type(x)}"
            )
        return _C._wrap_at(level, x, True)

    return tree_map(variable, tree)


def _check_tensors(tensors, api, argname):
    if not tensors:
        raise RuntimeError(f"{api}: Expected {argname} to contain at least one Tensor.")
    for x in tensors:
        if not is_tensor(x):
            raise RuntimeError(
                f"{api}: Expected {argname} to only contain Tensors, got {type(x)}"
            )


def _check_outputs(outputs, api):
    if not outputs or (len(outputs) == 1 and outputs[0] is None):
        raise RuntimeError(
            f"{api}: Expected f to be a function that has non-empty output (got output "
            f"= {outputs})"
        )
    for y in outputs:
        if not is_tensor(y):
            raise RuntimeError(
                f"{api}: expected f(*primals) to return only tensors, got unsupported "
                f"type {type(y)}"
            )


def _unwrap_aux(level, aux):
    """The aux of a function, which is tensors in a tree."""
    for x in tree_flatten(aux)[0]:
        if not is_tensor(x):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(x)}")
    return unwrap(level, aux)


def _with_aux(output, head):
    if not (isinstance(output, tuple) and len(output) == 2):
        raise RuntimeError(
            f"{head}: output of function f should be a tuple: (output, aux) if has_aux "
            "is True"
        )
    return output


def _no_complex(api, tree, is_input):
    for x in tree_flatten(tree)[0]:
        if is_tensor(x) and x.is_complex():
            what = "inputs" if is_input else "outputs"
            raise RuntimeError(
                f"{api}: Expected all {what} to be real but received complex tensor at "
                f"flattened input idx: {0}"
            )


def _without_hooks():
    return disable_saved_tensors_hooks(
        "torch.func.{grad, vjp, jacrev, hessian} don't yet support saved tensor hooks. "
        "Please open an issue with your use case."
    )


# --- reverse mode ------------------------------------------------------------


def _gradients(outputs, inputs, grad_outputs, **options):
    """As ``autograd.grad``, but zeros where an output does not depend on an input."""
    pairs = [(y, g) for y, g in zip(outputs, grad_outputs) if y.requires_grad]
    if not pairs:
        return [flashlight.zeros_like(x) for x in inputs]
    found = _grad(
        [y for y, _ in pairs],
        inputs,
        [g for _, g in pairs],
        allow_unused=True,
        **options,
    )
    return [flashlight.zeros_like(x) if g is None else g for x, g in zip(inputs, found)]


def grad_and_value(func, argnums=0, has_aux=False):
    """Return a function that gives ``(gradient, value)`` of ``func``.

    Args:
        func: to one tensor without dimensions, or ``(tensor, aux)`` with ``has_aux``.
        argnums: the arguments to differentiate: an int, or a tuple of ints.
        has_aux: whether ``func`` gives something beside the value.

    Returns:
        ``(gradient, value)``; the value is ``(value, aux)`` with ``has_aux``.

    Raises:
        RuntimeError: the value is no tensor without dimensions.

    Example:
        >>> import flashlight as torch
        >>> torch.func.grad_and_value(lambda x: (x * x).sum())(torch.ones(2))
        (tensor([2., 2.]), tensor(2.))
    """

    @functools.wraps(func, updated=())
    def wrapper(*args, **kwargs):
        with _without_hooks(), autograd_level() as level:
            args, kwargs = wrap(level, args), wrap(level, kwargs)
            inputs = tree_map(lambda x: x, _selected(args, argnums))
            inputs = _variables_of(level, inputs)
            args = _replaced(args, inputs, argnums)
            output, aux = func(*args, **kwargs), None
            if has_aux:
                output, aux = _with_aux(output, "grad_and_value(f)(*args)")
            if not is_tensor(output):
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a Tensor, "
                    f"got {type(output)}"
                )
            if output.dim() != 0:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar "
                    f"Tensor, got tensor with {output.dim()} dims. Maybe you wanted to "
                    "use the vjp or jacrev APIs instead?"
                )
            leaves, spec = tree_flatten(inputs)
            grads = _gradients([output], leaves, [None], create_graph=True)
            grads = unwrap(level, tree_unflatten(grads, spec))
            value = unwrap(level, output)
            aux = _unwrap_aux(level, aux) if has_aux else None
        return grads, (value, aux) if has_aux else value

    return wrapper


def _variables_of(level, tree):
    return _variables(level, unwrap(level, tree))


def grad(func, argnums=0, has_aux=False):
    """Return a function that gives the gradient of ``func``.

    Args:
        func: to one tensor without dimensions, or ``(tensor, aux)`` with ``has_aux``.
        argnums: the arguments to differentiate: an int, or a tuple of ints.
        has_aux: the result is ``(gradient, aux)``.

    Raises:
        RuntimeError: the value is no tensor without dimensions.

    Example:
        >>> import flashlight as torch
        >>> torch.func.grad(torch.func.grad(torch.sin))(torch.tensor(0.0))
        tensor(-0.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func, updated=())
    def wrapper(*args, **kwargs):
        grads, value = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return wrapper


def vjp(func, *primals, has_aux=False):
    """Return ``func(*primals)`` and the function of cotangents that gives gradients.

    Args:
        func: to a tensor, or a tree of tensors.
        primals: tensors, in trees.
        has_aux: ``func`` gives ``(output, aux)``, and ``aux`` is returned last.

    Returns:
        ``(output, vjp_fn)``. ``vjp_fn(cotangents)``, of the structure of the output,
        gives a tuple with a gradient for each of ``primals``; it can be called often.

    Raises:
        RuntimeError: the output is no tree of floating point tensors.

    Example:
        >>> import flashlight as torch
        >>> y, pull = torch.func.vjp(torch.sin, torch.zeros(2))
        >>> pull(torch.ones(2))
        (tensor([1., 1.]),)
    """
    return _vjp(func, primals, None, has_aux)


def _vjp(func, primals, argnums, has_aux):
    api = "vjp(f, *primals)"
    with _without_hooks(), autograd_level() as level:
        args = wrap(level, primals)
        inputs = args if argnums is None else _selected(args, argnums)
        inputs = _variables_of(level, inputs)
        args = inputs if argnums is None else _replaced(args, inputs, argnums)
        output, aux = func(*args), None
        if has_aux:
            output, aux = _with_aux(output, api)
            aux = _unwrap_aux(level, aux)
        outputs, out_spec = tree_flatten(output)
        _check_outputs(outputs, api)
        for y in outputs:
            if not (y.is_floating_point() or y.is_complex()):
                raise RuntimeError(
                    "vjp(f, ...): All outputs of f must be floating-point or complex "
                    f"Tensors, got Tensor with dtype {y.dtype}"
                )
        # Views of inputs that are returned as they are have no node of their own.
        outputs = [wrap(level, y) if _C._wrapped(y) is None else y for y in outputs]
        result = unwrap(level, output)
        leaves, in_spec = tree_flatten(inputs)
        plain = unwrap(level, leaves)

    def vjp_fn(cotangents, retain_graph=True, create_graph=None):
        if create_graph is None:
            create_graph = flashlight.is_grad_enabled()
        flat, spec = tree_flatten(cotangents)
        if spec != out_spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree "
                f"structure of outputs to the function. cotangents: {spec}, primal "
                f"output: {out_spec}"
            )
        pairs = [(y, g) for y, g in zip(outputs, flat) if y.requires_grad]
        found = [None] * len(leaves)
        if pairs:
            found = _grad(
                [y for y, _ in pairs],
                leaves,
                [g for _, g in pairs],
                retain_graph=retain_graph,
                create_graph=create_graph,
                allow_unused=True,
            )
        grads = [
            flashlight.zeros_like(x) if g is None else g for x, g in zip(plain, found)
        ]
        return tree_unflatten(grads, in_spec)

    return (result, vjp_fn, aux) if has_aux else (result, vjp_fn)


def _basis(tensors):
    """Unit tangents for all elements of some tensors, stacked along dimension 0."""
    sizes = [x.numel() for x in tensors]
    total, start, out = sum(sizes), 0, []
    for x, n in zip(tensors, sizes):
        basis = flashlight.zeros(total, n, dtype=x.dtype, device=x.device)
        basis.diagonal(-start).fill_(1)
        out.append(basis.view(total, *x.shape))
        start += n
    return out, sizes


def jacrev(
    func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False
):
    """Return a function that gives the Jacobian of ``func``, by reverse mode.

    Args:
        func: to a tensor, or a tree of tensors.
        argnums: the arguments to differentiate: an int, or a tuple of ints.
        has_aux: ``func`` gives ``(output, aux)``, and so does the result.
        chunk_size: so many rows at a time; ``None`` for all at once.

    Returns:
        for each output and input, a tensor of the output's shape and then the
        input's, in the output's structure and then that of ``argnums``.

    Example:
        >>> import flashlight as torch
        >>> torch.func.jacrev(torch.sin)(torch.zeros(2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func, updated=())
    def wrapper(*args):
        _no_complex("jacrev", args, True)
        result = _vjp(func, args, argnums, has_aux)
        output, pull = result[0], result[1]
        _no_complex("jacrev", output, False)
        outputs, out_spec = tree_flatten(output)
        basis, sizes = _basis(outputs)
        inputs, in_spec = tree_flatten(_selected(args, argnums))

        def row(*cotangents):
            return tuple(tree_flatten(pull(tree_unflatten(cotangents, out_spec)))[0])

        if chunk_size == 1:  # no vmap: `func` may be what it cannot run
            rows = [row(*cotangents) for cotangents in zip(*basis)]
            grads = [flashlight.stack(parts) for parts in zip(*rows)]
        else:
            grads = vmap(row, chunk_size=chunk_size)(*basis)
        by_output: list = [[] for _ in outputs]
        for g, x in zip(grads, inputs):
            for k, (part, y) in enumerate(zip(g.split(sizes, 0), outputs)):
                by_output[k].append(part.reshape((*y.shape, *x.shape)))
        trees = [tree_unflatten(row, in_spec) for row in by_output]
        jacobian = tree_unflatten(trees, out_spec)
        return (jacobian, result[2]) if has_aux else jacobian

    return wrapper


# --- forward mode ------------------------------------------------------------


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """Return ``func(*primals)`` and its derivative along ``tangents``.

    Args:
        func: to a tensor, or a tree of tensors.
        primals: a tuple of tensors, or of trees of them.
        tangents: of the same structure and shapes.
        strict: raise if an output does not depend on the inputs; else it is zero.
        has_aux: ``func`` gives ``(output, aux)``, and ``aux`` is returned last.

    Raises:
        RuntimeError: the structures of ``primals`` and ``tangents`` differ.

    Example:
        >>> import flashlight as torch
        >>> torch.func.jvp(torch.sin, (torch.zeros(2),), (torch.ones(2),))
        (tensor([0., 0.]), tensor([1., 1.]))
    """
    return _jvp(func, primals, tangents, None, strict, has_aux)


def _jvp(func, primals, tangents, argnums, strict=False, has_aux=False):
    api = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{api}: Expected primals to be a tuple. E.g. it should be valid to call "
            "f(*primals)."
        )
    points = primals if argnums is None else _selected(primals, argnums)
    flat, spec = tree_flatten(points)
    along, along_spec = tree_flatten(tangents)
    if spec != along_spec:
        raise RuntimeError(
            f"{api}: Expected primals and tangents to have the same python structure. "
            "For example, if primals is a tuple of 3 tensors, tangents also must be. "
            f"Got primals with structure {spec} and tangents with structure "
            f"{along_spec}"
        )
    _check_tensors(flat, api, "primals")
    _check_tensors(along, api, "tangents")
    with autograd_level() as level, dual_level():
        duals = [
            _C._make_dual(_C._wrap_at(level, x), _C._wrap_at(level, t))
            for x, t in zip(flat, along)
        ]
        duals = tree_unflatten(duals, spec)
        args = wrap(level, primals)
        args = duals if argnums is None else _replaced(args, duals, argnums)
        output, aux = func(*args), None
        if has_aux:
            output, aux = _with_aux(output, api)
            aux = _unwrap_aux(level, aux)
        outputs, out_spec = tree_flatten(output)
        _check_outputs(outputs, api)
        values, slopes = [], []
        for y in outputs:
            value, slope = _C._unpack_dual(y)
            if slope is None:
                if strict:
                    raise RuntimeError(
                        "jvp(f, primals, tangents, strict=True): The output of f is "
                        "independent of the inputs. This is not allowed with "
                        "strict=True."
                    )
                slope = flashlight.zeros_like(value)
            values.append(_C._unwrap_at(level, value))
            slopes.append(_C._unwrap_at(level, slope))
    results = tree_unflatten(values, out_spec), tree_unflatten(slopes, out_spec)
    return (*results, aux) if has_aux else results


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """Return a function that gives the Jacobian of ``func``, by forward mode.

    Args:
        func: to a tensor, or a tree of tensors.
        argnums: the arguments to differentiate: an int, or a tuple of ints.
        has_aux: ``func`` gives ``(output, aux)``, and so does the result.
        randomness: of :func:`vmap`, over the columns.

    Returns:
        as of :func:`jacrev`.

    Example:
        >>> import flashlight as torch
        >>> torch.func.jacfwd(torch.sin)(torch.zeros(2))
        tensor([[1., 0.],
                [0., 1.]])
    """

    @functools.wraps(func, updated=())
    def wrapper(*args):
        _no_complex("jacfwd", args, True)
        inputs, in_spec = tree_flatten(_selected(args, argnums))
        basis, sizes = _basis(inputs)
        found = []

        def column(*tangents):
            tree = tree_unflatten(tangents, in_spec)
            result = _jvp(func, args, tree, argnums, has_aux=has_aux)
            outputs, out_spec = tree_flatten(result[1])
            _no_complex("jacfwd", outputs, False)
            found[:] = [out_spec]
            return tuple(outputs), result[2] if has_aux else None

        dims = (-1, None)
        slopes, aux = vmap(
            _aux_apart(column, found), out_dims=dims, randomness=randomness
        )(*basis)
        out_spec = found[0]
        trees = []
        for slope in slopes:
            parts = slope.split(sizes, -1)
            row = [
                p.reshape((*slope.shape[:-1], *x.shape)) for p, x in zip(parts, inputs)
            ]
            trees.append(tree_unflatten(row, in_spec))
        jacobian = tree_unflatten(trees, out_spec)
        return (jacobian, found[1]) if has_aux else jacobian

    return wrapper


def _aux_apart(column, found):
    """``column`` with its aux put aside: it is not of the batch."""

    def run(*tangents):
        outputs, aux = column(*tangents)
        found.append(aux)
        return outputs, None

    return run


def hessian(func, argnums=0):
    """Return a function that gives the Hessian of ``func``: forward over reverse.

    Example:
        >>> import flashlight as torch
        >>> torch.func.hessian(lambda x: (x * x).sum())(torch.ones(2))
        tensor([[2., 0.],
                [0., 2.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


def linearize(func, *primals):
    """Return ``func(*primals)`` and the function of tangents that is its derivative.

    Raises:
        RuntimeError: tangents of another structure than ``primals``.

    Example:
        >>> import flashlight as torch
        >>> y, push = torch.func.linearize(torch.sin, torch.zeros(2))
        >>> push(torch.ones(2))
        tensor([1., 1.])
    """
    output = func(*primals)
    spec = tree_flatten(primals)[1]

    def push(*tangents):
        given = tree_flatten(tangents)[1]
        if given != spec:
            raise RuntimeError(
                f"Expected the tangents {given} to have the same argspec as the "
                f"primals {spec}"
            )
        return jvp(func, primals, tangents)[1]

    return output, push


def functionalize(func, *, remove="mutations"):
    """Return a function that is ``func``: here writes are values from the start.

    Storages hold values that a write replaces, so there are no mutations that would
    have to be removed for a trace.

    Args:
        func: any function of tensors.
        remove: ``"mutations"`` or ``"mutations_and_views"``.

    Raises:
        RuntimeError: another ``remove``.
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for "
            f"remove={remove}. Valid options are:\n     remove='mutations': all "
            "inplace and out= operators will be removed from the program, and replaced "
            "with their out-of-place equivalents.\n     remove='mutations_and_views': "
            "In addition to the above, all aliasing operators {view} will be replaced "
            "with their non-aliasing counterparts, {view}_copy.\n"
        )

    @functools.wraps(func, updated=())
    def wrapper(*args, **kwargs):
        return func(*args, **kwargs)

    return wrapper
