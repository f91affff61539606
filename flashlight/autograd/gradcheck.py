"""Checks of derivatives against finite differences."""

import itertools

import flashlight
from flashlight import _C
from flashlight.autograd import forward_ad


class GradcheckError(RuntimeError):
    """An analytical derivative differs from the numerical one."""


def _as_tuple(x):
    return (x,) if isinstance(x, _C.TensorBase) else tuple(x)


def _diff(tensors):
    return [t for t in tensors if isinstance(t, _C.TensorBase) and t.requires_grad]


def _outputs(func, inputs):
    out = _as_tuple(func(*inputs))
    return [o for o in out if isinstance(o, _C.TensorBase)]


def _numerical(func, inputs, x, eps):
    """Gradients of the parts of outputs by x: [x.numel(), out.numel()] for each output.

    One matrix for a real output; for a complex one a second, of its imaginary part.
    """
    columns = None
    flat = x.detach().reshape(-1)
    n = flat.numel()
    deltas = [eps] if not x.is_complex() else [eps, eps * 1j]
    for i in range(n):
        rows = []
        for delta in deltas:
            values = []
            for sign in (1, -1):
                moved = flat.clone()
                moved[i] = moved[i] + sign * delta
                moved = moved.reshape(x.shape)
                args = [moved if a is x else a for a in inputs]
                with flashlight.no_grad():
                    values.append([o.clone() for o in _outputs(func, args)])
            rows.append([(p - m) / (2 * eps) for p, m in zip(*values)])
        if columns is None:
            columns = [[] for _ in rows[0]]
        for k in range(len(rows[0])):
            by = [row[k].reshape(-1) for row in rows]
            if by[0].is_complex():
                parts = [[b.real for b in by], [b.imag for b in by]]
            else:
                parts = [by]
            # What backward gives: the derivative by the real part, and i times that
            # by the imaginary part.
            columns[k].append(
                [p[0] if len(p) == 1 else p[0] + 1j * p[1] for p in parts]
            )
    return [[flashlight.stack(p) for p in zip(*c)] for c in (columns or [])]


def _analytical(outputs, x, k, part=0):
    """The same by backward, of the real (0) or the imaginary part of output k."""
    out = outputs[k]
    columns = []
    for j in range(out.numel()):
        seed = flashlight.zeros_like(out).reshape(-1)
        seed[j] = 1j if part else 1
        (g,) = flashlight.autograd.grad(
            out, x, seed.reshape(out.shape), retain_graph=True, allow_unused=True
        )
        columns.append(
            flashlight.zeros(x.numel(), dtype=x.dtype)
            if g is None
            else g.detach().reshape(-1)
        )
    return flashlight.stack(columns, 1) if columns else None


def _along(func, inputs, x, tangent):
    """The outputs' derivatives along one tangent of ``x``; None for outputs without."""
    with forward_ad.dual_level():
        args = [
            forward_ad.make_dual(a.detach(), tangent) if a is x else a for a in inputs
        ]
        return [forward_ad.unpack_dual(o).tangent for o in _outputs(func, args)]


def _forward_mismatch(func, inputs, x, numerical, atol, rtol):
    """What is wrong with forward mode beside the numerical Jacobian, or None."""
    units = [1.0, 1j] if x.is_complex() else [1.0]
    for j in range(x.numel()):
        for part, unit in enumerate(units):
            tangent = flashlight.zeros_like(x.detach()).reshape(-1)
            tangent[j] = unit
            found = _along(func, inputs, x, tangent.reshape(x.shape))
            for k, (matrices, got) in enumerate(zip(numerical, found)):
                parts = [m[j].imag if part else m[j].real for m in matrices]
                expected = parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]
                if got is None:
                    got = flashlight.zeros_like(expected)
                got = got.detach().reshape(-1)
                if not flashlight.allclose(
                    got, expected.to(got.dtype), rtol=rtol, atol=atol
                ):
                    return k, expected, got
    return None


def _batched_forward_mismatch(func, inputs, x, atol, rtol):
    """What is wrong with ``vmap`` of forward mode beside one call a tangent."""
    tangents = flashlight.randn(2, *x.shape, dtype=x.dtype)

    def run(t):
        return tuple(d for d in _along(func, inputs, x, t) if d is not None)

    rows = [run(t) for t in tangents]
    if not rows[0]:
        return None
    for k, (got, *each) in enumerate(zip(flashlight.vmap(run)(tangents), *rows)):
        expected = flashlight.stack(each)
        if not flashlight.allclose(got, expected, rtol=rtol, atol=atol):
            return k, expected, got
    return None


def _batched_mismatch(outputs, wanted, atol, rtol):
    """What is wrong with ``is_grads_batched`` beside one backward a row, or None."""
    for k, out in enumerate(outputs):
        if not out.requires_grad:
            continue
        seeds = flashlight.randn(2, *out.shape, dtype=out.dtype)
        options = {"retain_graph": True, "allow_unused": True}
        rows = [flashlight.autograd.grad(out, wanted, s, **options) for s in seeds]
        batched = flashlight.autograd.grad(
            out, wanted, seeds, is_grads_batched=True, **options
        )
        for i, (got, *each) in enumerate(zip(batched, *rows)):
            if got is None and all(g is None for g in each):
                continue
            expected = flashlight.stack(each)
            if not flashlight.allclose(got, expected, rtol=rtol, atol=atol):
                return (
                    f"For output {k} and input {i}: the gradient of a batch is not "
                    f"that of its rows.\nGot:\n{got}\nExpected:\n{expected}\n"
                )
    return None


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Compare the gradients of ``func`` with finite differences.

    Args:
        func: A function of tensors that returns tensors.
        inputs: Its arguments; those of float64 that require grad are checked.
        eps: The step of the differences.
        atol: The absolute tolerance.
        rtol: The relative tolerance.
        raise_exception: Raise, or return ``False``.
        nondet_tol: How much two runs of backward may differ.
        check_batched_grad: Compare ``is_grads_batched`` with a loop, too.
        check_forward_ad: Compare forward mode with finite differences, too.
        check_batched_forward_grad: Compare ``vmap`` of forward mode with a loop.
        check_backward_ad: Whether backward is compared.

    Raises:
        RuntimeError: A gradient is wrong, or nothing could be checked.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError(
            "Expected at least one of check_forward_ad or check_backward_ad to be True"
        )
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError(
            "Setting check_batched_forward_grad=True requires check_forward_ad to be "
            "True"
        )

    def bad(text):
        if raise_exception:
            raise GradcheckError(text)
        return False

    inputs = _as_tuple(inputs)
    wanted = _diff(inputs)
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none "
            "of the them have requires_grad=True."
        )
    outputs = _outputs(func, inputs)
    if not any(o.requires_grad for o in outputs):
        for x in wanted:
            for n in itertools.chain(*_numerical(func, inputs, x, eps)):
                if not flashlight.allclose(n, flashlight.zeros_like(n), atol=atol):
                    return bad("Numerical gradient for function expected to be zero")
        return True
    for i, x in enumerate(wanted):
        numerical = _numerical(func, inputs, x, eps)
        wrong = None
        if check_forward_ad:
            wrong = _forward_mismatch(func, inputs, x, numerical, atol, rtol)
        if check_batched_forward_grad and wrong is None:
            wrong = _batched_forward_mismatch(func, inputs, x, atol, rtol)
        if wrong is not None:
            k, expected, got = wrong
            return bad(
                f"Jacobian computed with forward mode mismatch for output {k} with "
                f"respect to input {i},\nnumerical:{expected}\nanalytical:{got}\n"
            )
        for k, out in enumerate(outputs):
            if not (out.requires_grad and check_backward_ad):
                continue
            for part, matrix in enumerate(numerical[k]):
                analytical = _analytical(outputs, x, k, part)
                if analytical is None:
                    continue
                again = _analytical(outputs, x, k, part)
                if not flashlight.allclose(
                    analytical, again, atol=nondet_tol, rtol=0.0, equal_nan=True
                ):
                    return bad(
                        "Backward is not reentrant, i.e., running backward with "
                        "same input and grad_output multiple times gives different "
                        "values"
                    )
                expected = matrix.to(analytical.dtype)
                if not flashlight.allclose(analytical, expected, rtol=rtol, atol=atol):
                    return bad(
                        f"Jacobian mismatch for output {k} with respect to input {i},"
                        f"\nnumerical:{expected}\nanalytical:{analytical}\n"
                    )
    if check_batched_grad:
        text = _batched_mismatch(outputs, wanted, atol, rtol)
        if text is not None:
            return bad(text)
    return True


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
):
    """Compare the gradients of the gradients of ``func`` with finite differences.

    Args:
        check_fwd_over_rev: Compare forward mode over the gradients, too.
        check_rev_over_rev: Whether the gradients' own gradients are compared.
    """
    inputs = _as_tuple(inputs)
    outputs = [o for o in _outputs(func, inputs) if o.requires_grad]
    if grad_outputs is None:
        grad_outputs = [
            flashlight.randn(o.shape, dtype=o.dtype).requires_grad_() for o in outputs
        ]
    grad_outputs = list(_as_tuple(grad_outputs))
    n = len(grad_outputs)

    def first(*args):
        given, grads = args[:-n], args[-n:]
        given = tuple(
            (
                (a if _C._tangent(a) is not None else a.detach()).requires_grad_()
                if isinstance(a, _C.TensorBase)
                and a.is_leaf
                and not a.requires_grad
                and i < len(inputs)
                and inputs[i].requires_grad
                else a
            )
            for i, a in enumerate(given)
        )
        with flashlight.enable_grad():
            outs = [o for o in _outputs(func, given) if o.requires_grad]
            wanted = [
                a
                for a, b in zip(given, inputs)
                if isinstance(b, _C.TensorBase) and b.requires_grad
            ]
            found = flashlight.autograd.grad(
                outs, wanted, grads, create_graph=True, allow_unused=True
            )
        return tuple(g for g in found if g is not None)

    return gradcheck(
        first,
        inputs + tuple(grad_outputs),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
    )
