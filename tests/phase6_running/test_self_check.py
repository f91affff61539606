"""The generic tests turn red when the engine is wrong: --self-check.

Each mutation is one wrong line in a copy of the sources; the copy is built, and the
tests that are to notice must fail, and pass again without it. There are more wrong
lines in tests/mutants.py, for scripts/mutants.
"""

import mutants
import pytest

REGISTRY = "tests/phase2_operators/test_registry.py"
# What is broken: file, the right line, the wrong one, the tests that must notice.
MUTATIONS = {
    "derivative": (
        "csrc/flashlight/ops/arithmetic.cpp",
        "return grad * conj(other);",
        "return grad + conj(other);",
        f"{REGISTRY}::test_gradient[mul.Tensor]",
    ),
    "write-back": (
        "csrc/flashlight/core/storage.cpp",
        "    set_array(std::move(next));\n    return;",
        "    return;",
        f"{REGISTRY}::test_in_place[mul.Tensor]",
    ),
    "dtype rule": (
        "csrc/flashlight/ops/call.cpp",
        "if (category(*low) > category(*high)) {",
        "if (category(*low) >= category(*high)) {",
        f"{REGISTRY}::test_promotion[add.Tensor]",
    ),
    "NaN rule": (
        "csrc/flashlight/ops/comparison.cpp",
        ".kernel(compare<mx::less_equal, kLe>)",
        ".kernel([](const mx::array& self, const mx::array& other) {"
        " return mx::logical_not(mx::greater(self, other)); })",
        f"{REGISTRY}::test_special_values[le.Tensor]",
    ),
    "version bump": (
        "csrc/flashlight/autograd/view_autograd.cpp",
        "  tensor.bump_version();\n",
        "",
        f"{REGISTRY}::test_in_place[mul.Tensor]",
    ),
}


pytestmark = pytest.mark.timeout(3600)  # the first one builds the engine


@pytest.fixture(scope="session")
def copy(request):
    if not request.config.getoption("--self-check"):
        pytest.skip(
            "only with --self-check: builds the engine once and five times more"
        )
    mutants.make_copy()
    mutants.build()
    return mutants.COPY


@pytest.mark.parametrize("what", MUTATIONS)
def test_the_line_to_break_is_there(what):
    name, right, _, _ = MUTATIONS[what]
    text = (mutants.ROOT / name).read_text()
    assert right in text, f"{name} has no line {right!r}: mutate another"


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_the_mutants_can_be_planted(name):
    mutants.check_lines({name: mutants.MUTANTS[name]})


@pytest.mark.integration
@pytest.mark.parametrize("what", MUTATIONS)
def test_a_broken_engine_is_noticed(copy, what):
    name, right, wrong, test = MUTATIONS[what]
    assert mutants.passes(test)
    try:
        with mutants.Planted(name, right, wrong):
            mutants.build()
            noticed = not mutants.passes(test)
    finally:
        mutants.build()
    assert noticed, f"{test} does not notice a wrong {what}"
