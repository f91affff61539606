"""`python -m parity_check` counts names and notices a wrong row."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("form", ["console", "json", "markdown"])
def test_counts(form):
    command = [sys.executable, "-m", "parity_check", "--format", form, "--samples=0"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    if form == "json":
        areas = json.loads(out.stdout)["areas"]
        assert areas["torch.nn"]["here"] > 50
        assert all(a["here"] + len(a["missing"]) == a["torch"] for a in areas.values())
    else:
        assert "torch.linalg" in out.stdout
