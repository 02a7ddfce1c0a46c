"""The cluster engine: a real cluster of two nodes, and what is said where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kexue_bench.run.engines.ray import difference, wheels

HERE = Path(__file__).parent


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_worker_and_a_removed_node_lose_nothing():
    """200 cases on two nodes, of which one goes: each has one outcome, bit for bit that of the local engine.

    What was lost stands in the ledger as an attempt, at most one a case, and every result names the code that made it.
    """
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    done = python(str(HERE / "ray_scenario.py"))
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["taken"] == ["worker", "node"]
    assert (found["planned"], found["missing"], found["double"]) == (203, 0, 0)
    assert found["statuses"] == ["ok"]
    assert found["different"] == 0
    assert 1 <= found["lost_attempts"] <= 6
    assert found["beyond_two_attempts"] == 0
    assert found["fingerprints"] == [True]


def test_without_ray_the_error_says_what_to_install(tmp_path):
    """`--engine ray` is a usage error where the library is missing, and nothing is written."""
    (tmp_path / "ray.py").write_text("raise ImportError('no module named ray')\n")
    command = "import sys; from kexue_bench.cli.main import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["compare", "-t", "bernoulli-toy", "-m", "rloo", "--engine", "ray", "-o", str(tmp_path / "results")]
    done = python("-c", command, *arguments, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert done.returncode == 2
    assert "pip install 'kexue-bench[ray]'" in done.stderr
    assert not (tmp_path / "results").exists()


def test_other_wheels_are_named():
    """The difference between two nodes says which library, what is there and what was expected."""
    ours = wheels()
    assert difference(ours, ours) == ""
    assert difference(ours, {**ours, "torch": "1.0"}) == f"torch 1.0 instead of {ours['torch']}"
    assert "numpy missing" in difference(ours, {k: v for k, v in ours.items() if k != "numpy"})


def test_the_engine_of_a_cluster_is_imported_only_when_asked_for():
    """Start-up does not pay for Ray."""
    loaded = "[name for name in sys.modules if 'ray' in name.split('.')]"
    code = f"import sys; from kexue_bench.cli import main, compare; print({loaded})"
    assert python("-c", code).stdout.strip() == "[]"
