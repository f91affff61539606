"""Checks of derivatives against finite differences."""

import warnings

import flashlight
from flashlight import _C
from flashlight._vmap_internals import _vmap
from flashlight.autograd import forward_ad
from flashlight.autograd._nodes import UndefinedGrad

__all__ = [
    "GradcheckError",
    "get_analytical_jacobian",
    "get_numerical_jacobian",
    "gradcheck",
    "gradgradcheck",
]

_IMAGINARY = "While considering the imaginary part of complex {} only, "
_REAL = "While considering the real part of complex {} only, "
_NOTES = (
    'Please look at "Notes about undefined output gradients" in '
    '"tools/autograd/derivatives.yaml"'
)
_NOT_REENTRANT = (
    "Backward is not reentrant, i.e., running backward with same input and grad_output "
    "multiple times gives different values, although analytical gradient matches "
    "numerical gradient.The tolerance for nondeterminism was {}."
    """

NOTE: If your op relies on non-deterministic operations i.e., it is listed here:
https://pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html
this failure might be expected. Calls of gradcheck and gradgradcheck take it with
`nondet_tol=<tol>`.
"""
)


class GradcheckError(RuntimeError):
    """An analytical derivative differs from the numerical one."""


def _as_tuple(x):
    return (x,) if isinstance(x, _C.TensorBase) else tuple(x)


def _differentiable(t):
    return isinstance(t, _C.TensorBase) and (t.is_floating_point() or t.is_complex())


def _wanted(inputs):
    return [t for t in inputs if isinstance(t, _C.TensorBase) and t.requires_grad]


def _outputs(func, inputs):
    """The outputs that have a derivative: those that require gradients, or any."""
    out = [o for o in _as_tuple(func(*inputs)) if _differentiable(o)]
    return [o for o in out if o.requires_grad] or out


def _parts(x):
    """Directions of one number of x: 1, and the imaginary unit where there is one."""
    return [1.0, 1j] if x.is_complex() else [1.0]


# --- numerical -----------------------------------------------------------------------
#
# What is moved is the input itself, so that a function that holds on to it sees it.


def _difference(func, inputs, x, step, eps, where=""):
    """How each output changes where x goes by ``step`` (a tensor), over ``2 * eps``."""
    before = x.detach().clone()
    at = []
    try:
        for sign in (1, -1):
            x.data.copy_(before + sign * step)
            at.append([o.detach().clone() for o in _outputs(func, inputs)])
    finally:
        x.data.copy_(before)
    for plus, minus in zip(*at):
        for what in ("shape", "dtype"):
            a, b = getattr(plus, what), getattr(minus, what)
            if a != b:
                raise AssertionError(
                    f"Expected `func` to return outputs with the same {what} when "
                    f"inputs are perturbed {where}by {eps}, but got: {what}s {b} and "
                    f"{a}."
                )
    return [(plus - minus) / (2 * eps) for plus, minus in zip(*at)]


def _numerical(func, inputs, x, eps):
    """For each output its changes along the parts of x: [part][x.numel(), numel()]."""
    rows = []
    indices = flashlight.unravel_index(flashlight.arange(x.numel()), x.shape)
    for i in range(x.numel()):
        index = tuple(int(k[i]) for k in indices)
        of_parts = []
        for part in _parts(x):
            step = flashlight.zeros_like(x.detach())
            step[index] = part * eps
            of_parts.append(
                _difference(func, inputs, x, step, eps, f"on index {index} ")
            )
        rows.append(of_parts)
    if not rows:
        return []
    return [
        [
            flashlight.stack([row[part][k].reshape(-1) for row in rows])
            for part in range(len(rows[0]))
        ]
        for k in range(len(rows[0][0]))
    ]


def _as_gradient(by_parts):
    """Derivatives by the parts of an input as backward gives them."""
    return by_parts[0] if len(by_parts) == 1 else by_parts[0] + 1j * by_parts[1]


def _gradient_of(columns, imaginary):
    """From the changes of an output the gradients of its real or imaginary part."""
    if columns[0].is_complex():
        columns = [c.imag if imaginary else c.real for c in columns]
    return _as_gradient(columns)


# --- analytical ----------------------------------------------------------------------


def _backward(out, x, seed):
    (g,) = flashlight.autograd.grad(out, x, seed, retain_graph=True, allow_unused=True)
    return g


def _analytical(out, x, imaginary=False):
    """Gradients of the parts of an output by x: [x.numel(), out.numel()]."""
    columns = []
    for j in range(out.numel()):
        seed = flashlight.zeros_like(out.detach()).reshape(-1)
        seed[j] = 1j if imaginary else 1
        g = _backward(out, x, seed.reshape(out.shape))
        if g is not None and g.numel() != x.numel():
            raise GradcheckError("Analytical gradient has incorrect size")
        columns.append(
            flashlight.zeros(x.numel(), dtype=x.dtype)
            if g is None
            else g.detach().reshape(-1)
        )
    if not columns:
        return flashlight.zeros(x.numel(), 0, dtype=x.dtype)
    return flashlight.stack(columns, 1)


def _along(func, inputs, tangents):
    """The outputs' derivatives along tangents of inputs, {place: tangent}.

    Inputs come without requiring gradients, as they would have no use.
    """
    with forward_ad.dual_level():
        args = [
            a.detach() if isinstance(a, _C.TensorBase) and a.requires_grad else a
            for a in inputs
        ]
        for i, tangent in tangents.items():
            args[i] = forward_ad.make_dual(args[i], tangent)
        duals = [forward_ad.unpack_dual(o) for o in _outputs(func, args)]
        return [
            flashlight.zeros_like(d.primal) if d.tangent is None else d.tangent
            for d in duals
        ]


def _places(inputs):
    """Where the inputs are that are differentiated."""
    return [
        i
        for i, t in enumerate(inputs)
        if isinstance(t, _C.TensorBase) and t.requires_grad
    ]


def _with_zeros(inputs, place, tangent):
    tangents = {i: flashlight.zeros_like(inputs[i].detach()) for i in _places(inputs)}
    tangents[place] = tangent
    return tangents


def _forward(func, inputs, place, part):
    """Derivatives of each output along the numbers of an input: rows of _numerical."""
    x = inputs[place]
    rows = []
    for i in range(x.numel()):
        tangent = flashlight.zeros_like(x.detach()).reshape(-1)
        tangent[i] = part
        tangents = _with_zeros(inputs, place, tangent.reshape(x.shape))
        rows.append([d.reshape(-1) for d in _along(func, inputs, tangents)])
    return [flashlight.stack(d) for d in zip(*rows)]


def _repeats(a, b, tolerance):
    return flashlight.allclose(a, b, atol=tolerance, rtol=0.0, equal_nan=True)


# --- comparing -----------------------------------------------------------------------


class _Check:
    """One call of gradcheck."""

    def __init__(self, func, inputs, eps, atol, rtol):
        self.func, self.inputs = func, inputs
        self.eps, self.atol, self.rtol = eps, atol, rtol

    def close(self, analytical, numerical, scale=1.0):
        numerical = numerical.to(analytical.dtype)
        return flashlight.allclose(
            analytical, numerical, rtol=self.rtol, atol=self.atol * scale
        )

    def mismatch(self, k, i, numerical, analytical, forward=False):
        mode = "computed with forward mode " if forward else ""
        return (
            f"Jacobian {mode}mismatch for output {k} with respect to input {i},\n"
            f"numerical:{numerical}\nanalytical:{analytical}\n"
        )

    # Every number of inputs and outputs.

    def slow_backward(self, outputs, numerical, imaginary, nondet_tol):
        for i, x in enumerate(_wanted(self.inputs)):
            for k, out in enumerate(outputs):
                if not out.requires_grad or (imaginary and not out.is_complex()):
                    continue
                if not numerical[i]:
                    continue  # of an input without elements
                expected = _gradient_of(numerical[i][k], imaginary)
                found = _analytical(out, x, imaginary)
                if not self.close(found, expected):
                    return self.mismatch(k, i, expected, found)
                again = _analytical(out, x, imaginary)
                if not _repeats(found, again, nondet_tol):
                    return _NOT_REENTRANT.format(nondet_tol)
        return None

    def slow_forward(self, numerical, imaginary):
        for i, place in enumerate(_places(self.inputs)):
            parts = _parts(self.inputs[place])
            if imaginary >= len(parts):
                continue
            found = _forward(self.func, self.inputs, place, parts[imaginary])
            for k, got in enumerate(found):
                expected = numerical[i][k][imaginary]
                if not self.close(got, expected):
                    return self.mismatch(k, i, expected, got, forward=True)
        return None

    # One direction of each.

    def directions(self, x):
        """Random unit vectors of real numbers, one for each part of x."""
        size = x.shape
        vectors = [flashlight.rand(size, dtype=flashlight.float64) for _ in _parts(x)]
        return [v / max(float(v.norm()), 1e-30) for v in vectors]

    def weighted(self, derivative, v):
        """A derivative of an output over the direction of that."""
        return (derivative.detach().reshape(-1) * v.reshape(-1)).sum()

    def fast(self, outputs, imaginary, nondet_tol, forward):
        weights = [self.directions(o.real if o.is_complex() else o)[0] for o in outputs]
        for i, place in enumerate(_places(self.inputs)):
            x = self.inputs[place]
            parts, along = _parts(x), self.directions(x)
            if forward and imaginary >= len(parts):
                continue
            changes = [
                _difference(
                    self.func, self.inputs, x, (p * u * self.eps).to(x.dtype), self.eps
                )
                for p, u in zip(parts, along)
            ]
            if forward:
                tangent = (parts[imaginary] * along[imaginary]).to(x.dtype)
                found = _along(
                    self.func, self.inputs, _with_zeros(self.inputs, place, tangent)
                )
            for k, (out, v) in enumerate(zip(outputs, weights)):
                if forward:
                    got = self.weighted(found[k], v)
                    expected = self.weighted(changes[imaginary][k], v)
                else:
                    if not out.requires_grad or (imaginary and not out.is_complex()):
                        continue
                    seed = ((1j if imaginary else 1) * v).to(out.dtype)
                    g = _backward(out, x, seed)
                    g = flashlight.zeros_like(x.detach()) if g is None else g.detach()
                    of_parts = [g.real, g.imag] if g.is_complex() else [g]
                    got = _as_gradient([(a * u).sum() for a, u in zip(of_parts, along)])
                    expected = _gradient_of(
                        [self.weighted(c[k], v) for c in changes], imaginary
                    )
                    again = _backward(out, x, seed)
                    if again is not None and not _repeats(g, again, nondet_tol):
                        return _NOT_REENTRANT.format(nondet_tol)
                scale = float(sum(u.sum() for u in along) * v.sum())
                if not self.close(got, expected, scale):
                    text = self.mismatch(k, i, expected.item(), got.item(), forward)
                    return text + self.slowly(outputs, k, i, place, imaginary, forward)
        return None

    def slowly(self, outputs, k, i, place, imaginary, forward):
        x = self.inputs[place]
        changes = _numerical(self.func, self.inputs, x, self.eps)[k]
        if forward:
            part = _parts(x)[imaginary]
            numerical = changes[imaginary]
            found = _forward(self.func, self.inputs, place, part)[k]
        else:
            numerical = _gradient_of(changes, imaginary)
            found = _analytical(outputs[k], x, imaginary)
        most = float((numerical - found).abs().max())
        return (
            "\nThe above quantities relating the numerical and analytical jacobians "
            "are computed \nin fast mode. Below, we recompute numerical and analytical "
            f"jacobians in slow mode:\n\nNumerical:\n {numerical}\nAnalytical:\n{found}"
            f"\n\nThe max per-element difference (slow mode) is: {most}.\n"
        )

    # What else backward and forward mode are to do.

    def batched_backward(self, outputs):
        """``is_grads_batched`` beside one backward a row."""
        wanted = _wanted(self.inputs)
        for k, out in enumerate(outputs):
            if not out.requires_grad:
                continue
            seeds = flashlight.randn(2, *out.shape, dtype=out.dtype)
            options = {"retain_graph": True, "allow_unused": True}
            rows = [flashlight.autograd.grad(out, wanted, s, **options) for s in seeds]
            try:
                batched = flashlight.autograd.grad(
                    out, wanted, seeds, is_grads_batched=True, **options
                )
            except RuntimeError as e:
                raise GradcheckError(
                    f"While computing batched gradients, got: {e}\n\ngradcheck or "
                    "gradgradcheck failed while testing batched gradient computation."
                ) from e
            for i, (got, *each) in enumerate(zip(batched, *rows)):
                if got is None and all(g is None for g in each):
                    continue
                expected = flashlight.stack(each)
                if not flashlight.allclose(
                    got, expected, rtol=self.rtol, atol=self.atol
                ):
                    return (
                        f"For output {k} and input {i}:\n\ngradcheck or gradgradcheck "
                        "failed while testing batched gradient computation.\n\nGot:\n"
                        f"{got}\n\nExpected:\n{expected}\n"
                    )
        return None

    def batched_forward(self):
        """``vmap`` of forward mode beside one call a tangent."""
        for place in _places(self.inputs):
            x = self.inputs[place]
            tangents = flashlight.randn(2, *x.shape, dtype=x.dtype)

            def run(t):
                return tuple(_along(self.func, self.inputs, {place: t}))

            rows = [run(t) for t in tangents]
            if not rows[0]:
                continue
            try:
                batched = _vmap(run)(tangents)
            except RuntimeError as e:
                raise GradcheckError(
                    f"While computing batched gradients, got: {e}\n\ngradcheck failed "
                    "while testing batched gradient computation with forward mode AD."
                ) from e
            for k, (got, *each) in enumerate(zip(batched, *rows)):
                expected = flashlight.stack(each)
                if not flashlight.allclose(
                    got, expected, rtol=self.rtol, atol=self.atol
                ):
                    return (
                        f"For output {k} and input {place}:\n\ngradcheck failed while "
                        "testing batched gradient computation with forward mode AD.\n\n"
                        f"Got:\n{got}\n\nExpected:\n{expected}\n"
                    )
        return None

    def of_zeros(self, outputs):
        """Gradients of zeros are zeros."""
        wanted = _wanted(self.inputs)
        zeros = [flashlight.zeros_like(o.detach()) for o in outputs]
        grads = flashlight.autograd.grad(
            outputs, wanted, zeros, retain_graph=True, allow_unused=True
        )
        for g, x in zip(grads, wanted):
            if g is None:
                continue
            if not bool(g.eq(0).all()):
                return "backward not multiplied by grad_output"
            if g.dtype != x.dtype or g.layout != x.layout:
                return "grad is incorrect type"
            if g.device != x.device:
                return "grad is incorrect device"
            if g.size() != x.size():
                return "grad is incorrect size"
        return None

    def of_undefined(self):
        """Gradients of what gets none are none or zeros: of all outputs, of each."""
        n = len([o for o in _outputs(self.func, self.inputs) if o.requires_grad])
        for chosen in [range(n), *([[k] for k in range(n)] if n > 1 else [])]:
            outputs = [o for o in _outputs(self.func, self.inputs) if o.requires_grad]
            outputs = [
                UndefinedGrad()(o) if k in chosen else o for k, o in enumerate(outputs)
            ]
            zeros = [flashlight.zeros_like(o.detach()) for o in outputs]
            try:
                grads = flashlight.autograd.grad(
                    outputs, _wanted(self.inputs), zeros, allow_unused=True
                )
            except RuntimeError as e:
                _warn_of_undefined()
                raise GradcheckError(
                    "Expected backward function to handle undefined output grads. "
                    f"{_NOTES}"
                ) from e
            if any(g is not None and not bool(g.eq(0).all()) for g in grads):
                _warn_of_undefined()
                return (
                    "Expected all input grads to be undefined or zero when all output "
                    f"grads are undefined or zero. {_NOTES}"
                )
        return None

    def of_undefined_tangents(self):
        """No tangent is as zeros."""
        places = _places(self.inputs)
        for place in places:
            x = self.inputs[place]
            others = {
                i: flashlight.rand_like(self.inputs[i].detach())
                for i in places
                if i != place
            }
            zeros = {place: flashlight.zeros_like(x.detach())}
            with_zeros = _along(self.func, self.inputs, others | zeros)
            if not others:
                continue
            without = _along(self.func, self.inputs, others)
            for k, (a, b) in enumerate(zip(with_zeros, without)):
                if not flashlight.allclose(a, b, rtol=self.rtol, atol=self.atol):
                    return (
                        f"Mismatch in tangent values for output with index: {k} when "
                        f"input: {x} has an undefined tangent value.  Got: {b} but "
                        f"expected: {a}"
                    )
        return None


def _warn_of_undefined():
    warnings.warn(
        "Backwards compatibility: New undefined gradient support checking feature is "
        "enabled by default, but it may break existing callers of this function. If "
        "this is true for you, you can call this function with "
        '"check_undefined_grad=False" to disable the feature',
        stacklevel=4,
    )


def _check_inputs(inputs):
    wanted = _wanted(inputs)
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none "
            "of them have requires_grad=True."
        )
    for i, x in enumerate(inputs):
        if not (isinstance(x, _C.TensorBase) and x.requires_grad):
            continue
        if x.layout != flashlight.strided:
            raise NotImplementedError(f"gradcheck: inputs of layout {x.layout}")
        if x.dtype not in (flashlight.float64, flashlight.complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating "
                "point or complex. This check will likely fail if all the inputs are "
                "not of double precision floating point or complex. ",
                stacklevel=4,
            )
        if any(st == 0 and n > 1 for st, n in zip(x.stride(), x.shape)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only "
                "supports inputs that are non-overlapping to be able to compute the "
                "numerical gradients correctly. You should call .contiguous on the "
                "input before passing it to gradcheck."
            )
        if not x.is_leaf:
            x.retain_grad()


def _first(texts):
    """The first text that is not None; those after it are not made."""
    return next((t for t in texts if t is not None), None)


def _mismatches(check, outputs, fast_mode, backward, forward, nondet_tol):
    """What is wrong with the derivatives, one text after another."""
    numerical = None
    if not fast_mode:
        wanted = _wanted(check.inputs)
        numerical = [_numerical(check.func, check.inputs, x, check.eps) for x in wanted]

    def of_backward(imaginary):
        if fast_mode:
            return check.fast(outputs, imaginary, nondet_tol, forward=False)
        return check.slow_backward(outputs, numerical, imaginary, nondet_tol)

    def of_forward(imaginary):
        if fast_mode:
            return check.fast(outputs, imaginary, nondet_tol, forward=True)
        return check.slow_forward(numerical, imaginary)

    modes = []
    if backward:
        modes.append((of_backward, "outputs", outputs))
    if forward:
        modes.append((of_forward, "inputs", _wanted(check.inputs)))
    for run, what, tensors in modes:
        if any(t.is_complex() for t in tensors):
            for imaginary, said in ((1, _IMAGINARY), (0, _REAL)):
                text = run(imaginary)
                yield text if text is None else said.format(what) + text
        else:
            yield run(0)


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
        inputs: Its arguments; those that require grad are checked, and should be of
            float64 or complex128.
        eps: The step of the differences.
        atol: The absolute tolerance.
        rtol: The relative tolerance.
        raise_exception: Raise, or return ``False``.
        nondet_tol: How much two runs of backward may differ.
        check_undefined_grad: Whether outputs may get no gradient, inputs no tangent.
        check_grad_dtypes: Whether gradients have the dtypes of inputs; the engine
            casts them, so that they always have.
        check_batched_grad: Compare ``is_grads_batched`` with a loop, too.
        check_batched_forward_grad: Compare ``vmap`` of forward mode with a loop.
        check_forward_ad: Compare forward mode with finite differences, too.
        check_backward_ad: Whether backward is compared.
        fast_mode: Compare along one random direction only.
        masked: Of sparse inputs only, which are not supported.

    Raises:
        GradcheckError: A gradient is wrong.
        ValueError: No input requires grad.
        NotImplementedError: An input that requires grad is not strided.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError(
            "Expected at least one of check_forward_ad or check_backward_ad to be True"
        )
    if check_batched_grad and not check_backward_ad:
        raise AssertionError(
            "Setting check_batched_grad=True requires check_backward_ad to be True"
        )
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError(
            "Setting check_batched_forward_grad=True requires check_forward_ad to be "
            "True"
        )
    if masked and any(
        isinstance(x, _C.TensorBase) and x.layout != flashlight.strided
        for x in _as_tuple(inputs)
    ):
        raise NotImplementedError("gradcheck: masked=True of sparse inputs")
    inputs = _as_tuple(inputs)
    check = _Check(func, inputs, eps, atol, rtol)

    def texts():
        _check_inputs(inputs)
        outputs = _outputs(func, inputs)
        if not any(o.requires_grad for o in outputs):
            yield _not_zero(check, outputs)
            return
        yield from _mismatches(
            check, outputs, fast_mode, check_backward_ad, check_forward_ad, nondet_tol
        )
        if check_forward_ad and check_undefined_grad:
            yield check.of_undefined_tangents()
        if check_batched_forward_grad:
            yield check.batched_forward()
        if check_backward_ad:
            if check_batched_grad:
                yield check.batched_backward(outputs)
            yield check.of_zeros([o for o in outputs if o.requires_grad])
            if check_undefined_grad:
                yield check.of_undefined()

    try:
        text = _first(texts())
        if text is not None:
            raise GradcheckError(text)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _not_zero(check, outputs):
    """A function whose outputs require no gradient is constant."""
    for x in _wanted(check.inputs):
        for columns in _numerical(check.func, check.inputs, x, check.eps):
            if any(not flashlight.allclose(c, c * 0, atol=check.atol) for c in columns):
                return "Numerical gradient for function expected to be zero"
    return None


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
        grad_outputs: Gradients of the outputs; random ones else.
        gen_non_contig_grad_outputs: Whether random ones are not contiguous.
        check_fwd_over_rev: Compare forward mode over the gradients, too.
        check_rev_over_rev: Whether the gradients' own gradients are compared.

    The others are those of :func:`gradcheck`.
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError(
            "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be "
            "True"
        )
    for name, asked in (
        ("check_undefined_grad", check_undefined_grad),
        ("check_batched_grad", check_batched_grad),
    ):
        if asked and not check_rev_over_rev:
            raise AssertionError(
                f"Setting {name}=True requires check_rev_over_rev to be True"
            )
    inputs = _as_tuple(inputs)
    outputs = [o for o in _outputs(func, inputs) if o.requires_grad]
    if grad_outputs is None:
        grad_outputs = [
            _random_like(o, gen_non_contig_grad_outputs).requires_grad_()
            for o in outputs
        ]
    grad_outputs = _as_tuple(grad_outputs)
    n = len(grad_outputs)
    places = _places(inputs)

    def first(*args):
        given, grads = list(args[: len(args) - n]), args[len(args) - n :]
        for i in places:  # forward mode gives them without
            given[i] = given[i].requires_grad_()
        outs = [o for o in _outputs(func, given) if o.requires_grad]
        found = flashlight.autograd.grad(
            outs,
            [given[i] for i in places],
            grads,
            create_graph=True,
            allow_unused=True,
        )
        return tuple(g for g in found if g is not None)

    return gradcheck(
        first,
        inputs + grad_outputs,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
        masked=masked,
    )


def _random_like(t, apart):
    """Random numbers of that shape; ``apart``: every other one of a larger tensor."""
    if apart and t.dim():
        wide = (*t.shape[:-1], 2 * t.shape[-1])
        return flashlight.randn(wide, dtype=t.dtype)[..., ::2]
    return flashlight.randn(t.shape, dtype=t.dtype)


# --- older names ---------------------------------------------------------------------


def _deprecated(name, grad_out, tensors):
    warnings.warn(
        f"`{name}` was part of PyTorch's private API and not meant to be exposed. We "
        "are deprecating it and it will be removed in a future version of PyTorch.",
        FutureWarning,
        stacklevel=3,
    )
    if grad_out != 1.0:
        raise ValueError(
            f"Expected grad_out to be 1.0. {name} no longer supports values of "
            "grad_out != 1.0."
        )
    if any(t.is_complex() for t in tensors):
        raise ValueError(
            f"Expected output to be non-complex. {name} no longer supports functions "
            "that return complex outputs."
        )


def get_numerical_jacobian(fn, inputs, target=None, eps=1e-3, grad_out=1.0):
    """The Jacobians of ``fn(inputs)[0]`` by differences; deprecated."""
    outputs = _outputs(lambda *args: fn(args), inputs)
    _deprecated("get_numerical_jacobian", grad_out, outputs)
    wanted = _wanted(inputs if target is None else _as_tuple(target))
    return [
        _gradient_of(_numerical(lambda *args: fn(args), inputs, x, eps)[0], False)
        for x in wanted
    ]


def get_analytical_jacobian(inputs, output, nondet_tol=0.0, grad_out=1.0):
    """The Jacobians of ``output`` by backward; deprecated.

    Returns:
        They, and whether backward is reentrant, gradients are of the sizes and of the
        types of inputs.
    """
    _deprecated("get_analytical_jacobian", grad_out, [output])
    wanted = _wanted(inputs)
    first, again = ([_analytical(output, x) for x in wanted] for _ in range(2))
    reentrant = all(_repeats(a, b, nondet_tol) for a, b in zip(first, again))
    return first, reentrant, True, True
