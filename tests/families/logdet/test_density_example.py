from __future__ import annotations

import runpy
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "density.py"


def test_the_example_trains_scores_and_draws(monkeypatch, capsys):
    """Two steps of one block: a score with the entropy, the cap with the norm, and a picture of 24 lines."""
    monkeypatch.setattr(sys, "argv", ["density.py", "--steps", "2", "--blocks", "1", "--method", "neumann"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert any("entropy 2.394" in line for line in lines)
    assert any(line.startswith("largest true norm of a block 0.8") for line in lines)
    assert [len(line) for line in lines[-24:]] == [48] * 24
