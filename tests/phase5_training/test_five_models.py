"""Five small models on real data, written once for either library.

From one seed both start at the same weights and see the same batches; every module's
output and every parameter's gradient agree at the first step, and the losses of all.
"""

import functools
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import flashlight

pytestmark = pytest.mark.parity
STEPS, BATCH = 50, 32
FORWARD, GRADIENT, LOSS = 1e-5, 1e-4, 1e-4


@functools.cache
def digits():
    """Images of handwritten digits, (1797, 64) in [0, 1], and what they show."""
    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype("float32"), labels.astype("int64")


@functools.cache
def text():
    """A file of the standard library as numbers of its characters, and how many."""
    characters = Path(textwrap.__file__).read_text()
    kinds = sorted(set(characters))
    return np.array([kinds.index(c) for c in characters]), len(kinds)


def batch_of_digits(torch):
    images, labels = digits()
    chosen = torch.randperm(len(images))[:BATCH].numpy()
    return torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen])


def batch_of_text(torch, length=12):
    """Windows of the text, and the characters that follow each of theirs."""
    codes, _ = text()
    starts = torch.randint(0, len(codes) - length - 1, (BATCH,)).numpy()
    windows = codes[starts[:, None] + np.arange(length + 1)]
    return torch.from_numpy(windows[:, :-1]), torch.from_numpy(windows[:, 1:])


def classify(torch, model, batch):
    images, labels = batch
    return torch.nn.functional.cross_entropy(model(images), labels)


def predict(torch, model, batch):
    seen, following = batch
    scores = model(seen)
    return torch.nn.functional.cross_entropy(scores.flatten(0, 1), following.flatten())


def mlp(torch):
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 24), nn.Tanh(), nn.Linear(24, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer, batch_of_digits, classify


def cnn(torch):
    nn = torch.nn
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=1e-3)
    return model, optimizer, batch_of_digits, classify


def lstm(torch):
    nn = torch.nn
    hidden, (_, kinds) = 24, text()

    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.input = nn.Linear(kinds, 4 * hidden)
            self.recurrent = nn.Linear(hidden, 4 * hidden, bias=False)

        def forward(self, x, h, c):
            gates = self.input(x) + self.recurrent(h)
            i, f, g, o = gates.chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = Cell()
            self.out = nn.Linear(hidden, kinds)

        def forward(self, codes):
            x = torch.eye(kinds)[codes]
            h = c = torch.zeros(len(codes), hidden)
            states = []
            for t in range(codes.shape[1]):
                h, c = self.cell(x[:, t], h, c)
                states.append(h)
            return self.out(torch.stack(states, dim=1))

    model = Model()
    return model, torch.optim.Adam(model.parameters(), lr=1e-2), batch_of_text, predict


def transformer(torch):
    nn = torch.nn
    width, heads, (_, kinds) = 32, 4, text()

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv = nn.Linear(width, 3 * width)
            self.project = nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
            )

        def attend(self, x):
            batch, length, _ = x.shape
            q, k, v = (
                part.view(batch, length, heads, width // heads).transpose(1, 2)
                for part in self.qkv(x).split(width, dim=-1)
            )
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.project(y.transpose(1, 2).reshape(batch, length, width))

        def forward(self, x):
            x = x + self.attend(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.characters = nn.Parameter(torch.randn(kinds, width) * 0.1)
            self.places = nn.Parameter(torch.randn(12, width) * 0.1)
            self.block = Block()
            self.out = nn.Linear(width, kinds)

        def forward(self, codes):
            return self.out(self.block(self.characters[codes] + self.places))

    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return model, optimizer, batch_of_text, predict


def vae(torch):
    nn = torch.nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
            self.mean, self.log_variance = nn.Linear(32, 4), nn.Linear(32, 4)
            self.decoder = nn.Sequential(
                nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 64), nn.Sigmoid()
            )

        def forward(self, x):
            code = self.encoder(x)
            mean, log_variance = self.mean(code), self.log_variance(code)
            noise = torch.randn(mean.shape)
            sample = mean + noise * torch.exp(log_variance / 2)
            return self.decoder(sample), mean, log_variance

    def loss(torch, model, batch):
        images, _ = batch
        seen, mean, log_variance = model(images)
        error = torch.nn.functional.binary_cross_entropy(seen, images, reduction="sum")
        spread = 1 + log_variance - mean.pow(2) - log_variance.exp()
        return (error - 0.5 * spread.sum()) / len(images)

    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return model, optimizer, batch_of_digits, loss


def tensors(x, torch):
    if isinstance(x, torch.Tensor):
        return [x]
    return [t for part in x for t in tensors(part, torch)]


def run(torch, build):
    """The losses, and each module's outputs and parameter's gradient at first."""
    torch.manual_seed(0)
    model, optimizer, batches, loss_of = build(torch)
    outputs, losses = {}, []

    def keep(name):
        def hook(module, inputs, output):
            kept = outputs.setdefault(name, [])
            kept += [t.detach().clone().numpy() for t in tensors(output, torch)]

        return hook

    hooks = [m.register_forward_hook(keep(n)) for n, m in model.named_modules()]
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(torch, model, batches(torch))
        loss.backward()
        if step == 0:
            gradients = {
                n: p.grad.detach().clone().numpy() for n, p in model.named_parameters()
            }
            for hook in hooks:
                hook.remove()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses), outputs, gradients


def close(ours, theirs, tolerance, what):
    scale = max(1.0, float(np.abs(theirs).max()))
    np.testing.assert_allclose(
        ours, theirs, rtol=tolerance, atol=tolerance * scale, err_msg=what
    )


@pytest.mark.parametrize("build", [mlp, cnn, lstm, transformer, vae])
def test_trains_as_in_torch(build):
    losses, outputs, gradients = run(flashlight, build)
    expected, torchs_outputs, torchs_gradients = run(torch, build)
    assert outputs.keys() == torchs_outputs.keys() and len(outputs) > 3
    for name, theirs in torchs_outputs.items():
        assert len(outputs[name]) == len(theirs)
        for a, b in zip(outputs[name], theirs):
            close(a, b, FORWARD, f"output of {name or 'the model'}")
    assert gradients.keys() == torchs_gradients.keys()
    for name, theirs in torchs_gradients.items():
        assert theirs.any(), name
        scale = float(np.abs(theirs).max())
        close(gradients[name] / scale, theirs / scale, GRADIENT, f"gradient of {name}")
    np.testing.assert_allclose(losses, expected, rtol=LOSS)
    assert losses[-5:].mean() < 0.9 * losses[:5].mean()
