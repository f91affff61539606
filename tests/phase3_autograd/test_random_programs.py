"""Random programs agree with PyTorch: values, gradients, versions, names, errors."""

import pytest
from random_programs import disagreement, run_program, shortest, write_program

import flashlight

PROGRAMS, ALL_PROGRAMS, CHUNK = 400, 20_000, 100


def pytest_generate_tests(metafunc):
    if "first" in metafunc.fixturenames:
        full = metafunc.config.getoption("--full")
        count = ALL_PROGRAMS if full else PROGRAMS
        metafunc.parametrize("first", range(0, count, CHUNK))


# What is left is in two rows to come: views that save their tensor where its sizes
# would do, and fill_, as which x[...] = number is recorded.
@pytest.mark.xfail(reason="view rows save too much; there is no fill_", strict=False)
@pytest.mark.parity
def test_random_programs(first):
    for seed in range(first, first + CHUNK):
        lines, expected = write_program(seed)
        if disagreement(flashlight, lines, expected):
            lines = shortest(flashlight, lines)
            _, ours, theirs = disagreement(flashlight, lines)
            program = "\n".join(lines)
            pytest.fail(f"seed {seed}:\n{program}\nours:  {ours}\ntorch: {theirs}")


# What random programs have found, each cut down to the lines that it takes.
FOUND = {
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
    "an inference tensor that is written to outside": """
with torch.inference_mode(): x = torch.ones(2)
x.sin_()
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

    lines = ["x = torch.ones(2)", "y = torch.sin(x)"]
    assert len(run_program(flashlight, lines)) == 2
    assert disagreement(flashlight, lines) is None
    assert disagreement(Wrong(), lines)[0] == 1
