"""Train a small convolutional network on handwritten digits. Plain PyTorch.

Under PyTorch:   python examples/digits.py
On flashlight:   python -m flashlight run examples/digits.py

The data are scikit-learn's 1,797 digits of 8 x 8 pixels, a fifth of them held
out. Writes digits.pt (the weights) and digits.png (the loss, and the digits that
were misread) into the folder given by --out.
"""

import argparse
import pathlib
import time

import matplotlib
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the choice of backend)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(64 * 4 * 4, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def load_data():
    digits = load_digits()
    images = torch.tensor(digits.images / 16.0, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target)
    train, test = train_test_split(
        range(len(labels)), test_size=0.2, random_state=1, stratify=digits.target
    )
    train, test = torch.tensor(train), torch.tensor(test)
    return (
        TensorDataset(images[train], labels[train]),
        TensorDataset(images[test], labels[test]),
    )


def train(model, dataset, args, device):
    loader = DataLoader(dataset, batch_size=args.batch_size, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=1e-2)
    steps = args.steps or args.epochs * len(loader)
    scheduler = torch.optim.lr_scheduler.StepLR(
        optimizer, step_size=max(1, steps // 3), gamma=0.3
    )
    losses = []
    model.train()
    with tqdm(total=steps, desc="training") as bar:
        while len(losses) < steps:
            for images, labels in loader:
                images, labels = images.to(device), labels.to(device)
                optimizer.zero_grad()
                loss = F.cross_entropy(model(images), labels)
                loss.backward()
                optimizer.step()
                scheduler.step()
                losses.append(loss.item())
                bar.set_postfix(loss=f"{losses[-1]:.4f}")
                bar.update()
                if len(losses) == steps:
                    break
    return losses


@torch.no_grad()
def predict(model, dataset, device):
    model.eval()
    batches = [
        model(images.to(device)).argmax(dim=1).cpu()
        for images, _ in DataLoader(dataset, batch_size=256)
    ]
    return torch.cat(batches)


def draw(losses, dataset, predicted, file):
    images, labels = dataset.tensors
    wrong = (predicted != labels).nonzero().flatten().tolist()
    figure = plt.figure(figsize=(10, 4))
    left, right = figure.subfigures(1, 2)
    curve = left.subplots()
    curve.plot(losses)
    curve.set(xlabel="step", ylabel="cross-entropy", yscale="log", title="Training")
    right.suptitle(f"Misread: {len(wrong)} of {len(labels)}")
    for axes in right.subplots(3, 4).flat:
        axes.axis("off")
        if wrong:
            index = wrong.pop(0)
            axes.imshow(images[index, 0].numpy(), cmap="gray_r")
            read, truth = predicted[index].item(), labels[index].item()
            axes.set_title(f"{read}, is {truth}", fontsize=8)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--steps", type=int, help="stop after so many, not by epochs")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out"))
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device(args.device)
    train_set, test_set = load_data()
    model = Net().to(device)
    weights = sum(p.numel() for p in model.parameters())
    print(f"{weights:,} weights, {len(train_set)} digits, on {device}")

    start = time.perf_counter()
    losses = train(model, train_set, args, device)
    seconds = time.perf_counter() - start
    print(f"{len(losses)} steps in {seconds:.1f} s, loss {losses[-1]:.4f}")

    args.out.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), args.out / "digits.pt")
    reloaded = Net().to(device)
    reloaded.load_state_dict(torch.load(args.out / "digits.pt"))

    predicted = predict(reloaded, test_set, device)
    labels = test_set.tensors[1]
    accuracy = (predicted == labels).float().mean().item()
    draw(losses, test_set, predicted, args.out / "digits.png")
    print(f"accuracy on {len(labels)} held-out digits: {accuracy:.2%}")


if __name__ == "__main__":
    main()
