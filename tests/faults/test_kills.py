"""The real command, killed at random moments of small runs and resumed, as long as `--soak` says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHARE = {"local": 0.4, "ray": 0.1}
"""The share of the soak of each engine."""


@pytest.mark.parametrize("engine", SHARE)
def test_a_killed_command_loses_nothing_and_blames_no_case(engine, soak, book):
    """Evaluating, timing and tuning, two runs side by side: everything told is stored, and equals an undisturbed run.

    Trials are kept in the folder `.soak`, so that another soak goes on with the study.
    """
    if not soak:
        pytest.skip("takes the minutes that --soak gives")
    if engine == "ray" and find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    paths = os.pathsep.join((str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [
            *(sys.executable, str(HERE / "kills.py"), str(ROOT / ".soak"), "--engine", engine),
            *("--minutes", str(soak * SHARE[engine]), "--kills", "1000000"),
        ],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    sys.stdout.write(done.stdout)
    figures = json.loads(done.stdout)
    assert figures["trials"]
    assert (figures["different"], figures["twice"]) == (0, 0)
    book.add(
        "W6",
        trials=figures["kills"],
        lost=figures["lost"],
        collateral=figures["blamed"],
        orphans=figures["orphans"],
    )
