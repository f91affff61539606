"""Samples of rows of repeating that PyTorch's tables have none for."""

import torch
from sampling import case, t

EXTRA = {
    "repeat_interleave.Tensor": [
        case(lambda _: torch.tensor([2, 0, 3]), only=lambda d: d == torch.float32)
    ],
    "repeat_interleave.self_Tensor": [
        case(t(3, 2), lambda _: torch.tensor([2, 0, 3]), 0),
        case(t(3, 2), lambda _: torch.tensor([2])),
    ],
    "repeat_interleave.self_int": [case(t(3, 2), 2, 1), case(t(3, 2), 3)],
    "roll": [case(t(3, 4), 2), case(t(3, 4), (1, -2), (0, 1))],
}
