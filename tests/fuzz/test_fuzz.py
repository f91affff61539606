"""Random programs agree with PyTorch: values, gradients, versions, names, errors."""

import pytest
from fuzz.__main__ import clock, fuzz, pytorch_ends
from fuzz.kinds import KINDS, MIXED
from fuzz.machine import disagreement, run_program, shortest
from fuzz.writer import write_program

import flashlight

# About one program of a thousand differs yet. So a usual run takes programs that have
# been looked at, and a --full one those of the clock.
PROGRAMS, ALL_PROGRAMS = 500, 20_000
FIRST = 1


@pytest.mark.parity
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plain", [False, True], ids=["kernels", "plain"])
@pytest.mark.parametrize("kind", [*KINDS, MIXED])
def test_random_programs(kind, plain, request):
    full = request.config.getoption("--full")
    programs, seed = (ALL_PROGRAMS, clock()) if full else (PROGRAMS, FIRST)
    print("seed", seed)
    ((agreed, texts),) = fuzz([kind], seed, programs, plain=plain).values()
    assert not texts, "\n".join(texts)
    assert agreed == programs


# What random programs have found, each cut down to the lines that it takes.
FOUND = {
    "the number of an output that is saved as it is": """
x, y = Made.apply(torch.ones(2, requires_grad=True))
z = y * x
with torch.no_grad(): y.copy_(y * 2)
z.sum().backward()
""",
    "what a formula of several inputs takes is saved, too": """
x = torch.tensor([[-0.09, -1.12, -0.39]], requires_grad=True)
y = x.gather(1, torch.tensor([[2]]))
with torch.inference_mode(): z = y.t()
w = z.scatter_reduce(0, torch.tensor([[0]]), torch.full((1, 1), 2.0), 'mean')
y[...] = z
w.backward(torch.ones_like(w))
""",
    "strides of five dimensions are kept": """
x = torch.ones(2, 2, 2).unsqueeze(0).transpose(0, -1).unsqueeze(0)
y = torch.addcmul(x, x, x, value=0.5)
""",
    "a gradient is summed before it is found wrong": """
x = torch.ones(2, 3, requires_grad=True).cos()[None, :]
x.data = torch.tensor(1.0)
y = x.expand(2, 3)
(y * y).sum().backward()
""",
    "strides of a conjugate that numpy takes": """
x = torch.view_as_complex(torch.ones(3, 2, 2)).adjoint()
y = torch.as_tensor(x.numpy(force=True))
""",
    "an out that cannot be resized, before it is found of inference": """
with torch.inference_mode(): x = torch.from_numpy(torch.ones(2, 2).numpy())
y = torch.ones(1, 3)
torch.cat([y, y], out=x[None])
""",
    "a leaf is bumped by mark_dirty": """
x = torch.tensor([2.0, 1.0])
y = Doubled.apply(x)
""",
    "returning an input in inference mode gives no view": """
x = torch.tensor([[-0.91, 1.21]], requires_grad=True)
with torch.inference_mode(): y = Identity.apply(x)
""",
    "a value of more dimensions than its place": """
x = torch.ones(2, 2, 2)
x[0] = x
""",
    "a view of base[1:] that is written twice": """
x = torch.tensor([-1.06, -1.45, 0.48], dtype=torch.float64, requires_grad=True)
y = x * 1
y[1:] *= 2
y[0].backward()
""",
    "the parts of an in-place composite": """
x = torch.tensor([0.36, 1.87], dtype=torch.float64, requires_grad=True)
y = x * 1
y.square_()
y.sum().backward()
""",
    "... through a view": """
x = torch.tensor([0.36, 1.87, 0.71], dtype=torch.float64, requires_grad=True)
y = x * 1
v = y[1:]
v.square_()
y.sum().backward()
""",
    "an out that is read is not resized": """
x = torch.ones(3)
y = torch.ones(2, 1)
torch.add(x, y, out=x)
""",
    "written and read elements that overlap": """
x = torch.ones(1, 3)
y = x.select(-1, 0)
y.copy_(x)
""",
    "numbers without dimensions keep their dtype": """
x = torch.tensor(1.45, dtype=torch.float64)
y = torch.where(x > 0, x, x)
""",
    "a sum minds no writes to what it has summed": """
x = torch.ones(2, requires_grad=True)
y = x * 1
z = y.sum() + torch.cat([y, y]).sum() + torch.stack([y, y]).sum()
y.add_(1)
z.backward()
""",
    "a no_grad view of unbind": """
x = torch.ones(2, 3, requires_grad=True)
with torch.no_grad(): y, z = x.unbind(0)
y += 1
""",
    "a hook stays with the history that it was put on": """
x = torch.ones(2, requires_grad=True)
y = x * 2
y.register_hook(lambda g: g * 10)
y.mul_(3)
y.register_hook(lambda g: g * 100)
y.sum().backward()
""",
    "a leaf's hooks run in grad()": """
x = torch.ones(2, requires_grad=True)
x.register_hook(lambda g: g * 10)
y = torch.autograd.grad((x * x).sum(), x)[0] * 1
""",
    "inference tensors alone are not recorded": """
with torch.inference_mode(): x = torch.ones(2).requires_grad_()
y = x.sin()
""",
    "set_ has a node without a derivative": """
x = torch.ones(2, requires_grad=True)
y = x * 1
y.set_(torch.zeros(3))
z = torch.zeros(3).set_(x)
y.sum().backward()
""",
    "fill in place has nodes of its own": """
x = torch.ones(2, requires_grad=True)
y = x * 1
y.fill_(2)
z = x * 1
z[...] = 2
""",
    "an expanded tensor may be filled with a number, not with a tensor": """
x = torch.ones(2).expand(3, 2)
x.fill_(2)
x[...] = 2
""",
    "inference tensors keep their sizes and strides too": """
with torch.inference_mode(): x = torch.ones(2, 3)
x.transpose_(0, 1)
x.squeeze_()
x.set_(torch.ones(2))
x.resize_(7)
""",
    "an inference tensor's alias counts its own writes": """
with torch.inference_mode(): x = torch.ones(3)
x.detach().mul_(2)
x.data.mul_(2)
x.data[:1].mul_(2)
""",
    "data of an inference tensor": """
with torch.inference_mode(): x = torch.ones(3)
y = torch.ones(3, requires_grad=True) * 1
y.data = x
z = y.sum()
x.data = torch.ones(3)
x.mul_(2)
""",
    "reshape of what is not contiguous": """
x = torch.ones(2, 3, requires_grad=True)
y = x.t().reshape(3, 2, 1)
z = x[:, 1:2].reshape(-1)
""",
    "slices of everything": """
x = torch.ones(2, 3, requires_grad=True)
y = x[:]
z = x[0:2, :]
w = x[:, 0]
v = x * 1
v[0:2] = 1
u = x * 1
u[False] = 1
""",
    "a 0-dimensional tensor, expanded": """
x = torch.tensor(2.0).expand(1)
y = torch.ones(1, 1)
y[0] = y
""",
    "a view that may not be written to, and its views": """
x = torch.ones(4, requires_grad=True) * 1
with torch.inference_mode(): y = x[1:]
with torch.no_grad(): z = y[1:]
w, *_ = y.split(1)
z.mul_(x[2:])
w.mul_(x[:1])
""",
    "the gradient of windows on the last dimension": """
x = torch.tensor([0.5, 0.25, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
y = x.unfold(-1, 2, 1)
(y * y).sum().backward(create_graph=True)
""",
    "windows that overlap, of which some are written to": """
x = torch.tensor([0.0, 1.0, 2.0, 3.0])
y = x.unfold(0, 2, 1)
y[[0, 0]] = 9
y.masked_fill_(y > 2.5, 7)
""",
    "out takes the strides of the result": """
x = torch.ones(2, 3, 2).transpose(0, 2)
y = torch.tensor(1.0)
torch.sin(x, out=y)
z = y.flatten()
""",
    "what was saved and then detached in place": """
x = torch.ones(2, requires_grad=True)
y = x * 1
z = y.square()
y.detach_()
z.sum().backward()
""",
    "a write through an expanded view has no gradient": """
x = torch.tensor(1.5, requires_grad=True)
y = x * 1
z = y.expand(2)
z[...] = z
y.sum().backward()
""",
    "the gradient of a tensor that shows other data by now": """
x = torch.ones(2, requires_grad=True)
y = x.unsqueeze(0).expand_as(torch.ones(3, 2))
x.data = y
y.sum().backward()
""",
    "strides of dimensions of size 1, and of no elements": """
x = torch.ones(3, 2, 1).unfold(1, 1, 1) * 2
y = torch.ones(2, 1).t() > 0
z = torch.empty_strided((1, 0, 1), (1, 1, 1)) * 2
w = torch.ones(2, 3, 4).transpose(0, 2)[None, [0, 1]]
""",
    "data of a tensor that requires a gradient": """
x = torch.ones(2, requires_grad=True)
x.data = torch.ones(2) > 0
""",
    "products of truth values": """
x = torch.ones(2) > 0
y = torch.addcmul(x, x, x)
z = x.abs()
w = x.expand([])
""",
    "an inference tensor that is written to outside": """
with torch.inference_mode(): x = torch.ones(2)
x.sin_()
""",
    "a mask before other indices": """
x = torch.arange(24.0).view(2, 3, 4)
m = torch.tensor([[True, False, True], [False, True, False]])
y = x[m, torch.tensor([0, 1, 2])]
x[m, False] = 1
x[m, ..., [0]] = 7
""",
    "a tensor of given values in inference mode": """
with torch.inference_mode(): x = torch.tensor([1.0, 2.0])
x.mul_(2)
""",
    "one root runs its hooks though nothing is asked of it": """
x = torch.ones(2, requires_grad=True)
y = x * 2
y.retain_grad()
z = x * 3
w = torch.autograd.grad(y, z, torch.ones_like(y), allow_unused=True)
""",
    "hooks of a node see gradients of the sizes of its inputs": """
x = torch.ones(2, 3, requires_grad=True)
y = torch.ones(3, requires_grad=True)
z = x * y
h = z.grad_fn.register_hook(lambda i, o: note(i, o) and None)
z.sum().backward()
""",
    "a hook after the accumulation runs without a gradient, too": """
x = torch.ones(2, requires_grad=True)
h = x.register_post_accumulate_grad_hook(lambda p: note(p.grad) and None)
y = Nothing.apply(x)
y.sum().backward()
""",
    "a gradient of wrong sizes leaves the graph as it was": """
x = torch.ones(4, requires_grad=True)
y = Wrong.apply(x * x)
y.sum().backward()
y.sum().backward()
""",
    "a view of which nobody has asked for the history": """
x = torch.zeros(3)
w = torch.ones(3, requires_grad=True)
v = x[0:2]; x.add_(w); v.add_(1)
""",
    "the history of a view of complex numbers": """
x = torch.tensor([1 + 2j, 3 - 1j], dtype=torch.complex64, requires_grad=True)
y = x * 1
z = y.imag
v = y.conj().imag
z[...] = 1
(z * v).sum().backward()
""",
    "what writes through a view runs once": """
x = torch.ones(3)
x[0] += torch.ones((), requires_grad=True)
x.backward(torch.ones_like(x))
x.backward(torch.ones_like(x))
""",
    "gather, take and masked_select keep the tensor itself": """
x = torch.ones(2, 3, requires_grad=True)
y = x.gather(0, torch.tensor([[0, 1, 1]]))
z = x.take(torch.tensor([1]))
w = x.masked_select(torch.tensor([True, False, True]))
x.detach().add_(1)
y.sum().backward()
z.sum().backward()
w.sum().backward()
""",
    "values and indices in the memory that is written to": """
x = torch.tensor([2, 0, 1])
x[x] = 5
x[[0, 1, 2]] = x
x[True] = x
""",
    "a number where a mask is true is cast, elsewhere not": """
x = torch.zeros(3)
x[x == 0] = torch.tensor(3)
x[torch.tensor([0])] = torch.tensor(4)
x[torch.tensor([True, False, True], dtype=torch.uint8)] = torch.tensor(4)
""",
    "strides of what is written to a clone": """
x = torch.zeros(4, 3).t()
y = x.index_put((torch.tensor([0]),), torch.ones(1, 4))
z = x.index_fill(0, torch.tensor([0]), 2)
w = x.masked_fill(x == 0, 2)
v = x[1:].select_scatter(torch.ones(4), 0, 0)
""",
    "bytes that are no whole number of elements": """
x = torch.zeros(3, dtype=torch.int32)
y = x[:2].view(torch.int64)
y.add_(5)
x[2] = 4
""",
    "tensors that change places": """
x = torch.zeros(2)
y = torch.ones(3, dtype=torch.float64, requires_grad=True)
torch.utils.swap_tensors(x, y)
z = x.view(-1)
torch.utils.swap_tensors(x, y)
""",
    "sums of gradients lie as the first one": """
x = torch.tensor([[0.5], [2.0]], requires_grad=True)
y = x.t()
(y * y).sum().backward()
""",
    "a gradient that is retained is contiguous": """
x = torch.zeros((0, 2), requires_grad=True)
y = x * 1
torch.autograd.backward(y.sum(), inputs=[y])
""",
    "columns of coordinates": """
x, y = torch.unravel_index(torch.tensor([3, 7]), (2, 4))
""",
    "what an op does not take is said before that elements overlap": """
x = torch.tensor([True, False])
x[:1].expand(2).neg_()
""",
    "a format that only strides speak of": """
x = torch.zeros(2, 1)[:, :0].as_strided((1, 0, 1, 1), (2, 1, 1, 3))
y = x.to(memory_format=torch.channels_last)
z = torch.zeros(2, 3, 4, 4).mT.to(memory_format=torch.contiguous_format)
w = torch.zeros(2, 1, 3, 3).to(memory_format=torch.channels_last)
""",
    "the real result of complex numbers lies as empty_like": """
x = torch.zeros(4, dtype=torch.complex64).as_strided((1, 1), (2, 2))
y = x.abs()
z = x.angle()
""",
    "what is saved is looked at where nothing comes in": """
x = torch.ones(4, requires_grad=True)
y = torch.maximum(torch.zeros(4, requires_grad=True), Flat.apply(x))
with torch.inference_mode(): x.relu_()
Nothing.apply(y).sum().backward()
""",
    "of what is saved, arguments by name": """
x = torch.ones(4, requires_grad=True) * 1
y = torch.ones(4, requires_grad=True) * 1
z = torch.maximum(x, y)
x.t_()
y.t_()
z.sum().backward()
""",
    "indices into nothing": """
x = torch.zeros(0, 3).index_fill(1, torch.tensor([5]), 2.5)
y = torch.zeros(0, 3).index_fill(0, torch.tensor([5]), 2.5)
""",
    "a gradient that is not asked for is not computed": """
x = torch.ones(4, requires_grad=True)
y = torch.ones(2, 1) * 1
z, w = Swapped.apply(x, y)
z.scatter_(0, torch.tensor([[0]]), torch.ones(3, 1, requires_grad=True))
torch.autograd.grad([z.sum()], [w], retain_graph=True, allow_unused=True)
""",
    "masks and narrow indices that are written to since": """
x = torch.ones(3, requires_grad=True)
m = torch.tensor([True, False, True])
y = x[m]
m.logical_not_()
y.sum().backward()
i = torch.tensor([0, 1], dtype=torch.int32)
y = x[i]
i.add_(1)
y.sum().backward()
""",
    "a gradient with a stride of 0 is copied": """
x = torch.ones(1, requires_grad=True)
x.sum().backward()
""",
    "no derivative is found before other nodes run": """
x = torch.ones(2, requires_grad=True)
y = x + x
y.set_(x)
z = torch.ones(2, requires_grad=True)
w = z * 2
(Product.apply(w, y) + w).sum().backward()
""",
    "strides of where's gradients": """
x = torch.ones(2, 1, 3, requires_grad=True)
y = x.transpose(1, 0)
z = torch.where(y > 0, y, 0)
g = torch.autograd.grad(z.abs().sum(), y)[0]
""",
    "strides where an expanded operand is cast": """
x = torch.ones(()).expand(4, 3) * torch.ones(3, 4, dtype=torch.float64).t()
y = torch.ones(3, 4, requires_grad=True).t()
""",
    "a leaf that is a stale view retains its gradient in any case": """
x = torch.ones(4, requires_grad=True)
y = x.view(4)
z = y.view(torch.float32)
with torch.no_grad(): w = y.moveaxis(-1, -1)
z.unsqueeze_(1)
w.retain_grad()
""",
    "a node outlives the tensor whose gradient it retains": """
x = torch.ones(2, 1, requires_grad=True)
y = x.index_select(1, torch.tensor([0]))
z = y * 2
y.retain_grad()
y.detach_()
del y
z.sum().backward()
""",
    "a stale view is found before a result does not fit": """
x = torch.ones(2, 3, requires_grad=True)
y = torch.tensor([True, False, True])
with torch.no_grad(): z = x[0]
with torch.no_grad(): z.view(-1).clamp_(-1, 1)
y.mul_(z)
""",
    "conj_physical_ has a node of its own": """
x = torch.ones(2, dtype=torch.complex64, requires_grad=True) * 1
x.conj_physical_()
y = torch.ones(2, requires_grad=True) * 1
y.conj_physical_()
""",
    "one number where a mask is true must fit": """
x = torch.zeros(3, dtype=torch.uint8)
x[x == 0] = torch.tensor(-1.5)
x.masked_fill_(x == 0, torch.tensor(300))
""",
    "an expanded gradient of pairs": """
x = torch.ones(2, dtype=torch.complex64, requires_grad=True)
torch.view_as_real(x).sum().backward()
""",
    "what is joined lies in the format of its parts": """
x = torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last)
y = torch.cat([x, x], 1)
z = torch.stack([x, x])
w = torch.stack([x[0], x[0]], -1)
v = torch.cat([x, torch.zeros(0)])
u = x.repeat(1, 1, 1, 1)
""",
    "a gradient that a hook has seen is taken over": """
x = torch.ones((), requires_grad=True)
y = x + torch.ones(2, 3)
with torch.inference_mode(): x.unsqueeze_(0)
x.register_hook(lambda g: note("x", g) * 2)
y.sum().backward()
""",
    "storage under a leaf is another's": """
x = torch.ones(3, requires_grad=True)
y = x[...]
with torch.no_grad(): x.set_(torch.ones(2, 2))
(x * x).sum().backward()
""",
    "a copy of a negative view is dense": """
x = torch.zeros(2, 3, dtype=torch.complex64).conj().imag
y = torch.slice_scatter(x, x[:1] * 2, 0, 0, 1)
""",
    "the gradient of a view of nothing is contiguous": """
x = torch.ones(1, 3, requires_grad=True) * 1
y = x[1:]
x.swapaxes_(0, 1)
g = torch.autograd.grad(y.sum(), x, allow_unused=True)[0] * 1
""",
    "a stale view is found before what it is indexed with": """
x = torch.ones(3, requires_grad=True)
y = x.split(1)[0]
Doubled.apply(y.split([1, 0])[0])
y[..., torch.tensor([0, 1, 0], dtype=torch.uint8)]
""",
    "a mean of narrow integers overflows before it divides": """
x = torch.full((3,), 100, dtype=torch.uint8)
y = x.index_reduce(0, torch.tensor([0, 0]), x[:2], "mean")
""",
    "data of another dtype makes another leaf": """
x = torch.ones(2, requires_grad=True)
y = x * 2
x.data = torch.ones(2, dtype=torch.float64)
torch.autograd.grad(y.sum(), x)
""",
    "a complex number that is real fits": """
x = torch.ones(2, dtype=torch.float64)
x[x > 0] = torch.tensor(-2 + 0j)
x[x < 0] = torch.tensor(-2 + 1j)
""",
    "a copy that is reshaped in inference mode": """
x = torch.ones(3, 2).t()
with torch.inference_mode(): y = x.reshape(-1)
y.div_(2)
""",
    "the layout of a clamped gradient": """
x = torch.tensor([[0.77, 0.38, -1.46]], dtype=torch.float64, requires_grad=True)
y = x.swapaxes(0, -1).clamp(-1, 1)
y.sum().backward()
""",
    "a result that relu saved elsewhere and that was turned since": """
x = torch.tensor([[0.77, 0.49, 0.01], [1.86, 0.25, 0.54]], requires_grad=True)
with torch.autograd.graph.save_on_cpu(): y = x.relu()
y.transpose_(0, -1)
y.sum().backward()
""",
    "a gradient of inference mode that is added to": """
x = torch.tensor([1.63, 1.99], dtype=torch.float64, requires_grad=True)
y = x.transpose(-1, 0)
with torch.inference_mode(): y.backward(torch.ones_like(y), retain_graph=True)
z = x.grad.is_inference()
""",
    "a negative in inference mode, of an op of parts": """
x = torch.tensor([[-0.72 - 0.11j], [1.07 - 1.81j]], requires_grad=True)
v = x.conj().imag.view((1, 2))
with torch.inference_mode(): y = torch.atleast_3d(v)
""",
    "out= is a conjugate of what is read": """
x = torch.tensor([[1.06 - 1.56j, -0.68 + 1.61j], [0.01 + 0.16j, -0.6 - 1.36j]])
torch.eq(x, x, out=x.adjoint())
""",
    "... or what is read is one of what is written": """
x = torch.tensor([[1.06 - 1.56j, -0.68 + 1.61j], [0.01 + 0.16j, -0.6 - 1.36j]])
x.add_(x.conj().mT)
y = torch.add(x.conj().mT, x, out=x)
""",
    "a result saved in place through a view that has gone": """
x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True) * 1
x[:2].relu_()
x.mul_(2)
x.sum().backward()
""",
    "a stale view is met before an overlap": """
x = torch.tensor([[-0.22, -0.0, 1.02], [-1.55, 0.11, -1.37]], requires_grad=True)
y = x.detach().requires_grad_() * 1
a, b, *_ = y.split(2, dim=-1)
y.square_()
z = torch.zeros(2).expand((2, -1))
z.add_(b[:, 0], alpha=2)
""",
    "strides of what is computed from a conjugate": """
x = torch.tensor([[1.0 + 2j, 3 - 1j, 2j], [1.0, 2 - 1j, 0.5j]])
y = -x.split(1, 1)[1].adjoint()
""",
    "bytes of other numbers as bools": """
x = torch.tensor([0.24, 0.0, -1.79, 0.1])
y = x > 0
y.set_(x.untyped_storage())
z = y + 1
y[1] = True
""",
    "a gradient that backward was given is copied": """
x = torch.tensor(1.26, requires_grad=True)
x.backward()
y = x.grad
x.grad = None
""",
    "what several formulas take is saved though nothing is wanted": """
x = torch.tensor([-0.84, -1.27, -1.07], requires_grad=True)
with torch.inference_mode(): v = x[:]
y = v.index_copy(-1, torch.tensor([1, 2]), torch.full((2,), 2.0))
y.abs().sum().backward()
(y * y).sum().backward()
""",
    "a conjugate that is written to computes beside itself": """
x = torch.tensor([[1.98 + 0.64j], [0.73 - 1.98j]])
y = x.clone().conj()
y[1:].add_(x[:-1]).add_(y[:-1])
z = torch.broadcast_to(x, (2, 2, 1)).conj().imag.add_(torch.ones(2, 1, 3))
""",
    "... and may hold what is read, not its shape": """
x = torch.tensor([[-1.89 + 0.34j], [-1.36 - 1.05j]])
y = x.conj()
y[torch.tensor([1, -2])] = y
y[torch.tensor([1, -2]), ..., 0] = y
""",
    "... and what is expanded is not written to": """
x = torch.tensor([1.0 + 2j, 3.0]).expand(2, 2).conj()
x.fill_(2)
""",
    "products of complex128 at indices": """
x = torch.tensor([[1.5 + 2j, 3 - 1j, 0.5j], [2, 4, 5j]], dtype=torch.complex128)
y = x.clone().scatter_(1, torch.tensor([[2]]), 2, reduce="multiply")
z = x.scatter_reduce(1, torch.tensor([[2, 2], [0, 1]]), x.clone(), "prod")
w = x.scatter_reduce(1, torch.tensor([[2, 2]]), x.clone(), "mean", include_self=False)
v = x.index_reduce(0, torch.tensor([1, 1]), x.clone(), "prod")
u = x[0, 0].scatter(0, torch.tensor(0), 2, reduce="multiply")
""",
    "strides of indexed complex128": """
x = torch.zeros(2, 1, 3, dtype=torch.complex128).movedim(0, -1)
y = x[torch.tensor([0, -1, -1]), -4:1]
""",
    "a gradient is laid out as what clamps": """
x = torch.tensor([[1.71, -1.99, -1.78]], requires_grad=True)
y = x.permute(1, 0).clamp(-1, 1).chunk(2)[0]
y.sum().backward()
""",
    "a set_ in inference mode leaves what takes the gradient": """
x = torch.tensor([[1.81, 1.64], [0.94, -1.96]], requires_grad=True)
y = x.t()
with torch.inference_mode(): x.set_(x.untyped_storage())
z = torch.autograd.grad(y.abs().sum(), x)[0]
""",
    "the dtype of complex128 that is written to at indices": """
x = torch.zeros(2, 3, dtype=torch.complex128)
x[[-2], :1] = torch.ones((), dtype=torch.int64)
x[torch.tensor([], dtype=torch.int64)] = torch.tensor(3)
""",
    "indices are gone over as they lie": """
x = torch.zeros(2)
i = torch.tensor([[0, 5], [7, 1], [2, 3]])
y = x[i.t()]
y = x[i.t().contiguous().t()[1:]]
""",
    "views in place leave a retained gradient as it was": """
x = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
y = x * 2
y.retain_grad()
y.transpose_(0, -1)
y.sum().backward()
""",
    "a leaf that was resized before its gradient came": """
x = torch.tensor([[-0.02, 1.78, 1.4]], requires_grad=True)
y = -x.sum()
with torch.inference_mode(): x.resize_(()).zero_()
y.expand(2, 2).sum().backward()
""",
    "shapes are looked at before what is written to overlaps": """
x = torch.ones(3).expand(2, 3)
i = torch.tensor([0, 0])
x.index_add_(-1, i, torch.ones(2, 3))
x.index_reduce_(-1, i, torch.ones(2, 3), "prod")
x.index_reduce_(-1, i, torch.ones(2, 2), "foo")
x.scatter_(0, torch.zeros(5, 5).long(), torch.ones(2, 3))
x.scatter_(0, torch.zeros(2, 3).long() + 7, torch.ones(2, 3))
x.scatter_add_(0, torch.zeros(5, 5).long(), torch.ones(2, 3))
x.scatter_reduce_(0, torch.zeros(5, 5).long(), torch.ones(2, 3), "sum")
""",
    "a gradient lies as what a mask selects from": """
x = torch.arange(9.0).reshape(3, 3).t().requires_grad_()
y = x.masked_select(torch.eye(3) > 0)
z = torch.autograd.grad(y.abs().sum(), x)[0]
""",
    "detach inside vmap is an alias": """
x = torch.ones(2, 3)
x = torch.vmap(lambda v: (lambda y: (y.detach().mul_(2), y)[1])(v * 1))(x)
with torch.inference_mode(): y = torch.ones(2)
z = torch.ones(2, requires_grad=True)
torch.vmap(lambda v: v.detach() * z.mean())(y)
""",
    "masks on an expanded tensor whose memory numpy sees": """
x = torch.zeros(1, 3)
y = torch.from_numpy(x.numpy())
z = y.expand(2, 3)
z.masked_fill_(torch.tensor([[True, False, True], [False, False, False]]), 0.5)
""",
    "the gradient of gathering nothing has a graph": """
x = torch.ones((1, 0, 1, 2), requires_grad=True)
y = x.gather(3, torch.zeros(1, 0, 1, 1, dtype=torch.int64))
(y.sin() * y).sum().backward(create_graph=True)
""",
    "zeros as a gradient have the sizes that were written": """
x = torch.ones(2, 3, requires_grad=True) * 1
with torch.no_grad(): x.t_()
x.fill_(1)
y = x.sign()
x.sum().backward()
y.sum().backward()
""",
    "a gradient that outlives its tensor": """
x = torch.ones(2, requires_grad=True)
(x * x).sum().backward()
y = x.grad
del x
""",
    "a storage is resized under a narrower dtype": """
x = torch.zeros(2, dtype=torch.int64)
y = x.view(torch.int16)
y.resize_(7)[:] = 3
x.add_(1)
y.resize_(12)[:] = 3
x.resize_(3)
""",
}


@pytest.mark.parity
@pytest.mark.parametrize("name", FOUND)
def test_found(name):
    lines = FOUND[name].strip().splitlines()
    assert disagreement(flashlight, lines) is None, disagreement(flashlight, lines)


def test_the_judge_sees_a_difference():
    class Wrong:
        """flashlight with a sine that is off."""

        def __getattr__(self, name):
            return getattr(flashlight, name)

        @staticmethod
        def sin(x):
            return flashlight.sin(x) + 1

    lines = ["x = torch.ones(2)", "y = torch.sin(x)", "z = y * 2"]
    assert len(run_program(flashlight, lines)) == 3
    assert disagreement(flashlight, lines) is None
    assert disagreement(Wrong(), lines)[0] == 1
    assert shortest(Wrong(), lines) == lines[:2]


def test_programs_are_those_of_their_seed():
    for kind in [*KINDS, MIXED]:
        assert write_program(kind, 7)[0] == write_program(kind, 7)[0]
        assert write_program(kind, 7)[0] != write_program(kind, 8)[0]


def test_a_program_that_pytorch_runs_does_not_end_it():
    assert not pytorch_ends("views", 5)
