"""The Python in docs/ and README.md runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def blocks():
    for file in sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"]):
        for match in re.finditer(
            r"^```python\n(.*?)^```", file.read_text(), re.M | re.S
        ):
            line = file.read_text()[: match.start()].count("\n") + 1
            yield pytest.param(match[1], id=f"{file.name}:{line}")


@pytest.mark.parametrize("text", blocks())
def test_block_runs(text):
    exec(compile(text, "docs", "exec"), {"__name__": "docs"})
