"""The example of energies in the plane."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch

EXAMPLE = Path(__file__).parents[3] / "examples" / "energy_2d.py"


@pytest.mark.parametrize("method", ["score-matching", "pcd"])
def test_the_example_trains_scores_and_draws(method, monkeypatch, capsys):
    """Two steps of a small network: a divergence with its error, and a picture of 24 lines."""
    monkeypatch.setattr(sys, "argv", ["energy_2d.py", "--steps", "2", "--width", "4", "--method", method])
    with torch.enable_grad():
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("divergence from the data ") for line in lines)
    assert [len(line) for line in lines[-24:]] == [48] * 24
