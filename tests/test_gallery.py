"""The gallery of mutants: what `verify` said of each is what it says, and the page shows it."""

from __future__ import annotations

from collections import Counter

import gallery
import points
import pytest
import torch

MUTANTS = {mutant.key: mutant for mutant in gallery.every()}
FOUND = dict.fromkeys(MUTANTS, gallery.Verdict(said="not run")) | gallery.found()
QUICK = [key for key in MUTANTS if FOUND[key].said == "caught" and FOUND[key].seconds <= gallery.SLOW]
REST = [key for key in MUTANTS if key not in QUICK]
FORMER_MISSES = (
    "gradients: gradient for sigma times sigma squared",
    "gradients: 2 % too long",
    "gradients: baseline of the own batch",
    "logdet: divisor n of the error bar",
    "logdet: one Lanczos step short",
)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("key", QUICK)
def test_a_mutant_fails_the_claim_that_caught_it(key):
    """The claim and the task of the table; the seeds are fixed."""
    assert gallery.checked(MUTANTS[key], only=FOUND[key]).said == "caught"


@pytest.mark.slow
@pytest.mark.parametrize("key", REST)
def test_the_rest_of_the_gallery_is_as_the_table_says(key):
    """Mutants that take long to catch, and those that break no claim: these pass all of them."""
    only = FOUND[key] if FOUND[key].said == "caught" else None
    assert gallery.checked(MUTANTS[key], only=only).said == FOUND[key].said


def test_every_mutant_is_caught_or_has_a_reason():
    """A mutant without a reason is caught, one with a reason is not; no two have one name."""
    assert {key: FOUND[key].said for key in MUTANTS} == {
        key: "undecidable" if mutant.why else "caught" for key, mutant in MUTANTS.items()
    }
    assert set(gallery.found()) == set(MUTANTS)
    assert len(MUTANTS) == len(gallery.every())


def test_every_kind_of_method_has_three_mutants():
    """In all families."""
    counts = Counter((mutant.family, mutant.kind) for mutant in MUTANTS.values())
    assert {family for family, _ in counts} == set(gallery.FAMILIES)
    assert {kind: count for kind, count in counts.items() if count < 3} == {}


def test_the_former_misses_are_caught_by_the_claim_itself():
    """Not by a promise that has nothing to do with the mistake."""
    said = {key: FOUND[key].claim for key in FORMER_MISSES}
    assert set(said.values()) <= {"unbiased", "error-bar", "exact-at(steps=n)"}


def test_the_page_shows_what_was_found():
    """`python -m gallery` writes it."""
    text = gallery.PAGE.read_text(encoding="utf-8")
    assert gallery.written(text, FOUND) == text


def test_a_mutant_leaves_no_trace():
    """The real code is back afterwards, and an honest method passes."""
    mutant = MUTANTS["f1: 1 added to numerator and denominator"]
    before = gallery.checked(mutant)
    (case,) = [case for case in gallery.cases("f1", mutant.method) if case.claim == before.claim]
    with torch.no_grad():
        assert gallery.verdict(case) == "PASS"


@pytest.mark.parametrize("task", ["bernoulli-toy", "gamma-cost"])
def test_no_mutant_hides_at_a_verification_point(task):
    """Each mutant that is biased at some candidate is biased at some point in use by a tenth of that at least."""
    assert max(points.power(task, params) for params in points.used(task)) > 0.1


def test_a_degenerate_point_hides_a_mutant():
    """With sigma = 1 a gradient times sigma squared is right, at theta = 0 a weight without its absolute value."""
    assert points.power("bernoulli-toy", {"power": 2.0, "theta": 0.0, "t": 0.37}) == 0


@pytest.mark.slow
@pytest.mark.parametrize("task", points.CANDIDATES)
def test_the_points_in_use_are_near_the_best_of_the_search(task):
    """Within a factor of two of the best candidate."""
    best = max(points.power(task, params) for params in points.candidates(task))
    assert max(points.power(task, params) for params in points.used(task)) >= best / 2
