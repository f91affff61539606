"""What Python itself asks of a tensor, and of tensors beside numpy's arrays.

Each line is run under PyTorch and under flashlight, and the two must say the same: the
value as text, or the exception and its text.
"""

import functools

import pytest
import torch
from comparing import line_outcome

import flashlight

SETUP = """
import collections.abc, copy, math, numbers, operator, pickle, weakref
t = T.arange(6.0).reshape(2, 3)
v = T.tensor([1.0, 2.0, 3.0])
s, f, b, c = T.tensor(3), T.tensor(2.5), T.tensor(True), T.tensor(1 + 2j)
i, e = T.tensor([1, 0]), T.empty(0)
n = np.array([1.0, 2.0, 3.0])
d = T.arange(24).reshape(2, 3, 4)
class Sub(T.Tensor): pass
w = T.ones(3, requires_grad=True)
M, B = T.ones(2, 2), T.ones(1, 2, 2)
"""


outcome = functools.partial(line_outcome, SETUP)


def lines(text):
    return [line for line in text.strip().splitlines() if not line.startswith("#")]


CASES = {}
CASES["iteration and containment"] = r"""
list(t)
[x.shape for x in t]
list(s)
next(iter(v))
iter(s)
list(e)
2. in v
9 in v
v in t
"a" in v
None in v
n in v
[1.] in v
reversed(t)
list(reversed(v))
!x, y = t; r = (x, y)
!a, *q = v; r = (a, q)
!a, q = v
max(v), min(v), sum(v), sorted(v), any(v), all(v)
list(zip(v, v)), list(enumerate(v)), list(map(float, v)), [*v]
isinstance(v, collections.abc.Iterable), isinstance(v, collections.abc.Sized)
isinstance(v, collections.abc.Hashable), isinstance(s, numbers.Number)
len(t), len(e)
len(s)
"""
CASES["numbers"] = r"""
bool(v)
bool(e)
bool(T.tensor([0.])), bool(T.tensor([[1]])), bool(c), bool(T.tensor(float("nan")))
not v
v and 1
int(f), float(s), complex(f), int(b)
int(v)
float(v)
complex(v)
int(e)
int(c)
float(c)
complex(c), float(T.tensor(2 + 0j))
int(T.tensor(float("inf")))
int(T.tensor(float("nan")))
v.item()
s.item(), f.item(), b.item(), c.item(), t.tolist(), s.tolist(), e.tolist()
operator.index(s)
operator.index(f)
operator.index(i)
[1, 2, 3, 4][s], range(s), [0] * s, list(range(10))[T.tensor(1):T.tensor(4)]
math.floor(f), math.ceil(f), math.trunc(f), round(f), round(T.tensor(2.345), 2)
abs(-v), -v, +v, ~i, ~b
~v
v.__invert__()
divmod(f, 2), divmod(7, s)
s.__index__(), s.__int__(), s.__float__(), s.__complex__()
v.__index__()
v.__nonzero__()
s.__long__()
"""
CASES["operators"] = r"""
v == [1, 2, 3], v == None, v != None, v == "a", v is v
v < "a"
v < None
v + "a"
"a" + v
"a" - v
"a" ** v
None + v
v + [1, 2, 3]
[1, 2, 3] + v
(1, 2, 3) * v
pow(v, 2), pow(2, v), 2 ** v, v ** -1
pow(v, 2, 3)
2 // v, 7 % s, 7 - v, 7 / v
5 & s, 5 | s, 5 ^ s, 1 << s, 64 >> s, True & b
v @ v, t @ v
2 @ v
v @ 2
[1] @ v
v & 1
v << 1
v.__rsub__(1), v.__rdiv__(1), v.__rtruediv__(1), v.__rpow__(2), v.__rmatmul__(v)
v.__rfloordiv__(2), v.__rmod__(2), v.__radd__(1), v.__rmul__(2)
i.__rlshift__(1), i.__rrshift__(8), i.__rand__(1), i.__ror__(1), i.__rxor__(1)
v.__iadd__(1), v.__imul__(2), v.__itruediv__(2), v.__ipow__(2), v.__ifloordiv__(2)
v.__eq__(v), v.__lt__(2), v.__add__("a"), v.__add__(None), v.__eq__(None)
v.__floordiv__(2), v.__mod__(2), v.__truediv__(2), v.__div__(2)
!v += "a"
"""
CASES["orders of arguments of old"] = r"""
T.add(M, 2, M), T.sub(M, 2, M), M.add(2, M), M.add_(2, M)
T.add(b, b, b)
T.add(M, M, True)
T.addmm(2, M, 3, M, M), T.addmm(2, M, M, M), M.addmm(2, 3, M, M), M.addmm(2, M, M)
T.addmv(2, M[0], 3, M, M[0]), T.addr(2, M, 3, M[0], M[0])
T.addbmm(2, M, 3, B, B), T.baddbmm(2, B, 3, B, B), T.baddbmm(2, B, B, B)
T.addcmul(M, 2, M, M), M.addcmul(2, M, M), T.addcdiv(M, 2, M, M), M.addcdiv_(2, M, M)
T.add(M, 2, M, out=T.empty(2, 2))
M.mul(2, M)
"""
CASES["numpy"] = r"""
n @ v
v @ n
n + v, type(n + v), v + n
n * v, n - v, n / v
n ** v
n // v
n == v
v == n
v != n
n < v
v < n
v.add(n)
T.add(v, n)
v // n, v % n, v ** n
np.float64(2) * v, np.float32(2) + s, v * np.float64(2), np.int64(2) * s
np.array(2) * v
np.float64(2) ** v, np.float64(2) < v
np.sin(v), type(np.sin(v)), np.add(v, v)
np.asarray(t), np.array(t, dtype=np.int32), np.array([s, s]), np.stack([v, v])
np.array(w)
np.asarray(t, dtype=object)
np.sum(v), np.mean(v), np.maximum(v, 2)
v.__array_priority__, v.__array__(), v.__array__(np.int64)
v.__array__(dtype=np.float16)
np.float32(2) ** v, np.float32(2) - v, np.bool_(True) + v
v.__array_wrap__(np.array([1, 2]))
T.ones(2, dtype=T.bool).__array_wrap__(np.array([1, 2]))
hasattr(v, "__cuda_array_interface__"), hasattr(v, "__array_interface__")
v.__cuda_array_interface__
memoryview(v)
v.__dlpack_device__()
"""
CASES["format strings"] = r"""
f"{f}", f"{f:.1f}", f"{s:05d}", f"{b}", f"{c}", f"{v}", f"{v!r}", format(v, "")
f"{v:.2f}"
"%d %.2f %s" % (s, f, f)
"%d" % v
"{:>10}".format(f), format(s, "x"), format(c, ".1f"), format(b, "d")
f"{T.tensor([2.5])}"
f"{T.tensor([2.5]):.1f}"
str(w), v.__format__("")
T.max(t, 0), T.linalg.eigh(M)
"""
CASES["hashes, copies, references"] = r"""
hash(v) == hash(v), hash(v) == id(v), v.__hash__() == id(v), {v: 1}[v]
v.clone() in {v: 1}
copy.copy(v), copy.copy(v).data_ptr() == v.data_ptr()
copy.deepcopy(v).data_ptr() == v.data_ptr()
copy.deepcopy(w)
copy.deepcopy(w * 2)
copy.copy(w * 2)
!w.register_hook(lambda g: g); r = copy.deepcopy(w), copy.deepcopy(w)._backward_hooks
!w.register_hook(lambda g: g); r = pickle.loads(pickle.dumps(w)).grad
!w.grad = T.ones(3); q = copy.deepcopy(w); r = q, q.grad, q.grad is w.grad
!x = copy.deepcopy([w, w]); r = x[0] is x[1]
!x = copy.deepcopy([v, v[1:]]); x[0][1] = 5; r = x
weakref.ref(v)() is v, weakref.ref(T.ones(2))() is None
!v.foo = 3; r = v.__dict__, v.foo, copy.copy(v).foo, copy.deepcopy(v).foo
pickle.loads(pickle.dumps(T.max(t, 0)))
copy.deepcopy(T.add) is T.add, copy.deepcopy(T.linalg.det) is T.linalg.det
copy.deepcopy({"act": T.relu})["act"] is T.relu
copy.copy(T.Tensor.add) is T.Tensor.add
"""
CASES["attributes"] = r"""
v.foo
del v.foo
!v.foo = 3; del v.foo; r = hasattr(v, "foo")
del v.grad
!v.grad = T.ones(3); del v.grad; r = v.grad
!w.sum().backward(); del w.grad; r = w.grad
!w.grad = None; r = w.grad
del v.shape
del v.data
del v.requires_grad
v.requires_grad_(False)
!v.shape = 3
!v.dtype = T.int
!v.grad = 1
!v.grad = t
!v.grad = v
!v.grad = T.ones(3, dtype=T.int)
!v.requires_grad = 1
!i.requires_grad = True
!v.data = 3
!v.grad_fn = 3
!v.is_leaf = 3
!v.device = 3
!v.real = 3; r = v
!v.__class__ = 3
dir(v) == sorted(dir(v)), "add" in dir(v), "grad" in dir(v), "foo" in dir(v)
T.Tensor.__module__, T.Tensor.__name__, T.Tensor.__qualname__, type(v)
isinstance(v, T.FloatTensor), isinstance(i, T.LongTensor), isinstance(i, T.FloatTensor)
v.type(), i.type(T.float), v.type("torch.IntTensor")
v()
T.Tensor.add(v, 1), T.Tensor.shape.__get__(v), T.Tensor.__getitem__(v, 0)
T.Tensor.add(3, 1)
T.Tensor.add()
"""
CASES["constructors of old"] = r"""
T.Tensor(2, 3).shape, T.Tensor([1, 2]), T.Tensor(), T.Tensor((2, 3)), T.Tensor(range(3))
T.Tensor(2.5)
T.Tensor(None)
T.Tensor("a")
T.Tensor(-1)
T.Tensor(v).data_ptr() == v.data_ptr(), T.Tensor(T.Size([2])).shape, T.Tensor(n)
T.Tensor(T.tensor([1]))
T.Tensor([1], device="cpu"), T.FloatTensor(2).shape, T.LongTensor([1, 2])
T.FloatTensor()
T.FloatTensor(2.5)
T.LongTensor([1.5])
v.new(2).shape, v.new([1]), v.new(), v.new(2, 3).shape, v.new(v)
v.new(2.5)
T.Size([1, 2]) + T.Size([3]), T.Size([1, 2]) * 2, T.Size([1, 2])[0:1], T.Size([s, 2])
T.Size(3)
T.Size(["a"])
"""
CASES["indices"] = r"""
v[...], v[None], v[:, None], v[None, :, None].shape
t[..., 0], t[0, ...], t[..., None].shape, t[None, ..., None].shape
t[..., ...]
t[0, 0, 0]
t[-1], t[-1, -2], t[0:1, ::2], t[1:0], t[-5:5], t[0:2:3]
t[-3]
t[5]
t[::-1]
t[::0]
t[0.0:1]
t["a":]
t[[0, 1]], t[[0, 1], [1, 2]], t[[[0, 1]]], t[([0, 1],)]
t[i], t[i, i], t[i, :], t[:, i], t[i, 0], t[0, i], t[i, None].shape, t[None, i].shape
t[T.tensor([True, False])], t[t > 2], t[t > 2, None], t[[True, False]]
t[True], t[False].shape, t[True, 0], t[0, True], t[None, True].shape
t[T.tensor(True)].shape, t[T.tensor(1)], t[T.tensor(1), T.tensor(2)]
t[T.tensor([True])]
t[T.tensor([1.])]
t[1.5]
t["a"]
t[0, "a"]
t[{}]
t[object()]
t[np.array([0, 1])], t[np.array([True, False])], t[np.int64(1)], t[np.array(1)]
t[s - 2]
t[range(2)], t[(0, 1)], t[slice(0, 1)], t[(slice(None), 1)], t[s - 2:s]
t[i, t[0] > 1]
d[i, :, [0, 1]].shape, d[:, i, None, [0, 1]].shape, d[0, :, [0, 1]].shape
d[..., [0, 1], None, :].shape, d[[[0], [1]], [0, 1]].shape
t[T.empty(0, dtype=T.long)].shape, t[[]].shape, t[:, []].shape, t[()].shape
s[0]
s[None], s[...], s[()], s[True]
!t[0] = 9; r = t
!t[i] = v; r = t
!t[t > 2] = -1; r = t
!t[:, [0, 2]] = T.tensor([[1., 2.], [3., 4.]]); r = t
!t[...] = 1; t[None] = t + 1; t[True] = t * 3; r = t
!t[0, 0] = T.tensor([[7.]]); r = t
!t[i, i] += 1; r = t
!t[0] = np.float64(3); r = t
!t[0] = [1, 2, 3]
!t[0] = (1, 2, 3)
!t[0] = n
!t[0, 0] = "a"
!t[0] = None
!t[0] = object()
!t[T.tensor([0])] = [1, 2, 3]
!t[0] = T.ones(4)
!t[5] = 1
!t[0, 0, 0] = 1
!t["a"] = 1
!t[0] = 1 + 2j
!i[0] = 2.7; r = i
!del t[0]
"""
CASES["subclasses"] = r"""
T.Tensor._make_subclass(Sub, v), T.Tensor._make_subclass(Sub, v, True).requires_grad
T.Tensor._make_subclass(3, v)
T.Tensor._make_subclass(int, v)
T.Tensor._make_subclass(Sub, 3)
T.Tensor._make_subclass(Sub, i, True)
v.as_subclass(int)
v.as_subclass(3)
type(v.as_subclass(Sub).as_subclass(T.Tensor))
v.as_subclass(Sub).data_ptr() == v.data_ptr()
!x = (w * 2).as_subclass(Sub); (x * 3).sum().backward(); r = x.grad_fn.name(), w.grad
!x = w.as_subclass(Sub); r = x.is_leaf, x.requires_grad, (x + 1).grad_fn.name()
!x = T.Tensor._make_subclass(Sub, v, True); (x * 2).sum().backward(); r = x.grad
Sub([1., 2.]), Sub(2, 3).shape, Sub(v).data_ptr() == v.data_ptr(), type(Sub())
type(T.nn.Parameter(v.as_subclass(Sub))), isinstance(w, T.nn.Parameter)
type(T.nn.Parameter(v.as_subclass(Sub)) + 1)
T.nn.Parameter(i)
T.nn.Parameter(3)
type(copy.copy(v.as_subclass(Sub)))
"""
CASES["storages"] = r"""
T.Storage([1, 2.5]).tolist(), T.Storage(3).size(), T.FloatStorage([1, 2]), T.Storage()
T.LongStorage([1, 2.5]), T.BoolStorage([0, 2])
T.storage.TypedStorage([1, 2], dtype=T.int8)
T.Storage, T.Storage.dtype, T.Storage([1])[0], type(T.Storage([1.]))
isinstance(T.Storage([1]), T.Storage), isinstance(T.LongStorage([1]), T.Storage)
isinstance(v.storage(), T.Storage), v.storage().type(), T.is_storage(T.Storage([1]))
T.Tensor(T.Storage([1, 2])), T.FloatTensor(T.FloatStorage([1, 2]))
T.Storage([1, 2]).double(), T.Storage([1]).half().dtype, T.Storage([1]).complex_double()
T.Storage(T.Storage([1, 2]))
T.Storage(1.5)
T.Storage([1], [2])
T.storage.TypedStorage(2, 3)
T.Storage(dtype=T.int)
T.UntypedStorage([1, 300])
T.UntypedStorage(1.5)
T.UntypedStorage([[1]])
"""
CASES["promotion of float8"] = r"""
T.promote_types(T.float8_e5m2, T.float)
T.promote_types(T.float, T.float8_e4m3fn)
T.promote_types(T.float8_e5m2, T.bool)
T.promote_types(T.float8_e5m2, T.float8_e5m2)
"""


@pytest.mark.parity
@pytest.mark.parametrize("topic", CASES)
def test_lines(topic):
    wrong = []
    for line in lines(CASES[topic]):
        theirs, ours = outcome(torch, line), outcome(flashlight, line)
        if theirs != ours:
            wrong.append(f"{line}\n   torch      {theirs}\n   flashlight {ours}")
    assert not wrong, "\n".join(wrong)


def test_the_comparison_can_fail():
    assert outcome(torch, "T.__name__") == outcome(flashlight, "T.__name__")
    assert outcome(torch, "1 / 0").startswith("ZeroDivisionError")
    assert outcome(torch, "v.tolist()") != outcome(flashlight, "t.tolist()")


def test_every_public_method_is_documented():
    without = []
    for name in dir(flashlight.Tensor):
        if not name.startswith("_") and not getattr(flashlight.Tensor, name).__doc__:
            without.append(name)
    assert not without


def test_help_says_what_the_methods_do(capsys):
    help(flashlight.Tensor.add)
    assert "alpha" in capsys.readouterr().out
    help(flashlight.Tensor.backward)
    assert "gradients" in capsys.readouterr().out


def test_overloads_of_aten():
    aten, x = flashlight.ops.aten, flashlight.ones(2)
    assert aten.add.Tensor(x, x).tolist() == [2.0, 2.0]
    assert aten.relu.default(-x).tolist() == [0.0, 0.0]
    assert aten.add.Tensor is aten.add.Tensor
    with pytest.raises(AttributeError, match="Nothing"):
        aten.add.Nothing
