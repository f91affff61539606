"""Sparse tensors, quantized tensors and `torch.jit`, as under PyTorch."""

import functools

import pytest
import torch
from comparing import line_outcome

import flashlight

SETUP = """
import copy
i, v = T.tensor([[0, 1, 1], [2, 0, 2]]), T.tensor([3.0, 4.0, 5.0])
s, d = T.sparse_coo_tensor(i, v, (2, 3)), T.arange(6.0).reshape(2, 3)
c = d.to_sparse()
u = T.sparse_coo_tensor(T.tensor([[1, 0, 1], [0, 2, 0]]), v, (2, 3))
A = T.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
R = A.to_sparse_csr()
w = T.tensor([1.0, 2.0, 3.0], requires_grad=True)
S = T.sparse_coo_tensor(i, w, (2, 3))
y = T.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
Y = y.detach()
Q = T.quantize_per_tensor
x = Q(T.tensor([[0.1, -0.3], [1.26, 2.0]]), 0.1, 10, T.quint8)
z = Q(T.tensor(0.7), 0.1, 10, T.qint8)
"""

CASES = {}
CASES["sparse: what it is"] = """
s, u, s.coalesce(), u.coalesce(), str(s), f"{s}"
s.to_dense(), u.to_dense(), c.to_dense()
s.is_sparse, s.layout, s.shape, s.dtype, s.ndim, s.dim(), s.size(), s.size(0), len(s)
s.numel(), s.device, s.is_quantized, s.is_cuda, s.requires_grad, s.stride()
s._indices(), s._values(), s._nnz(), s.is_coalesced(), s.sparse_dim(), s.dense_dim()
s.indices()
s.values()
c.indices(), c.values(), c.is_coalesced(), d.to_sparse(1)
T.tensor(3.).to_sparse(), T.tensor(0.).to_sparse(), T.tensor(3.).to_sparse().to_dense()
isinstance(s, T.Tensor), T.is_tensor(s), s.is_floating_point(), T.is_complex(s)
d.sparse_dim(), d.dense_dim(), d.to_dense() is d
d.crow_indices()
d.indices()
d.coalesce()
d.values()
R.crow_indices(), R.col_indices(), R.values(), R.layout, R.to_dense(), R.to_sparse()
A.to_sparse().to_sparse_csr().crow_indices(), R.shape, R._nnz(), R.is_sparse
T.sparse_csr_tensor((0, 1, 2), (1, 0), (1, 2), size=(2, 2)).to_dense()
T.sparse_csr_tensor([0, 1, 2], [1, 0], [1., 2.]).shape
"""
CASES["sparse: made"] = """
T.sparse_coo_tensor([[0, 1]], [1., 2.])
T.sparse_coo_tensor([[0, 1]], [1., 2., 3.], (3,))
T.sparse_coo_tensor([[0, 1]], [1., 2.], (3, 3))
T.sparse_coo_tensor([[0, 1]], [[1., 2.], [3., 4.]], (3, 2))
T.sparse_coo_tensor([[0, 1]], [[1., 2.], [3., 4.]], (3, 2)).to_dense()
T.sparse_coo_tensor([0, 1], [1., 2.])
T.sparse_coo_tensor([[0, 1]], [1, 2], dtype=T.float64)
T.sparse_coo_tensor([[0]], [True])
T.sparse_coo_tensor([[0, 0]], [True, True], (2,)).to_dense()
"""
CASES["sparse: arithmetic"] = """
c + c, c - c, (s + u).to_dense(), (s - u).to_dense(), T.add(c, c, alpha=2)
(s * c).to_dense(), c * c, s * 2, 2 * s, s / 2, s * T.tensor(3.), s * d, d * s
d + s, d - s, T.add(d, s, alpha=3)
s + d
s + 1
s / s
s / d
d / s
-s, abs(s), s.neg(), u.abs(), u.sqrt(), s.sin(), s.relu(), s.sum()
!s.add_(s); r = s.to_dense()
!s.mul_(2); r = s
!d.add_(s); r = d
!s.add_(d)
!k = T.tensor([1, 2, 3]).to_sparse(); k.add_(T.tensor([1.5, 0., 0.]).to_sparse())
s.to(T.float64), s.double().dtype, s.half().dtype, s.int(), s.float() is s
s.clone(), s.detach(), copy.deepcopy(s), T.zeros_like(s)
s.t(), s.t().to_dense(), s.transpose(0, 1), s.transpose(0, 0), s[0], s[1]
T.rand(2, 2, 2).to_sparse().t()
T.cat([s, s]), T.cat([s, s], 1).shape, T.is_same_size(s, s)
s[2]
"""
CASES["sparse: products, sums, gradients"] = """
T.sparse.mm(s, Y), s @ Y, T.mm(s, Y), s.mm(Y), T.matmul(s, T.ones(3)), s.mv(T.ones(3))
Y.t() @ s.t(), T.sparse.addmm(T.ones(2, 2), s, Y), R @ Y, T.mm(R, Y)
T.addmm(T.ones(2, 2), s, Y, beta=2, alpha=3)
T.sparse.mm(s, d)
T.sparse.sum(s), T.sparse.sum(s, 0), T.sparse.sum(s, 1), T.sparse.sum(s, (0, 1))
!T.sparse.mm(S, y).sum().backward(); r = w.grad, y.grad
!(S.to_dense() ** 2).sum().backward(); r = w.grad
!(S * 3).to_dense().sum().backward(); r = w.grad
!T.sparse.mm(S, y).pow(3).sum().backward(); r = w.grad, y.grad
"""
CASES["quantized"] = """
x, z, x.int_repr(), x.q_scale(), x.q_zero_point(), x.qscheme(), x.dtype, x.is_quantized
x.dequantize(), x.layout, x.element_size(), x.stride(), x.shape, x.is_floating_point()
x.type(), x.device, x.ndim, len(x), z.topk(1), x.flip(0), x.topk(1), x == x, x[0]
x.reshape(4), x.view(-1), x.t(), x.contiguous(), x.clone(), x.max(), x.relu(), x.sort()
T.cat([x, x]), T.dequantize(x), x[0, 0].item(), T.relu(x), x.max(0), x.mean()
x.equal(x), x.equal(x.flip(0)), x.permute(1, 0).stride(), x.expand(2, 2, 2).shape
x.flatten().data_ptr() == x.data_ptr(), x.ravel()._base is x, x.is_contiguous()
Q(T.tensor([.05, .15, .25, -100., 100.]), 0.1, 0, T.qint8).int_repr()
Q(T.tensor([1e9]), 1e-3, 0, T.qint32).int_repr()
Q(T.ones(2), 0.1, 300, T.quint8)
Q(T.ones(2), 0.1, -300, T.qint8)
T._empty_affine_quantized([2], scale=2, zero_point=3, dtype=T.quint8).shape
T.per_tensor_affine, T.quint8, isinstance(T.per_tensor_affine, T.qscheme)
x.fill_(1.0), x.copy_(T.zeros(2, 2))
!k = x.view(-1); k.fill_(0.5); r = x
Q(T.randn(50, generator=T.Generator().manual_seed(3)), 0.037, 3, T.qint8).int_repr()
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


@pytest.mark.parametrize("make", ["coo", "csr", "quantized"])
@pytest.mark.parametrize("name", ["cos", "softmax", "conv1d", "logsumexp", "cumsum"])
def test_what_has_no_answer_is_an_error(make, name):
    x = flashlight.eye(3)
    if make == "quantized":
        x = flashlight.quantize_per_tensor(x, 0.1, 0, flashlight.quint8)
    else:
        x = x.to_sparse() if make == "coo" else x.to_sparse_csr()
    arguments = (flashlight.ones(1, 3, 1),) if name == "conv1d" else (0,)
    arguments = () if name == "cos" else arguments
    with pytest.raises(NotImplementedError, match=f"{name}: not supported for"):
        getattr(flashlight, name)(x, *arguments)


def test_a_graph_network_learns():
    """Two layers of a graph convolution on two cliques, told apart by one edge."""
    torch = flashlight
    torch.manual_seed(0)
    edges = [(a, b) for k in (0, 4) for a in range(k, k + 4) for b in range(k, k + 4)]
    index = torch.tensor([*edges, (3, 4), (4, 3)]).t()
    adjacency = torch.sparse_coo_tensor(index, torch.ones(index.shape[1]), (8, 8))
    degree = torch.sparse.sum(adjacency, 1).to_dense()
    adjacency = adjacency * (1 / degree)[:, None]
    features, labels = torch.eye(8), torch.tensor([0] * 4 + [1] * 4)
    first, second = torch.nn.Linear(8, 6), torch.nn.Linear(6, 2)
    optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=0.1)
    known = torch.tensor([0, 7])
    for _ in range(40):
        hidden = torch.relu(torch.sparse.mm(adjacency, first(features)))
        scores = torch.sparse.mm(adjacency, second(hidden))
        loss = torch.nn.functional.cross_entropy(scores[known], labels[known])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    assert scores.argmax(1).tolist() == labels.tolist()


def test_scripts_run_as_python():
    jit = flashlight.jit

    @jit.script
    def double(x, times: int = 2):
        return x * times

    class Layer(flashlight.nn.Module):
        @jit.export
        def other(self, x):
            return x - 1

        @jit.ignore
        def third(self, x):
            return jit.annotate(int, x)

        def forward(self, x):
            return x + 1 if not jit.is_scripting() else x

    x = flashlight.ones(2)
    assert double(x).tolist() == [2.0, 2.0] and double.__name__ == "double"
    layer = jit.script(Layer())
    assert layer(x).tolist() == [2.0, 2.0] and layer.other(x).tolist() == [0.0, 0.0]
    assert jit.trace(layer, x)(-x).tolist() == [0.0, 0.0]
    assert jit.trace(lambda a, b: a * b, (x, x))(x, 3 * x).tolist() == [3.0, 3.0]
    assert jit.wait(jit.fork(double, x)).tolist() == [2.0, 2.0]
    assert jit.isinstance([1], list[int]) and not jit.isinstance(["a"], list[int])
    for call in (lambda: jit.save(layer, "f"), lambda: double.graph, jit.ScriptModule):
        with pytest.raises(NotImplementedError, match="TorchScript"):
            call()
    with pytest.raises(ValueError):
        jit.trace(raises, x)


def raises(x):
    raise ValueError
