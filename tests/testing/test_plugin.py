"""`kexue_case` in another's tests, with the stock fixture of pytest-benchmark."""

import json
import os
import subprocess
import sys

import pytest

from kexue_bench.errors import UsageError
from kexue_bench.testing.plugin import timed_cases

SPEED = """
import pytest

@pytest.mark.kexue_case("gradients", methods=("rloo", "rloo[n=4]"), tasks="bernoulli-toy")
def test_speed(kexue_case, benchmark):
    kexue_case(benchmark)
"""
UNMARKED = "def test_speed(kexue_case): pass\n"
LIGHT = """
import sys

def test_light():
    assert [name for name in ("torch", "numpy", "kexue_bench.session") if name in sys.modules] == []
"""


def run(folder, source, *options):
    """Another's tests, with the plugin loaded under the name of its entry point."""
    (folder / "test_it.py").write_text(source)
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "kexue_bench.testing.plugin", *options]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False, env=env)


def test_every_method_is_timed_by_the_stock_fixture(tmp_path):
    """Its file says what was timed: method, task, and the case that `compare` would have timed."""
    done = run(tmp_path, SPEED, "--benchmark-json=out.json", "--benchmark-max-time=0.01", "--benchmark-min-rounds=1")
    assert done.returncode == 0, done.stdout
    rows = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    cases = timed_cases("gradients", methods=("rloo", "rloo[n=4]"), tasks="bernoulli-toy")
    assert [row["name"] for row in rows] == ["test_speed[rloo-bernoulli-toy]", "test_speed[rloo[n=4]-bernoulli-toy]"]
    assert [row["extra_info"]["case"] for row in rows] == [case.key for case in cases]
    assert {row["group"] for row in rows} == {"gradients/bernoulli-toy"}
    assert all(row["stats"]["min"] > 0 for row in rows)


def test_where_it_is_not_used_it_costs_nothing(tmp_path):
    """Neither torch nor the planner is imported for tests that do not ask for it, and collection imports no torch."""
    assert run(tmp_path, LIGHT).returncode == 0
    quiet = "import sys\n" + SPEED + "\nassert 'torch' not in sys.modules\n"
    hook = "import atexit, sys\natexit.register(lambda: print('torch' in sys.modules))\n"
    (tmp_path / "conftest.py").write_text(hook)
    done = run(tmp_path, quiet, "--collect-only")
    assert done.stdout.splitlines()[-1] == "False", done.stdout


def test_a_test_without_the_mark_is_told_to_write_it(tmp_path):
    """With the signature of the mark."""
    done = run(tmp_path, UNMARKED)
    assert done.returncode != 0
    assert "@pytest.mark.kexue_case(" in done.stdout + done.stderr


def test_only_what_is_asked_for_is_timed():
    """Neither the baseline, which `compare` adds, nor its control; a method that fits no task is refused."""
    assert [case.method.label for case in timed_cases("gradients", methods="disarm", tasks="bernoulli-toy")] == [
        "disarm"
    ]
    with pytest.raises(UsageError, match="no method fits a task"):
        timed_cases("gradients", methods="reinmax", tasks="gaussian-cost")
