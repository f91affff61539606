"""Options of the whole test run; scripts/test passes them on."""


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
