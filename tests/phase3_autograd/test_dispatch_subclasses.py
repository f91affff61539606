"""Classes of tensors with __torch_dispatch__: what they see, and what is made of it."""

import copy
import gc
import io
import pickle
import types
import warnings

import pytest
import torch
import torch.utils._python_dispatch as torch_dispatch
import torch.utils._pytree as torch_tree
from comparing import Scripts, compare_scripts

import flashlight
import flashlight.utils._python_dispatch as our_dispatch
import flashlight.utils._pytree as our_tree

script = Scripts()


def tools(lib):
    """What PyTorch has in modules that are imported by name."""
    dispatch, tree = (
        (torch_dispatch, torch_tree) if lib is torch else (our_dispatch, our_tree)
    )
    return types.SimpleNamespace(dispatch=dispatch, map=tree.tree_map)


def shown(x, lib):
    if isinstance(x, lib.Tensor):
        return type(x).__name__
    if isinstance(x, (list, tuple)):
        return [shown(y, lib) for y in x]
    return str(x)


def wrapper(lib, log):
    """A class of wrappers, and a list of what it sees."""
    t = tools(lib)
    # torch's bindings give these to ones_like, whatever they are.
    untold = ("pin_memory", "memory_format", "layout", "device")

    class Wrapper(lib.Tensor):
        __torch_function__ = lib._C._disabled_torch_function_impl

        @staticmethod
        def __new__(cls, inner, requires_grad=False):
            self = lib.Tensor._make_wrapper_subclass(
                cls,
                inner.size(),
                strides=inner.stride(),
                storage_offset=inner.storage_offset(),
                dtype=inner.dtype,
                layout=inner.layout,
                device=inner.device,
                requires_grad=requires_grad,
            )
            self.inner = inner
            return self

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            told = {k: shown(v, lib) for k, v in kwargs.items() if k not in untold}
            log(str(func), [c.__name__ for c in types], shown(args, lib), told)
            args, kwargs = t.map(cls.parts, (args, kwargs))
            out = func(*args, **kwargs)
            return t.map(lambda x: cls(x) if type(x) is lib.Tensor else x, out)

        @classmethod
        def parts(cls, x):
            return x.inner if isinstance(x, cls) else x

    return Wrapper


@script
def forward_ops_are_seen(t, log, fails):
    W = wrapper(t, log)
    x = W(t.arange(6.0).view(2, 3))
    log(x.shape, x.stride(), x.dtype, x.device, x.layout, x.requires_grad, x.is_leaf)
    for y in (
        *(
            x + 1,
            x + x,
            1 - x,
            x * t.ones(3),
            x.exp(),
            x.sum(0),
            x.mean(),
            x.view(3, 2),
        ),
        *(x.t(), x[0], x[:, 1], x.permute(1, 0), t.cat([x, x]), x.mm(x.t()), -x, x > 2),
        *(x.to(t.float64), x.clone(), x.detach(), x.unsqueeze(0), x.expand(2, 2, 3)),
        *(t.nn.functional.relu(x), t.nn.functional.softmax(x, 1), x.max(1)[0], x.data),
        *(t.where(x > 1, x, x), x.masked_fill(x > 2, 0.0), t.zeros_like(x)),
        *(x.new_zeros(2), x.var(), x.flatten(), x.reshape(3, 2), x.contiguous()),
    ):
        log(type(y).__name__, y.shape, y.stride(), W.parts(y))


@script
def parts_of_a_call_come_as_a_list(t, log, fails):
    W = wrapper(t, log)
    x = W(t.arange(6.0))
    log([type(y).__name__ for y in x.chunk(3)], [W.parts(y) for y in x.split(2)])
    log([W.parts(y) for y in x.view(2, 3).unbind(0)])
    log([W.parts(y) for y in x.view(2, 3).sort(1, descending=True)])


@script
def backward_is_seen(t, log, fails):
    W = wrapper(t, log)
    x = W(t.ones(2), requires_grad=True)
    y = (x.exp() * x).sum()
    log(type(y).__name__, y.requires_grad, type(y.grad_fn).__name__)
    y.backward()
    log("again", type(x.grad).__name__, x.grad.inner)
    (x * 3).sum().backward()
    log(type(x.grad).__name__, x.grad.inner, x.grad is x.grad)


@script
def gradients_of_gradients(t, log, fails):
    W = wrapper(t, lambda *seen: None)
    x = W(t.tensor([1.0, 2.0]), requires_grad=True)
    (g,) = t.autograd.grad((x**3).sum(), x, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), x)
    log(type(g).__name__, W.parts(g), type(h).__name__, W.parts(h))


@script
def plain_and_wrapped_together(t, log, fails):
    W = wrapper(t, log)
    x, w = W(t.ones(2)), t.full((2,), 3.0, requires_grad=True)
    y = x * w
    log(type(y).__name__, y.requires_grad)
    y.sum().backward()
    log(type(w.grad).__name__, W.parts(w.grad))


@script
def writes_are_seen(t, log, fails):
    W = wrapper(t, log)
    x = W(t.ones(2, 2))
    log(x.add_(1) is x, x.inner, x._version)
    x.mul_(x).zero_()
    x.copy_(t.ones(2))
    x[0] = 5
    log(x.inner)
    x += 2
    log(x.inner, type(x).__name__)
    fails(lambda: W(t.ones(2), requires_grad=True).add_(1))


@script
def writes_are_recorded(t, log, fails):
    W = wrapper(t, lambda *seen: None)
    x = W(t.ones(4), requires_grad=True)
    y = x * 2
    y.mul_(3)
    log(type(y.grad_fn).__name__, y.inner)
    y.sum().backward()
    log(x.grad.inner)


@script
def views_are_views(t, log, fails):
    W = wrapper(t, lambda *seen: None)
    x = W(t.ones(4), requires_grad=True)
    y = x * 2
    v = y[:2]
    log(v._is_view(), v._base is y, type(v.grad_fn).__name__)
    v.mul_(3)
    log(y.inner, y._version, v._version, type(y.grad_fn).__name__)
    y.sum().backward()
    log(x.grad.inner)


@script
def saved_values_that_change_are_found(t, log, fails):
    W = wrapper(t, lambda *seen: None)
    x = W(t.ones(2), requires_grad=True)
    y = x.exp()
    with t.no_grad():
        y.add_(1)
    try:
        y.sum().backward()
    except RuntimeError as error:
        log("modified by an inplace operation" in str(error))


@script
def out_is_seen(t, log, fails):
    W = wrapper(t, log)
    out = W(t.zeros(2))
    log(t.add(t.ones(2), t.ones(2), out=out) is out, out.inner)
    t.exp(W(t.zeros(2)), out=out)
    log(out.inner)


@script
def one_number(t, log, fails):
    W = wrapper(t, log)
    log(W(t.tensor(3.0)).item(), W(t.tensor([2])).item(), bool(W(t.tensor([1.0]))))
    log(float(W(t.tensor(1.5))), int(W(t.tensor(2))))
    fails(lambda: W(t.ones(2)).item())


@script
def what_a_wrapper_has_not(t, log, fails):
    W = wrapper(t, log)
    x = W(t.ones(2))
    log(x.data_ptr())
    fails(x.tolist)
    fails(x.numpy)


@script
def making_one(t, log, fails):
    W = wrapper(t, log)
    make = t.Tensor._make_wrapper_subclass

    class Plain(t.Tensor):
        pass

    fails(lambda: make(Plain, (2,)))
    fails(lambda: make(t.Tensor, (2,)))
    fails(lambda: make(3, (2,)))
    fails(lambda: make(int, (2,)))
    fails(lambda: make(W, (2,), strides=(1, 2)))
    fails(lambda: make(W, (2,), dtype=t.int64, requires_grad=True))
    fails(lambda: make(W, (2,), dispatch_sizes_strides_policy="none"))
    x = make(W, (2, 3), dtype=t.float64, requires_grad=True)
    log(type(x).__name__, x.shape, x.stride(), x.dtype, x.requires_grad, x.is_leaf)
    x = make(W, (2, 3), strides=(1, 2), storage_offset=4)
    log(x.stride(), x.storage_offset(), x.dtype, x.is_contiguous(), x.numel())


@script
def sizes_and_strides_are_asked_for(t, log, fails):
    W = wrapper(t, log)

    class Asked(W):
        policy = None

        @staticmethod
        def __new__(cls, inner):
            self = t.Tensor._make_wrapper_subclass(
                cls, inner.size(), dispatch_sizes_strides_policy=cls.policy
            )
            self.inner = inner
            return self

    class Sizes(Asked):
        policy = "sizes"

    class Strides(Asked):
        policy = "strides"

    class None_(Sizes):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return None

    class Refusing(Sizes):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    for cls in (Asked, Sizes, Strides, None_, Refusing):
        x = cls(t.ones(2, 3))
        for look in (
            *(lambda: x.shape, x.size, lambda: x.size(0), lambda: x.ndim, x.dim),
            *(
                x.numel,
                x.stride,
                lambda: x.stride(1),
                x.storage_offset,
                x.is_contiguous,
            ),
            *(lambda: x.is_contiguous(memory_format=t.channels_last), lambda: len(x)),
        ):
            try:
                log(look())
            except TypeError as error:
                log(str(error).splitlines()[0])
            except RuntimeError as error:
                log(str(error))
    log(type(Sizes(t.ones(2, 3)) + 1).__name__)


@script
def nobody_takes_it(t, log, fails):
    W = wrapper(t, log)

    class Refusing(W):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            log("refuses", str(func), [c.__name__ for c in types])
            return NotImplemented

    x = Refusing(t.ones(2))
    try:
        x.exp()
    except TypeError as error:
        # The class prints as it is named, with what it is defined in.
        log(str(error).replace(str(Refusing), "Refusing"))
    fails(lambda: x + 1)
    log(type(x + W(t.ones(2))).__name__)


@script
def a_subclass_is_asked_first(t, log, fails):
    W = wrapper(t, log)

    class Sub(W):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            log("sub", [c.__name__ for c in types])
            return super().__torch_dispatch__(func, types, args, kwargs)

    class Other(W):
        pass

    log(type(W(t.ones(1)) + Sub(t.ones(1))).__name__)


@script
def modes_come_first(t, log, fails):
    W = wrapper(t, log)

    class Mode(tools(t).dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            log("mode", str(func), [c.__name__ for c in types], shown(args, t))
            return func(*args, **(kwargs or {}))

    class Passing(tools(t).dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            log("passes", str(func))
            return NotImplemented

    x = W(t.ones(2))
    with Mode():
        x.exp()
    with Passing():
        with tools(t).dispatch._disable_current_modes():
            x.exp()
        try:
            x.exp()  # the class is asked next, and what it runs meets the mode again
        except TypeError as error:
            log(str(error).splitlines()[0])


@script
def what_is_returned(t, log, fails):
    class Odd(t.Tensor):
        __torch_function__ = t._C._disabled_torch_function_impl

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return t.full((3,), 7.0)

    x = t.Tensor._make_wrapper_subclass(Odd, (2,), requires_grad=True)
    y = x.exp()
    log(type(y).__name__, y, y.requires_grad, type(y.grad_fn).__name__)


@script
def what_may_not_be_returned(t, log, fails):
    class Odd(t.Tensor):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return None if func is t.ops.aten.exp.default else "text"

    x = t.Tensor._make_wrapper_subclass(Odd, (2,))
    log(x.exp())
    fails(x.neg)
    fails(x.detach)


@script
def storages(t, log, fails):
    W = wrapper(t, log)
    storage = W(t.ones(2, 3)).untyped_storage()
    log(storage.nbytes(), storage.size())
    fails(storage.data_ptr)
    fails(lambda: storage.resize_(3))


@script
def what_tensor_does_itself(t, log, fails):
    class Sub(t.Tensor):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            log(str(func), shown(args, t))
            return super().__torch_dispatch__(func, types, args, kwargs)

    x = t.Tensor._make_subclass(Sub, t.ones(2), True)
    y = x * 2
    log(type(y).__name__, y, y.requires_grad, t.stack([x, x]))
    x.data = t.Tensor._make_subclass(Sub, t.zeros(3))
    log(x.shape)
    fails(lambda: setattr(x, "data", t.ones(2)))


@script
def with_data_of_its_own(t, log, fails):
    class Logged(t.Tensor):
        __torch_function__ = t._C._disabled_torch_function_impl

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            log(str(func), shown(args, t))
            with t._C._DisableTorchDispatch():
                return func(*args, **(kwargs or {}))

    x = t.Tensor._make_subclass(Logged, t.arange(3.0), True)
    log(type(x).__name__, x.requires_grad, x.is_leaf)
    y = x * 2
    log(type(y).__name__, y, y.requires_grad)
    y.sum().backward()
    log(type(x.grad).__name__)
    z = t.ones(2).as_subclass(Logged)
    log(type(z).__name__, type(z + 1).__name__)


@script
def autograd_is_off_inside(t, log, fails):
    W = wrapper(t, lambda *seen: None)
    inner = t.ones(2, requires_grad=True)

    class Inner(W):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            out = super().__torch_dispatch__(func, types, args, kwargs)
            log(str(func), out.inner.requires_grad)
            return out

    class Reentrant(W):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            with t.overrides.enable_reentrant_dispatch():
                out = super().__torch_dispatch__(func, types, args, kwargs)
            log(str(func), out.inner.requires_grad)
            return out

    Inner(inner).exp()
    y = Reentrant(inner).exp().sum()
    y.inner.backward()
    log(inner.grad)
    with t.no_grad():
        log(Inner(t.ones(1), requires_grad=True).exp().requires_grad)


@script
def exceptions_come_through(t, log, fails):
    W = wrapper(t, log)

    class Failing(W):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            raise ValueError(f"no {func}")

    fails(lambda: Failing(t.ones(2)).exp())
    fails(lambda: t.cat([t.ones(2), Failing(t.ones(2))]))
    log(W(t.zeros(1)).exp().inner)


@script
def copies(t, log, fails):
    W = wrapper(t, log)
    x = W(t.ones(2), requires_grad=True)
    x.note = [1]
    y = copy.deepcopy(x)
    log(type(y).__name__, y.requires_grad, y.note, y.note is x.note, y.inner)
    log(y.inner is x.inner)

    class Plain(W):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return func(*[cls.parts(a) for a in args], **(kwargs or {}))

    fails(lambda: copy.deepcopy(Plain(t.ones(2))))


@script
def swapping(t, log, fails):
    W = wrapper(t, log)
    x, y = W(t.ones(2)), t.zeros(3)
    t.utils.swap_tensors(x, y)
    log(type(x).__name__, x, type(y).__name__, y.shape, y.inner)
    log((x + 1), type(y + 1).__name__)
    p, q = W(t.ones(1)), W(t.zeros(2))
    t.utils.swap_tensors(p, q)
    log(p.inner, q.inner, p.shape, q.shape)


@script
def parameters(t, log, fails):
    W = wrapper(t, lambda *seen: None)
    p = t.nn.Parameter(W(t.ones(2, 3)))
    log(type(p).__name__, isinstance(p, t.nn.Parameter), p.requires_grad)
    linear = t.nn.Linear(3, 2, bias=False)
    linear.weight = p
    log(len(list(linear.parameters())))
    y = linear(t.ones(4, 3))
    log(type(y).__name__, y.shape, W.parts(y))
    y.sum().backward()
    log(type(p.grad).__name__, p.grad.inner)
    optimizer = t.optim.SGD([p], lr=0.5, foreach=False)
    optimizer.step()
    log(p.inner)


@script
def printing(t, log, fails):
    W = wrapper(t, lambda *seen: None)

    class Printed(W):
        def __repr__(self):
            return super().__repr__(tensor_contents=f"{self.inner}")

    log(repr(Printed(t.ones(2))), repr(Printed(t.ones(2), requires_grad=True)))


@script
def two_in_one(t, log, fails):
    u = tools(t)

    class Two(t.Tensor):
        __torch_function__ = t._C._disabled_torch_function_impl

        @staticmethod
        def __new__(cls, a, b):
            out = t.Tensor._make_wrapper_subclass(
                cls, a.shape, strides=a.stride(), dtype=a.dtype
            )
            out.a, out.b = a, b
            return out

        def __tensor_flatten__(self):
            return ["a", "b"], None

        @staticmethod
        def __tensor_unflatten__(inner, meta, size, stride):
            return Two(inner["a"], inner["b"])

        @classmethod
        def __torch_dispatch__(cls, func, types, args, kwargs):
            kwargs = kwargs or {}
            outs = []
            for side in "ab":

                def part(x, side=side):
                    return getattr(x, side) if isinstance(x, Two) else x

                outs.append(func(*u.map(part, args), **u.map(part, kwargs)))
            a, b = outs
            out = Two(a, b) if isinstance(a, t.Tensor) else a
            return u.dispatch.return_and_correct_aliasing(func, args, kwargs, out)

    x = Two(t.zeros(2), t.ones(2))
    log(u.dispatch.is_traceable_wrapper_subclass(x))
    log(u.dispatch.is_traceable_wrapper_subclass_type(Two))
    log(u.dispatch.is_traceable_wrapper_subclass(t.ones(1)))
    y = x + 1
    log(type(y).__name__, y.a, y.b)
    log(x.add_(2) is x, x.a, x.b)
    v = x.view(1, 2)
    log(v.shape, type(v).__name__)
    m = Two(t.zeros(2, 3), t.ones(2, 3))
    log(m.t_() is m, m.shape, m.a.shape)
    z = u.dispatch.transform_subclass(x, lambda name, part: part * 10)
    log(z.a, z.b)


@script
def function_overrides_beside(t, log, fails):
    W = wrapper(t, log)

    class Both(W):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            log("function", func.__name__)
            with t._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))

    x = Both(t.ones(2))
    log(type(x.exp()).__name__)
    log(type(t.add(x, 1)).__name__)


@script
def a_class_that_dispatches_has_no_default_overrides(t, log, fails):
    class Dispatching(t.Tensor):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return t.ones(3)

    class Below(Dispatching):
        pass

    class Both(Dispatching):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return "function"

    none = t._C._disabled_torch_function_impl
    for cls in (Dispatching, Below, Both):
        log(cls.__torch_function__ is none)
        x = t.Tensor._make_wrapper_subclass(cls, (2,))
        log(x.exp())
    fails(lambda: t.nn.Parameter(t.Tensor._make_wrapper_subclass(Below, (2,))))


@script
def one_hop_of_function_overrides(t, log, fails):
    class Logged(t.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            log(func.__name__)
            return t.overrides.redispatch_function(func, types, args, kwargs or {})

    def scaled(a, b):
        if t.overrides.has_torch_function((a, b)):
            return t.overrides.handle_torch_function(scaled, (a, b), a, b)
        return a * b + 1

    x = Logged(t.tensor([3.0]))
    log(type(scaled(x, x)).__name__, type(x.exp()).__name__)
    log(t.nn.functional.relu(x))


@script
def operators_of_a_program(t, log, fails):
    W = wrapper(t, log)
    twice = t.library.custom_op(
        f"dispatch_subclasses::twice_{t.__name__}",
        lambda x: x * 2,
        mutates_args=(),
        schema="(Tensor x) -> Tensor",
    )
    log("call")
    seen = []
    quiet = wrapper(t, lambda *call: seen.append(call))
    y = twice(quiet(t.ones(2)))
    log(type(y).__name__, W.parts(y.inner), "twice" in seen[0][0])


@script.each
def test_as_in_torch(program):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare_scripts(program)


# --- what is not as in torch, or has no script ---------------------------------------


class Module(flashlight.Tensor):
    """At the top of a module, for pickle."""

    __torch_function__ = flashlight._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        self = flashlight.Tensor._make_wrapper_subclass(cls, inner.size())
        self.inner = inner
        return self

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        parts = [a.inner if isinstance(a, cls) else a for a in args]
        return cls(func(*parts, **(kwargs or {})))


def test_pickles():
    x = Module(flashlight.arange(3.0))
    y = pickle.loads(pickle.dumps(x))
    assert type(y) is Module and y.inner.tolist() == [0, 1, 2] and y.shape == x.shape
    file = io.BytesIO()
    flashlight.save(x, file)
    file.seek(0)
    assert (flashlight.load(file, weights_only=False) + 1).inner.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "options",
    [
        {"layout": flashlight.sparse_coo},
        {"dispatch_device": True},
        {"dispatch_layout": True},
        {"memory_format": flashlight.channels_last},
        {"_extra_dispatch_keys": 1},
        {"pin_memory": True},
    ],
    ids=str,
)
def test_what_is_not_supported_says_so(options):
    with pytest.raises(NotImplementedError, match=next(iter(options))):
        flashlight.Tensor._make_wrapper_subclass(Module, (2,), **options)


def test_other_sizes_than_those_given_are_refused():
    class Other(Module):
        @staticmethod
        def __new__(cls, inner):
            return flashlight.Tensor._make_wrapper_subclass(
                cls, (2,), dispatch_sizes_strides_policy="sizes"
            )

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return [5]

    with pytest.raises(NotImplementedError, match="says that sym_size is .5."):
        Other(None).shape


def test_reading_what_is_not_there_is_an_error():
    x = Module(flashlight.ones(2))
    with flashlight._C._DisableTorchDispatch():
        with pytest.raises(RuntimeError, match="doesn't have storage"):
            (x + 1).tolist()
        with pytest.raises(RuntimeError, match="doesn't have storage"):
            x.add_(1)


def test_nothing_is_asked_where_no_such_tensor_lives():
    gc.collect()
    before = flashlight._C._dispatching_tensors()
    x = Module(flashlight.ones(2))
    y = x + 1
    assert flashlight._C._dispatching_tensors() == before + 2
    del x, y
    assert flashlight._C._dispatching_tensors() == before


def test_several_out_are_refused():
    x = Module(flashlight.ones(2))
    outs = Module(flashlight.ones(2)), Module(flashlight.ones(2))
    with pytest.raises(NotImplementedError, match="several out="):
        flashlight.frexp(x, out=outs)
