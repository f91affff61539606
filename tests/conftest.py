"""Options of the whole test run; scripts/test passes them on."""

# The tests of nn, optim and utils.data run when the operators that those call have
# rows; until then importing their helpers is all that could be tested.
collect_ignore = ["phase4_nn_modules", "phase5_training"]


def pytest_addoption(parser):
    parser.addoption(
        "--full",
        action="store_true",
        help="every sample of every operator and dtype, not a selection",
    )
    parser.addoption(
        "--self-check",
        action="store_true",
        help="also break the engine on purpose, and see each check go red",
    )
