"""What the walk over the registry does not ask of losses: errors, names, gradients."""

import pytest
import torch
from registry import to_ours, to_theirs

import flashlight

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

LOGITS = torch.linspace(-2, 2, 12).reshape(3, 4)
IMAGES = torch.linspace(-2, 2, 96).reshape(2, 3, 4, 4)
INDEX = torch.tensor([0, 1, 3])
PIXELS = torch.zeros(2, 4, 4, dtype=torch.long)
PATHS = torch.linspace(-3, 0, 40).reshape(5, 2, 4)
LABELS = torch.tensor([[1, 2, 1], [3, 3, 0]])


def raised(t, name, *args, **kwargs):
    try:
        getattr(t.nn.functional, name)(*args, **kwargs)
    except Exception as e:
        return type(e), str(e)
    return None


@pytest.mark.parametrize(
    "name, args, kwargs",
    [
        ("nll_loss", (LOGITS, torch.tensor([0, 7, 1])), {}),
        ("nll_loss", (LOGITS, torch.tensor([0, -1, 1])), {}),
        ("nll_loss", (LOGITS, INDEX.int()), {}),
        ("nll_loss", (LOGITS, INDEX[:2]), {}),
        ("nll_loss", (LOGITS[0], INDEX), {}),
        ("nll_loss", (LOGITS[0, 0], INDEX[0]), {}),
        ("nll_loss", (LOGITS, INDEX), {"weight": torch.ones(3)}),
        ("nll_loss", (LOGITS, INDEX), {"weight": torch.ones(4).double()}),
        ("nll_loss", (LOGITS, INDEX), {"weight": torch.ones(4, requires_grad=True)}),
        ("nll_loss", (LOGITS.long(), INDEX), {}),
        ("nll_loss", (IMAGES, PIXELS + 3), {}),
        ("nll_loss", (IMAGES, PIXELS[:, :1]), {}),
        ("nll_loss", (IMAGES, PIXELS), {"weight": torch.ones(2)}),
        ("nll_loss", (IMAGES[..., None], PIXELS), {}),
        ("cross_entropy", (LOGITS, torch.tensor([0, 7, 1])), {}),
        ("cross_entropy", (LOGITS, LOGITS), {"ignore_index": 2}),
        ("cross_entropy", (LOGITS, LOGITS[:, :3]), {}),
        ("cross_entropy", (LOGITS, INDEX), {"label_smoothing": 1.5}),
        ("cross_entropy", (LOGITS, LOGITS), {"weight": torch.ones(3)}),
        ("cross_entropy", (LOGITS, INDEX.float()), {}),
        ("binary_cross_entropy", (LOGITS, LOGITS), {}),
        ("binary_cross_entropy", (LOGITS * float("nan"), LOGITS), {}),
        ("binary_cross_entropy", (LOGITS.abs() / 2, LOGITS.long()), {}),
        ("multi_margin_loss", (LOGITS, INDEX + 1), {}),
        ("multi_margin_loss", (LOGITS, INDEX[:2]), {}),
        ("multi_margin_loss", (LOGITS, INDEX), {"weight": torch.ones(3)}),
        ("multilabel_margin_loss", (LOGITS, torch.full((3, 4), 4)), {}),
        ("multilabel_margin_loss", (LOGITS, torch.full((3, 3), 1)), {}),
        ("soft_margin_loss", (LOGITS, LOGITS.clone().requires_grad_()), {}),
        ("smooth_l1_loss", (LOGITS, LOGITS), {"beta": -1.0}),
        ("huber_loss", (LOGITS, LOGITS), {"delta": 0.0}),
        ("kl_div", (INDEX, INDEX), {}),
        ("ctc_loss", (PATHS, LABELS, (6, 4), (3, 2)), {}),
        ("ctc_loss", (PATHS, LABELS, (5, 4), (4, 2)), {}),
        ("ctc_loss", (PATHS, LABELS, (-1, 4), (3, 2)), {}),
        ("ctc_loss", (PATHS, LABELS, (5,), (3, 2)), {}),
        ("ctc_loss", (PATHS, LABELS, (5, 4), (3, 2)), {"blank": 4}),
        ("ctc_loss", (PATHS, LABELS[:1], (5, 4), (3, 2)), {}),
        ("ctc_loss", (PATHS, LABELS.flatten(), (5, 4), (3, 2)), {}),
        ("ctc_loss", (PATHS.half(), LABELS, (5, 4), (3, 2)), {}),
        ("ctc_loss", (PATHS[:0], LABELS, (0, 0), (0, 0)), {}),
        ("pdist", (LOGITS, -1.0), {}),
        ("pdist", (IMAGES,), {}),
    ],
)
def test_errors_are_torchs(name, args, kwargs):
    theirs = raised(torch, name, *args, **kwargs)
    ours = raised(flashlight, name, *to_ours(args), **to_ours(kwargs))
    assert theirs is not None and ours == theirs


def test_a_label_out_of_range_is_an_error():
    """PyTorch reads whatever is there."""
    lengths = ((5, 4), (3, 2))
    with pytest.raises(IndexError, match="Target 4 is out of bounds."):
        flashlight.nn.functional.ctc_loss(to_ours(PATHS), to_ours(LABELS + 1), *lengths)


@pytest.mark.parametrize(
    "name, args",
    [
        ("nll_loss", (LOGITS, INDEX)),
        ("cross_entropy", (LOGITS, INDEX)),
        ("cross_entropy", (IMAGES, PIXELS)),
        ("mse_loss", (LOGITS, LOGITS.flip(0))),
        ("smooth_l1_loss", (LOGITS, LOGITS.flip(0))),
        ("huber_loss", (LOGITS, LOGITS.flip(0))),
        ("l1_loss", (LOGITS, LOGITS.flip(0))),
        ("soft_margin_loss", (LOGITS, LOGITS.flip(0))),
        ("binary_cross_entropy_with_logits", (LOGITS, LOGITS.abs() / 2)),
        ("multi_margin_loss", (LOGITS, INDEX)),
        ("ctc_loss", (PATHS, LABELS, (5, 4), (3, 2))),
    ],
)
def test_names_of_nodes(name, args):
    def node(t, x, *rest):
        return getattr(t.nn.functional, name)(x.requires_grad_(), *rest).grad_fn.name()

    theirs = node(torch, args[0].clone(), *args[1:])
    assert node(flashlight, *to_ours(args)) == theirs


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1.0, 2.0, 0.25])])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_ignored_samples_have_no_gradient(weight, smoothing):
    target = torch.tensor([0, 2, 3])

    def gradient(t, x, target, weight):
        x = x.clone().requires_grad_()
        t.nn.functional.cross_entropy(
            x, target, weight, ignore_index=2, label_smoothing=smoothing
        ).backward()
        return x.grad

    theirs = gradient(torch, LOGITS, target, weight)
    ours = gradient(flashlight, *to_ours((LOGITS, target, weight)))
    assert not theirs[1].any()
    torch.testing.assert_close(to_theirs(ours), theirs)


def test_all_ignored_is_nan_in_a_mean_and_zero_in_a_sum():
    x, target = to_ours((LOGITS, torch.full((3,), -100)))
    loss = flashlight.nn.functional.cross_entropy
    assert loss(x, target).isnan().item()
    assert loss(x, target, reduction="sum").item() == 0


def test_reductions_default_as_in_torch():
    """The functions outside nn.functional read the default mean as none."""
    x, y = LOGITS.log_softmax(1), LOGITS.softmax(1)
    assert torch.kl_div(x, y).shape == (3, 4)
    assert flashlight.kl_div(*to_ours((x, y))).shape == (3, 4)
