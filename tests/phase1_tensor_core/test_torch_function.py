"""`__torch_function__` of subclasses, of other classes, and modes, as under PyTorch."""

import functools

import pytest
import torch
from comparing import line_outcome

import flashlight

SETUP = """
import copy
t = T.arange(6.0).reshape(2, 3)
v, w = T.tensor([1.0, 2.0, 3.0]), T.ones(2, 3)
O, NF = T.overrides, T.nn.functional
log = []
class Sub(T.Tensor): pass
class Log(T.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        log.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs or {})
class Duck:
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        log.append((func.__name__, [t.__name__ for t in types]))
        return "duck"
class Not:
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return NotImplemented
class Text(T.Tensor):
    @classmethod
    def __torch_function__(cls, f, t, args=(), kwargs=None):
        return f"{cls.__name__} {f.__name__} {len(t)} {kwargs}"
class Plain(T.Tensor):
    __torch_function__ = T._C._disabled_torch_function_impl
class Named(T.Tensor):
    def __repr__(self): return "Named!"
class Derived(Sub): pass
class Other(T.Tensor): pass
class Mode(O.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        log.append(func.__name__)
        return func(*args, **(kwargs or {}))
class Answers(O.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None): return 42
class Declines(O.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return NotImplemented
    def __repr__(self): return "Declines()"
class Bare(O.TorchFunctionMode): pass
def user(x, y=None):
    if O.has_torch_function((x,)):
        return O.handle_torch_function(user, (x,), x, y=y)
    return x
@O.wrap_torch_function(lambda x, y=None: (x, y))
def wrapped(x, y=None): return "plain"
s, L, d = v.as_subclass(Sub), v.as_subclass(Log), Duck()
x, p = v.as_subclass(Text), T.nn.Parameter(T.ones(2))
"""

CASES = {}
CASES["results are of the subclass"] = """
type(s), type(s + 1), type(1 + s), type(s.sum()), type(s[0]), type(s.clone())
type(s.max(0)), [type(x) for x in s.max(0)], [type(x) for x in s.split(1)]
type(s.shape), type(s.numel()), type(s.tolist()), type(s.grad), type(s.data), type(s.T)
type(T.add(v, s)), type(T.stack([v, s])), type(T.cat([s, v]))
type(v + s), type(v.add_(s)), type(s.add_(v))
s, str(T.ones(2).as_subclass(Sub)), v.as_subclass(Named), [v.as_subclass(Named) + 1]
type(s + v.as_subclass(Derived)), type(v.as_subclass(Derived) + s)
s + v.as_subclass(Other)
type(v.as_subclass(Plain)), type(v.as_subclass(Plain) + 1)
O.has_torch_function((v.as_subclass(Plain),))
p, type(p + 1), type(p.data), type(p.detach()), type(p[0]), type(copy.deepcopy(p))
x + 1, T.sum(x, dim=0), x.view(3), x[0], x.shape
"""
CASES["what a subclass sees"] = """
!L + 1; L.sum(); L[0]; L.shape; L.T; L.grad; L.add_(1); r = log
!L[0] = 1; L.requires_grad_(); L.data; L.backward; len(L); bool(L[0]); r = log
!repr(L); r = log
!T.add(1, L); T.stack([L]); NF.relu(L); NF.linear(L, w); r = log
!iter(L); list(L); r = [n for n in log if n not in ("dim", "__len__")]
!L.dtype; L.device; L.ndim; L.is_leaf; L.requires_grad; r = log
!L < 1; 1 - L; L @ L; L * 2; 2 ** L; r = log
!T.is_tensor(L); T.numel(L); isinstance(L, T.Tensor); T.zeros_like(L); r = log
!float(L[0]); int(L[0]); L[0].item(); L.tolist(); complex(L[0]); r = log
!L.numpy(); np.asarray(L); r = log
!L.size(); L.size(0); L.dim(); L.stride(); L.numel(); L.element_size(); r = log
!L.type(); L.is_contiguous(); L.is_floating_point(); L.is_complex(); r = log
!L.to(T.float64); L.double(); L.cpu(); L.detach(); L.contiguous(); L.view(3, 1); r = log
!L.grad = None; L.requires_grad = True; L.sum().backward(); del L.grad; r = log
!L.__reduce_ex__(2); r = log
!T.max(L, 0); T.topk(L, 1); L.unique(); L.split(1); T.einsum("i,i", L, L); r = log
!NF.dropout(L); NF.cross_entropy(L, L); NF.layer_norm(L, (3,)); NF.gelu(L); r = log
!T.norm(L); L.norm(); T.functional.norm(L); r = log
"""
CASES["other classes"] = """
T.add(d, 1), T.add(v, d), v + d, T.stack([v, d]), T.cat([d])
NF.relu(d), NF.linear(v, d)
!T.add(v, d); T.add(s, d); T.add(d, s); r = log
T.add(Not(), 1)
T.add(v, Not())
T.sum(Not())
v.add(Not())
NF.relu(Not())
v + Not()
T.sum(3)
T.add(object(), 1)
user(v), user(d), wrapped(1), wrapped(d), wrapped(v), wrapped(1, d), wrapped.__name__
!user(L); r = log
O.has_torch_function((v,)), O.has_torch_function((v, s)), O.has_torch_function((d,))
O.has_torch_function((p,)), O.has_torch_function([d]), O.has_torch_function(())
O.has_torch_function_unary(d), O.has_torch_function_unary(v)
O.has_torch_function_variadic(v, d), O.has_torch_function_variadic(v, 1)
O.has_torch_function(3)
"""
CASES["switched off"] = """
!with T._C.DisableTorchFunctionSubclass(): r = type(s + 1), O.has_torch_function((s,))
!with T._C.DisableTorchFunction(): r = type(s + 1), O.has_torch_function((s, d))
!with T._C.DisableTorchFunctionSubclass(): r = L + 1, log
!with T._C.DisableTorchFunctionSubclass(): T.add(d, 1)
!with T._C.DisableTorchFunctionSubclass(): r = T._C._is_torch_function_enabled()
!with Mode(), T._C.DisableTorchFunctionSubclass(): v + 1; r = log
!with Mode(), T._C.DisableTorchFunction(): v + 1; r = log
T._C._is_torch_function_enabled(), T._C._len_torch_function_stack()
T.Tensor.__torch_function__(T.add, (T.Tensor,), (v, 1), {})
T.Tensor.__torch_function__(T.add, (int,), (v, 1), {})
Sub.__torch_function__(T.add, (Sub,), (s, 1))
"""
CASES["modes"] = """
!with Mode(): v + 1; T.zeros(2); T.tensor([1]); v.sum(); T.arange(3); r = log
!with Mode(), Mode(): v + 1; r = log
!with Mode(): v[0]; v[0] = 1; v.shape; v.grad; len(v); repr(v); v.T; v.dtype; r = log
!with Mode(): NF.relu(v); NF.cross_entropy(t, T.tensor([0, 1])); T.stack([v]); r = log
!with Mode(): T.is_tensor(v); T.get_default_dtype(); T.manual_seed(0); r = log
!with Mode(): user(v); r = log
!with O.BaseTorchFunctionMode(): r = v + 1
O.BaseTorchFunctionMode.__mro__
!with Mode(): r = O.has_torch_function((v,)), O.has_torch_function(())
!with Bare(): v + 1
!with Declines(): v.add(1)
!with Declines(): v + 1
!with Declines(): user(v)
!with Answers(): r = v + 1, T.zeros(2), v.shape, v[0], user(v)
!with Mode(): 1 / 0
!m = Mode(); m.__enter__(); m.__enter__(); v + 1; m.__exit__(0, 0, 0); v + 1; r = log
!with Mode() as m: r = O._get_current_function_mode() is m
!with Mode(): r = len(O._get_current_function_mode_stack())
!with T.device("cpu"): r = T.zeros(2)
"""
CASES["helpers"] = """
T.add in O.get_overridable_functions()[T]
T.Tensor.add in O.get_overridable_functions()[T.Tensor]
NF.relu in O.get_overridable_functions()[NF]
O.get_testing_overrides()[T.add](1, 2), len(O.get_testing_overrides()) > 1000
T.is_tensor in O.get_ignored_functions(), T.zeros in O.get_ignored_functions()
T.add in O.get_ignored_functions()
O.resolve_name(T.add), O.resolve_name(T.Tensor.add), O.resolve_name(NF.relu)
O.resolve_name(T.Tensor.shape.__get__), O.resolve_name(T.Tensor.grad.__set__)
O.resolve_name(NF.linear), O.resolve_name(T.linalg.det), O.resolve_name(T.fft.fft)
O.resolve_name(T.special.erf), O.resolve_name(T.Tensor.__add__)
O.resolve_name(len), O.resolve_name(3), O.resolve_name(user)
O.is_tensor_method_or_property(T.Tensor.add), O.is_tensor_method_or_property(T.add)
O.is_tensor_method_or_property(T.Tensor.shape.__get__)
O.is_tensor_method_or_property(T.Tensor.__add__)
O.is_tensor_method_or_property(NF.relu), O.is_tensor_method_or_property(T.Tensor.stft)
O.is_tensor_like(v), O.is_tensor_like(d), O.is_tensor_like(3), O.is_tensor_like(None)
len(O.get_default_nowrap_functions())
"""

CASES["indices and values"] = """
v[d], v[1, d], v[[0, d]], log
!v[d] = 1; v[0] = d; r = v, log
v[T.tensor([0, 2]).as_subclass(Sub)], v[T.tensor(1).as_subclass(Log)], log
v[x], v[1:], v[None], v[...], v[[0, 1]], log
"""


outcome = functools.partial(line_outcome, SETUP)


@pytest.mark.parity
@pytest.mark.parametrize("topic", CASES)
def test_lines(topic):
    wrong = []
    for line in CASES[topic].strip().splitlines():
        theirs, ours = outcome(torch, line), outcome(flashlight, line)
        if theirs != ours:
            wrong.append(f"{line}\n   torch      {theirs}\n   flashlight {ours}")
    assert not wrong, "\n".join(wrong)


def test_most_of_what_pytorch_can_override_can_be_here():
    ours = set(map(flashlight.overrides.resolve_name, all_overridable(flashlight)))
    theirs = set(map(torch.overrides.resolve_name, all_overridable(torch)))
    ours, theirs = ({name for name in names if name} for names in (ours, theirs))
    # PyTorch's sparse and quantized functions, and those of other devices, are not.
    assert len(theirs - ours) < 0.35 * len(theirs), sorted(theirs - ours)


def all_overridable(library):
    found = library.overrides.get_overridable_functions()
    return [function for functions in found.values() for function in functions]
