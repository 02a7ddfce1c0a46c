"""Every object x dtype x condition x mode: right within the error of the dtype, or refused; no silent third outcome."""

from __future__ import annotations

import pytest
import torch
from product import CONDITIONS, DTYPES, HEAD, MODES, PAGE, REFUSED, cell, count, documented, meant, outcome
from subjects import OBJECTS, subjects

OURS = pytest.mark.parametrize(("family", "name"), OBJECTS)
KINDS = {
    "gradients": ("bernoulli", "categorical", "gaussian", "gamma"),
    "logdet": ("logdet", "trace", "inverse", "residual"),
    "orthogonality": ("loss", "step"),
    "f1": ("loss",),
    "smoothing": ("max", "argmax", "one-hot", "sample", "cumax", "top-k", "sort", "rank", "relu", "step"),
}
pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, of compilers and of layers without weights


@pytest.fixture(autouse=True)
def _as_in_a_worker(one_thread):
    """One thread."""


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "compiled"])
@OURS
def test_an_object_does_what_the_table_of_the_docs_says(family, name, mode):
    """Right where the table says yes, and refused where it says so, in every combination that it stands for."""
    assert {subject.kind: cell(subject, mode) for subject in subjects(family, name)} == documented(family, name)[mode]


@pytest.mark.parametrize(("family", "kind"), [(family, kind) for family, kinds in KINDS.items() for kind in kinds])
def test_the_first_object_of_a_kind_is_compiled(family, kind):
    """`torch.compile` of a step with it gives the numbers of the eager one."""
    first = next(one for key in OBJECTS if key[0] == family for one in subjects(*key) if one.kind == kind)
    assert cell(first, "compiled") == documented(family, first.name)["compiled"][kind]


def test_the_table_holds_no_object_that_is_gone_and_the_right_count():
    """Its rows are those of the registry, and so is the number of combinations; the text is that of the program."""
    text = PAGE.read_text()
    assert text.startswith(f"{HEAD}\n{count()} combinations were tried")
    rows = {line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")}
    assert rows - {"method"} == {name for family, name in OBJECTS if subjects(family, name)}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in ("eager", "compiled")])
@OURS
def test_every_dtype_and_condition_in_every_mode(family, name, mode):
    """A mode refuses in other dtypes and conditions only what it refuses in float32, or what is refused without it."""
    for subject in subjects(family, name):
        for dtype in DTYPES:
            for condition in CONDITIONS:
                found = outcome(subject, dtype, condition, mode)
                usual = "plain" if not meant(subject, "masked", mode) else "masked"
                refused = {
                    outcome(subject, torch.float32, usual, mode),
                    outcome(subject, torch.float32, "plain", mode),
                    outcome(subject, dtype, condition, "eager"),
                }
                assert found != REFUSED or REFUSED in refused, (subject, dtype, condition)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@OURS
def test_every_object_is_compiled(family, name):
    """As the table says."""
    found = {subject.kind: cell(subject, "compiled") for subject in subjects(family, name)}
    assert found == documented(family, name)["compiled"]
