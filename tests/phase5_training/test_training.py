"""Small trainings: the loss falls, and falls along PyTorch's curve."""

import numpy as np
import pytest
import torch

import flashlight


def _mlp(lib):
    nn = lib.nn
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))


def _cnn(lib):
    nn = lib.nn
    return nn.Sequential(
        nn.Unflatten(1, (2, 2, 2)),
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.GELU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def _transformer(lib):
    nn = lib.nn
    layer = nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True)
    return nn.Sequential(
        nn.Unflatten(1, (2, 4)),
        nn.TransformerEncoder(layer, 2),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


def _curve(lib, model, optimizer, steps=25):
    lib.manual_seed(0)
    net = model(lib)
    rng = np.random.RandomState(1)
    x = rng.randn(24, 8).astype("float32")
    y = np.argmax(x[:, :3], axis=1)
    dataset = lib.utils.data.TensorDataset(lib.from_numpy(x), lib.from_numpy(y))
    loader = lib.utils.data.DataLoader(dataset, batch_size=8, shuffle=True)
    opt = optimizer(lib, net.parameters())
    sched = lib.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    loss_fn = lib.nn.CrossEntropyLoss(label_smoothing=0.05)
    losses = []
    while len(losses) < steps:
        for xb, yb in loader:
            opt.zero_grad()
            loss = loss_fn(net(xb), yb)
            loss.backward()
            lib.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            sched.step()
            losses.append(loss.item())
    return np.array(losses)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", [_mlp, _cnn, _transformer])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda lib, p: lib.optim.SGD(p, 0.2, momentum=0.9, nesterov=True),
        lambda lib, p: lib.optim.AdamW(p, 0.02),
    ],
    ids=["sgd", "adamw"],
)
def test_loss_curve(model, optimizer):
    theirs = _curve(torch, model, optimizer)
    mine = _curve(flashlight, model, optimizer)
    assert mine[-3:].mean() < mine[:3].mean() - 0.1
    np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-3)
