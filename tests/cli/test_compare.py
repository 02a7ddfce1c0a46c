"""`compare` end to end: rows, order, workers, resume, and strangers."""

import json
import os
import subprocess
import sys

from toys import FAST, HERE, TOY

COLUMNS = {
    "run", "family", "task", "task_params", "method", "method_params", "stage", "device", "dtype", "threads", "metric",
    "value", "ci_low", "ci_high", "n", "unit", "flags", "status", "verdict", "ratio", "ratio_low", "ratio_high",
    "rank_group",
}  # fmt: skip


def evaluate_rows(rows):
    """Rows without what says where they were stored."""
    return sorted(
        (json.dumps({k: v for k, v in row.items() if k != "run"}, sort_keys=True) for row in rows),
    )


def in_subprocess(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "kexue_bench", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["rows"]


def test_json_rows_have_the_documented_columns(cli):
    """One row for each (task, method, metric), under the names that the documentation gives."""
    result = cli(*TOY, *HERE, "-m", "rloo", "-m", "reinforce")
    assert result.code == 0
    assert set(result.rows[0]) >= COLUMNS
    rloo = {row["metric"]: row for row in result.rows if row["method"] == "rloo"}
    assert {"bias", "relative-bias", "variance", "mse", "cosine", "evaluations", "work-variance", "memory"} <= set(rloo)
    assert rloo["mse"]["method_params"] == {"n": 2}
    assert rloo["evaluations"]["value"] == 2


def test_evaluate_is_the_same_for_any_number_of_workers_and_order(tmp_path):
    """`-j 1` and `-j 2`, methods in another order, fresh and shared processes: bit for bit."""
    methods = ["-m", "rloo", "-m", "disarm", "-m", "gumbel-softmax"]
    backwards = ["-m", "gumbel-softmax", "-m", "disarm", "-m", "rloo"]
    one = in_subprocess(tmp_path, *TOY, *methods, "-j", "1")
    two = in_subprocess(tmp_path, *TOY, *backwards, "-j", "2")
    shared = in_subprocess(tmp_path, *TOY, *methods, "-j", "2", "--isolation", "worker")
    assert evaluate_rows(one) == evaluate_rows(two) == evaluate_rows(shared)


def test_resume_replays_what_is_finished(cli, tmp_path):
    """A second run writes nothing, goes on in the same folder and prints the same rows."""
    first = cli(*TOY, *HERE, "-m", "rloo")
    (folder,) = (tmp_path / "results").iterdir()
    journal = (folder / "outcomes.jsonl").read_bytes()
    second = cli(*TOY, *HERE, "-m", "rloo", "--resume")
    assert second.rows == first.rows
    assert (folder / "outcomes.jsonl").read_bytes() == journal
    assert len(list((tmp_path / "results").iterdir())) == 1


def test_resume_with_another_plan_reuses_what_it_shares(cli, tmp_path):
    """A method more makes a new run, into which the shared outcomes are carried."""
    first = cli(*TOY, *HERE, "-m", "rloo")
    second = cli(*TOY, *HERE, "-m", "rloo", "-m", "disarm", "--resume")
    assert len(list((tmp_path / "results").iterdir())) == 2
    values = [
        {row["metric"]: row["value"] for row in result.rows if row["method"] == "rloo"} for result in (first, second)
    ]
    assert values[0] == values[1]


STRANGER = """
from dataclasses import dataclass

from kexue_bench import MethodSpec, hookimpl


@hookimpl
def kexue_methods():
    return [MethodSpec(name="half-rloo", family="gradients", target="stranger:HalfRloo", summary="half of it")]


@dataclass(frozen=True, kw_only=True)
class HalfRloo:
    share: float = 0.5

    def estimate(self, distribution, objective, noise, repeats, state=None):
        from dataclasses import replace

        from kexue_gradients import Rloo

        sample = Rloo().estimate(distribution, objective, noise, repeats)
        return replace(sample, gradient=self.share * sample.gradient)
"""


def test_a_strangers_file_is_listed_compared_and_shown(cli, tmp_path):
    """A file of a stranger, loaded by -p: half of an unbiased gradient has relative bias one half."""
    (tmp_path / "stranger.py").write_text(STRANGER)
    assert "half-rloo" in cli("list", "methods", "-p", "stranger.py").out
    assert "share" in cli("show", "half-rloo", "-p", "stranger.py").out
    rows = in_subprocess(tmp_path, *TOY, "-p", "stranger.py", "-m", "half-rloo")
    bias = next(row for row in rows if (row["method"], row["metric"]) == ("half-rloo", "relative-bias"))
    assert bias["ci_low"] < 0.5 < bias["ci_high"]


def test_failures_are_rows_with_a_reason_and_exit_code_3(cli, tmp_path):
    """A method that raises costs its own rows; the others stand."""
    (tmp_path / "breaks.py").write_text(
        STRANGER.replace("stranger:", "breaks:").replace("half-rloo", "breaks").replace("sample = ", "raise KeyError; ")
    )
    result = cli(*TOY, *HERE, "-p", "breaks.py", "-m", "breaks", "-m", "rloo")
    assert result.code == 3
    broken = [row for row in result.rows if row["method"] == "breaks"]
    assert broken
    assert {row["status"] for row in broken} == {"failed"}
    assert "KeyError" in broken[0]["reason"]
    assert {row["status"] for row in result.rows if row["method"] == "rloo"} == {"ok"}
    assert "KeyError" in cli("show", broken[0]["key"], "-p", "breaks.py").out


def test_the_table_says_what_was_found(cli):
    """The table names the task, the methods, the baseline and what failed or did not run."""
    out = cli("compare", *TOY[1:6], *FAST, *HERE, "-m", "rloo").out
    assert "bernoulli-toy" in out
    assert "rloo" in out
    assert "(baseline)" in out
