"""`verify` end to end: every honest method passes, every mutant fails, and the report says what was seen."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from kexue_bench.catalog.core_claims import CORE_CLAIMS

PLUGINS = Path(__file__).parents[1] / "plugins"
HERE = ("--isolation", "none", "--format", "json")


PLUGIN = """
from dataclasses import dataclass
import torch
from kexue_bench import FamilySpec, MethodSpec, TaskSpec, hookimpl
from kexue_bench.lab import Sampling


@dataclass(frozen=True, kw_only=True)
class Mean:
    def draw(self, noise, n):
        return noise.normal(n)


@dataclass(frozen=True, kw_only=True)
class Zero:
    def problem(self, method, ctx):
        return Sampling(draw=method.draw, truth=torch.zeros(()), batch=32)


@hookimpl
def kexue_specs():
    return [
        FamilySpec(
            name="third", title="t", summary="s", contract="c", precision_metric="mse", baseline="mean",
            headline=("mse",),
        ),
        MethodSpec(name="mean", family="third", target="MODULE:Mean", summary="s"),
        TaskSpec(
            name="zero", family="third", target="MODULE:Zero", summary="s", version=1, kind=KIND,
            suites={"quick": ("zero",)},
        ),
    ]
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Write a plugin whose sampling task declares this kind and no budgets; its path."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(kind):
        # Each its own name: a process loads a module once.
        path = tmp_path / f"third_{kind}.py"
        path.write_text(PLUGIN.replace("KIND", repr(kind)).replace("MODULE", path.stem))
        return str(path)

    return write


def mutants():
    """What each mutant breaks, from the plugin itself."""
    return loaded("mutants").BREAKS


def loaded(plugin):
    """The module of a plugin of `tests/plugins`."""
    spec = importlib.util.spec_from_file_location(f"{plugin}_specs", PLUGINS / plugin / "plugin.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def verify(cli, monkeypatch):
    """`verify` with the mutants installed as a stranger's plugin."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    return lambda *arguments: cli("verify", "-p", "mutants.plugin", *arguments)


@pytest.mark.slow
def test_one_call_passes_every_honest_method_and_fails_every_mutant(verify):
    """Every first-party method that fits keeps every claim; every mutant breaks the one it was made to break.

    On one small task of each kind. An honest method may be undecided where no closed form exists, or where its draws do
    not vary (an unordered set of both states of one bit), never FAIL.
    """
    result = verify(
        *("-t", "bernoulli-toy", "-t", "grid-laplacian[side=8]", "--family", "gradients", "--family", "logdet"),
        *("--format", "json", "-j", "2", "--isolation", "worker"),
    )
    assert result.code == 1, result.err
    breaks = mutants()
    failed = {(row["method"], row["claim"]) for row in result.rows if row["verdict"] == "FAIL"}
    assert set(breaks.items()) <= failed
    assert {method for method, _ in failed} == set(breaks)
    others = {*breaks, "raises"}
    honest = {row["verdict"] for row in result.rows if row["method"] not in others}
    assert honest <= {"PASS", "UNDECIDED", "unsupported", "skipped"}
    undecided = [row for row in result.rows if row["method"] not in others and row["verdict"] == "UNDECIDED"]
    assert {row["claim"] for row in undecided} <= {"finite-variance", "unbiased"}
    assert {row["method"] for row in undecided if row["claim"] == "unbiased"} <= {"unordered-set"}


def test_a_word_that_names_a_family_is_one(verify):
    """`verify logdet exact` is one family and one of its methods."""
    out = verify("logdet", "exact", "-t", "grid-laplacian[side=8]", "-n").out
    assert "logdet" in out
    assert "gradients" not in out


def test_every_kind_of_claim_has_a_mutant():
    """A check that cannot fail is a defect: each claim that the core can check is broken by a mutant."""
    third_party = loaded("promising")
    broken = {"draws": mutants(), "training": third_party.TRAINING_BREAKS, "subject": third_party.SUBJECT_BREAKS}
    for of, breaks in broken.items():
        assert {spec.name for spec in CORE_CLAIMS if spec.of == of} <= set(breaks.values())


@pytest.mark.parametrize(("family", "honest", "of"), [("lines", "honest", "TRAINING"), ("waves", "sine", "SUBJECT")])
def test_a_family_without_draws_is_verified(cli, monkeypatch, family, honest, of):
    """Trainings and subjects of a third party: the honest method passes, each mutant fails what it breaks; exit 1."""
    # One mutant writes to the data sets of this process.
    monkeypatch.setattr("kexue_bench.lab.data._loaded", {})
    monkeypatch.syspath_prepend(str(PLUGINS))
    result = cli("verify", "-p", "promising.plugin", "--family", family, *HERE)
    breaks = getattr(loaded("promising"), f"{of}_BREAKS")
    assert result.code == 1, result.err
    failed = {(row["method"], row["claim"]) for row in result.rows if row["verdict"] == "FAIL"}
    assert set(breaks.items()) <= failed
    assert {method for method, _ in failed} == set(breaks)
    assert {row["verdict"] for row in result.rows if row["method"] == honest} == {"PASS"}
    assert cli("verify", honest, "-p", "promising.plugin", "--family", family, *HERE).code == 0


def test_the_table_has_a_column_for_the_promises_of_each_kind(cli, monkeypatch):
    """What counts how often stands under it; draws are not mentioned where there are none."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    out = cli("verify", "-p", "promising.plugin", "honest", "sine", "--isolation", "none").out
    assert "training   descends" in out
    assert "subject   odd" in out
    text = " ".join(out.split())
    assert "(training: tasks times 5 claims: finite, own-stream, pure, repeatable, stacked; " in text
    assert "; subject: tasks times 4 claims:" in text
    assert "general" not in text


def test_nothing_to_verify_says_why_and_exits_2(cli, monkeypatch):
    """A family whose tasks record for themselves has no claims that could be checked."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    result = cli("verify", "-p", "chaos.plugin", "--family", "chaos", "-t", "run")
    assert result.code == 2
    assert "there is nothing to verify, got family 'chaos' with only tasks of kind 'record'" in result.err
    assert "name one with -t, or write --suite standard" in result.err


def test_exit_codes_tell_a_failed_claim_from_a_failed_check(verify):
    """0 when all hold, 1 when a claim fails, 3 when a check did not end and none failed."""
    toy = ("-t", "bernoulli-toy", *HERE)
    assert verify("rloo", *toy).code == 0
    assert verify("st-unbiased", *toy).code == 1
    incomplete = verify("raises", *toy)
    assert incomplete.code == 3
    assert {row["status"] for row in incomplete.rows} == {"failed"}


def test_json_rows_carry_the_violation_its_interval_and_what_would_have_been_caught(verify):
    """For a biased method declared unbiased, on bits too many to be enumerated: several times what would be seen."""
    rows = verify("st-unbiased", "-t", "bernoulli-toy[bits=40]", *HERE).rows
    (row,) = [row for row in rows if row["claim"] == "unbiased"]
    assert row["verdict"] == "FAIL"
    assert 0.1 < row["low"] <= row["value"] <= row["high"]
    assert row["detectable"] < row["tolerance"] < row["value"]
    assert row["unit"] == "sd"


def test_conditional_claims_are_checked_where_they_hold(verify):
    """ReinMax claims to be unbiased at temperature 1 on quadratics, and nothing elsewhere."""

    def claimed(method, task):
        rows = verify(method, "-t", task, *HERE).rows
        return {row["claim"]: row["verdict"] for row in rows}.get("unbiased")

    assert claimed("reinmax", "bernoulli-toy") == "PASS"
    assert claimed("reinmax", "bernoulli-toy[power=3.0]") is None
    assert claimed("reinmax[temperature=1.5]", "bernoulli-toy") is None


def test_the_table_says_what_failed_and_what_chance_there_was(verify):
    """Failures first, the matrix of claims, and the sum of the levels."""
    out = verify("st-unbiased", "rloo", "-t", "bernoulli-toy", "--isolation", "none").out
    lines = [line for line in out.splitlines() if "unbiased" in line]
    assert "st-unbiased" in lines[0] + lines[1]
    assert out.index("st-unbiased") < out.index("rloo")
    # Both means are enumerated: only the rows of the two methods are tested.
    assert "false-alarm rate <= 0.02 %" in out
    assert "17 claims = 1 FAIL + 16 PASS" in out


def test_a_third_partys_sampling_task_without_budgets_runs_and_is_verified(cli, plugin):
    """It is measured and keeps every promise; today's words were `an estimation needs a precision or a budget`."""
    where = ("-p", plugin("sampling"), "--family", "third", "--isolation", "case")
    result = cli("compare", "third", "-p", plugin("sampling"), "--stage", "evaluate", "--format", "json")
    assert result.code == 0, result.err
    assert {row["status"] for row in result.rows} == {"ok"}
    verified = cli("verify", *where, "--format", "json")
    assert verified.code == 0, verified.err
    assert {row["verdict"] for row in verified.rows} == {"PASS"}


@pytest.mark.parametrize("kind", ["trained", "subject", "record"])
def test_a_class_that_lacks_the_functions_of_its_kind_ends_the_run(cli, plugin, kind):
    """Exit code 2 before anything is measured, with what is missing and the kind that fits."""
    result = cli("compare", "third", "-p", plugin(kind), "--stage", "evaluate")
    assert result.code == 2
    assert f"zero: a task of kind {kind!r} must have" in result.err
    assert "declare kind='sampling'" in result.err


def test_claims_that_could_not_be_checked_are_no_pass(cli, monkeypatch):
    """A package that is missed only at the import of a method: the reasons are told, exit code 2."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    result = cli("verify", "importing", "-p", "promising.plugin", "--isolation", "none")
    assert result.code == 2
    assert "none of the 4 claims can be checked here, got ModuleNotFoundError" in result.err
