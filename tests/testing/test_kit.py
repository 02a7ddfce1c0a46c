"""The kit on objects: a method that keeps everything, and one for each thing that it must find."""

import random
import sys

import pytest
import torch

from kexue_bench.errors import UnknownNameError
from kexue_bench.testing import check_family, check_method, check_package, check_task

PLUGIN = "erring.plugin"


def wrong(findings):
    """The checks that failed."""
    return {found.check for found in findings if found.ok is False}


def test_an_honest_method_keeps_everything_in_both_dtypes(erring):
    """Every promise of draws is among the findings, in float32 and in float64; its own fields are what is checked."""
    from erring.methods import Honest

    found = check_method(Honest(scale=2.0), plugins=PLUGIN)
    assert wrong(found) == set()
    places = {(each.check, each.place.rpartition(", ")[2]) for each in found if each.place}
    promises = {"unbiased", "repeatable", "own-stream", "pure", "shape-and-dtype", "finite", "independent-rows"}
    assert places == {(name, dtype) for name in promises for dtype in ("float32", "float64")}
    assert {"registered", "target", "docstring", "knobs", "contract", "frozen", "pickling", "deepcopy"} < {
        each.check for each in found
    }
    assert {each.subject for each in found if each.place} == {"erring/honest[scale=2]"}


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("Biased", {"unbiased"}),
        ("Seeding", {"own-stream", "repeatable", "global-state"}),
        ("Wide", {"shape-and-dtype"}),
        ("Setting", {"pure", "global-state"}),
        ("Writing", {"pure", "repeatable", "own-stream", "independent-rows"}),
    ],
)
def test_each_fault_is_found_and_its_message_says_what_to_change(erring, name, checks):
    """Every other check of the same method is in order."""
    import erring.methods

    found = check_method(getattr(erring.methods, name)(), dtypes=("float32",), plugins=PLUGIN)
    assert wrong(found) == checks
    assert all(";" in each.message or "put back" in each.message for each in found if each.ok is False)


def test_the_process_is_left_as_it_was(erring):
    """Settings, threads and global generators, whatever the method does."""
    from erring.methods import Setting

    torch.manual_seed(3)
    random.seed(3)
    before = torch.get_rng_state(), random.getstate(), torch.get_num_threads(), torch.is_anomaly_enabled()
    check_method(Setting(), dtypes=("float32",), plugins=PLUGIN)
    after = torch.get_rng_state(), random.getstate(), torch.get_num_threads(), torch.is_anomaly_enabled()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_an_unregistered_class_is_told_how_to_register():
    """There is nothing else to check."""
    (found,) = check_method(object())
    assert found.check == "registered"
    assert "@kexue_bench.method(...)" in found.message
    (found,) = check_task(object())
    assert "@kexue_bench.task(...)" in found.message


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("Numbers", set()),
        ("Fickle", {"suites", "repeatable"}),
        ("Empty", {"suites", "docstring", "contract", "measured"}),
        ("Failing", {"suites", "measured"}),
    ],
)
def test_a_task_is_tried_out_with_the_baseline(erring, name, checks):
    """Measured twice, timed once, and its promises."""
    import erring.tasks

    found = check_task(getattr(erring.tasks, name)(), plugins=PLUGIN)
    assert wrong(found) == checks


def test_a_family_has_a_contract_that_can_be_imported(erring):
    """The erring family and one of ours are in order; an unknown name suggests others."""
    assert wrong(check_family("erring", plugins=PLUGIN)) == set()
    assert wrong(check_family("logdet")) == set()
    with pytest.raises(UnknownNameError):
        check_family("errin", plugins=PLUGIN)


def test_a_package_is_found_by_plugin_or_package(erring):
    """What it registers is checked, and nothing of others."""
    found = check_package("erring", plugins=PLUGIN, measured=False)
    subjects = {each.subject for each in found}
    assert {"plugin erring", "erring", "erring/honest", "erring/numbers"} <= subjects
    assert {subject.partition("/")[0] for subject in subjects if "/" in subject} == {"erring"}
    assert "contract" in {each.check for each in found if each.subject == "erring/misfit" and each.ok is False}
    with pytest.raises(UnknownNameError, match="install it, or load it with -p"):
        check_package("erring-package")


FILES = '''
from dataclasses import dataclass
from kexue_bench import FilePath, discover, hookimpl, task

@hookimpl
def kexue_specs():
    return discover(__name__, family="gradients")

@task("needs-file", "reads a file", version=1)
@dataclass(frozen=True, kw_only=True)
class NeedsFile:
    """The truth of a file."""

    path: FilePath
    size: int

    def __post_init__(self):
        open(self.path)

    def problem(self, method, ctx): ...
'''


def test_what_needs_a_file_of_the_users_is_only_read(tmp_path, monkeypatch):
    """It has no object with its defaults and belongs to no suite, and nothing is wrong with that."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "filing.py").write_text(FILES)
    found = check_package("filing", plugins="filing.py")
    assert wrong(found) == set()
    assert {"target", "docstring", "suites"} <= {each.check for each in found}


def test_the_kit_is_light_to_import():
    """Collecting tests that name it imports neither torch nor pytest."""
    import subprocess

    code = "import sys, kexue_bench.testing; print([m for m in ('torch', 'numpy', 'pytest') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
