"""Train a small CNN on the digits of scikit-learn, prune it, and write digits_cnn.npz.

    pip install -e '.[examples]'
    python examples/digits/train.py          # about a minute on one core

The network is that of network.py.  It is trained dense, then pruned gradually by magnitude: in each
pruning step the smallest weights of every layer are set to zero until the layer has the density of
the schedule (cubic, after Zhu and Gupta 2017, https://arxiv.org/abs/1710.01878), and training goes
on with those weights held at zero.  No choice within a run depends on the test images: they are
counted once before pruning and once after.

Same seed, library versions and kind of processor: same file, to the byte.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

SEED = 0
TEST_IMAGES = 360
BATCH = 32
DENSE_EPOCHS = 100
"""As many as the two below and more: the dense network is not worse for being trained less."""
PRUNE_EPOCHS = 30
"""Epochs in which densities fall from 1 to those of ``DENSITIES``, once an epoch."""
TUNE_EPOCHS = 30
LEARNING_RATE = 2e-3
DENSITIES = {"conv1": 0.3, "conv2": 0.15, "conv3": 0.1, "fc": 0.2}
HERE = Path(__file__).parent


def build() -> nn.ModuleDict:
    """The layers with weights; `forward` says how they are joined."""
    return nn.ModuleDict(
        {
            "conv1": nn.Conv2d(1, 16, 3, padding=1),
            "conv2": nn.Conv2d(16, 32, 3, padding=1),
            "conv3": nn.Conv2d(32, 64, 3, padding=1),
            "fc": nn.Linear(64 * 2 * 2, 10),
        }
    )


def forward(net: nn.ModuleDict, x: Tensor) -> Tensor:
    """Images (n, 1, 8, 8) in 0..1 -> logits (n, 10)."""
    x = functional.relu(net["conv1"](x))
    x = functional.max_pool2d(functional.relu(net["conv2"](x)), 2)
    x = functional.max_pool2d(functional.relu(net["conv3"](x)), 2)
    logits: Tensor = net["fc"](x.flatten(1))
    return logits


def accuracy(net: nn.ModuleDict, x: Tensor, y: Tensor) -> float:
    """Share of the images whose largest logit is that of their label."""
    with torch.no_grad():
        return float((forward(net, x).argmax(1) == y).float().mean())


def shifted(x: Tensor) -> Tensor:
    """Each image moved by -1, 0 or 1 pixel in both directions, zeros coming in."""
    rows, columns = torch.randint(0, 3, (2, len(x))).tolist()
    images = zip(functional.pad(x, (1, 1, 1, 1)), rows, columns, strict=True)
    return torch.stack([image[:, i : i + 8, j : j + 8] for image, i, j in images])


def epoch(
    net: nn.ModuleDict,
    optimiser: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    masks: dict[str, Tensor],
) -> None:
    """One pass over the training images in random order, masked weights held at zero."""
    for batch in torch.randperm(len(x)).split(BATCH):
        optimiser.zero_grad()
        functional.cross_entropy(forward(net, shifted(x[batch])), y[batch]).backward()
        optimiser.step()
        apply(net, masks)


def apply(net: nn.ModuleDict, masks: dict[str, Tensor]) -> None:
    """Set every weight outside its mask to zero."""
    with torch.no_grad():
        for name, mask in masks.items():
            net[name].weight.mul_(mask)


def largest(weight: Tensor, density: float) -> Tensor:
    """Mask of the ``round(density * size)`` weights of largest magnitude."""
    keep = round(density * weight.numel())
    mask = torch.zeros(weight.numel())
    mask[weight.detach().abs().flatten().argsort(descending=True, stable=True)[:keep]] = 1
    return mask.view_as(weight)


def train(net: nn.ModuleDict, x: Tensor, y: Tensor, epochs: int) -> None:
    """Train dense, the learning rate falling to zero along a cosine."""
    optimiser = torch.optim.Adam(net.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        epoch(net, optimiser, x, y, {})
        schedule.step()


def prune(net: nn.ModuleDict, x: Tensor, y: Tensor) -> None:
    """Lower the densities step by step, then fine-tune at the final ones."""
    optimiser = torch.optim.Adam(net.parameters(), LEARNING_RATE)
    epochs = PRUNE_EPOCHS + TUNE_EPOCHS
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    masks: dict[str, Tensor] = {}
    for step in range(1, epochs + 1):
        if step <= PRUNE_EPOCHS:
            left = (1 - step / PRUNE_EPOCHS) ** 3
            masks = {
                name: largest(net[name].weight, density + (1 - density) * left)
                for name, density in DENSITIES.items()
            }
            apply(net, masks)
        epoch(net, optimiser, x, y, masks)
        schedule.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=HERE / "digits_cnn.npz")
    parser.add_argument("--dense-epochs", type=int, default=DENSE_EPOCHS)
    given = parser.parse_args()
    out: Path = given.out

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        digits.images.astype(np.uint8),
        digits.target.astype(np.uint8),
        test_size=TEST_IMAGES,
        stratify=digits.target,
        random_state=SEED,
    )

    def tensors(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        x = torch.from_numpy(images.astype(np.float32) / 16)[:, None]
        return x, torch.from_numpy(labels.astype(np.int64))

    x, y = tensors(train_images, train_labels)
    x_test, y_test = tensors(test_images, test_labels)
    net = build()
    train(net, x, y, given.dense_epochs)
    dense = accuracy(net, x_test, y_test)
    print(f"dense:  test accuracy {dense:.4f}, training {accuracy(net, x, y):.4f}")
    prune(net, x, y)
    pruned = accuracy(net, x_test, y_test)
    print(f"pruned: test accuracy {pruned:.4f}, training {accuracy(net, x, y):.4f}")

    arrays: dict[str, np.ndarray] = {"images": test_images, "labels": test_labels}
    densities = {}
    for name in DENSITIES:
        weight = net[name].weight.detach().numpy() + 0.0  # turns -0.0 into 0.0
        arrays[f"{name}.w"], arrays[f"{name}.b"] = weight, net[name].bias.detach().numpy()
        densities[name] = round(float(np.count_nonzero(weight)) / weight.size, 4)
    meta = {
        "accuracy_dense": round(dense, 6),
        "accuracy_pruned": round(pruned, 6),
        "densities": densities,
        "train_images": len(x),
        "test_images": len(x_test),
        "seed": SEED,
        "epochs": {"dense": given.dense_epochs, "prune": PRUNE_EPOCHS, "tune": TUNE_EPOCHS},
        "versions": {
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
    }
    np.savez_compressed(out, meta=np.array(json.dumps(meta)), allow_pickle=False, **arrays)
    print(f"{out}: {out.stat().st_size:,} bytes, densities {densities}")


if __name__ == "__main__":
    main()
