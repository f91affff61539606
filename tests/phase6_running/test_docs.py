"""The Python in docs/ and README.md runs; the reference has every operator."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import flashlight
from flashlight import _C

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


def test_the_reference(tmp_path):
    tool = ROOT / "tools" / "gen_reference.py"
    subprocess.run([sys.executable, tool, "--out", tmp_path], check=True)
    text = "".join(p.read_text() for p in sorted(tmp_path.glob("*.md")))
    entries = re.findall(r"^## (\w+)$", text, re.M)
    assert len(entries) == len(set(entries)), "an operator in two families"
    rows = {s.split("(")[0].split(".")[0] for s in _C._schemas}
    assert {n for n in rows if not n.startswith("_")} == set(entries)
    public = {n for n in flashlight.ops.__all__ if not n.startswith("_")}
    assert rows >= {n for n in public if not n.endswith("_")}
    for call, description in re.findall(r"^- `(.*)`  \n  (.*)$", text, re.M):
        assert len(description) > 4, call
