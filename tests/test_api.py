"""api: the nouns that every room shares."""

from pathlib import Path
from typing import get_args

import pytest

from kexue_bench.api import STATUSES, Status

ROOT = Path(__file__).parents[1]


def test_every_status_has_its_row():
    """The table holds every status once, in the order of their declaration."""
    assert tuple(STATUSES) == get_args(Status)


@pytest.mark.parametrize("name", STATUSES)
def test_a_result_is_never_run_again(name):
    """What is complete stays as it is; everything else is run again, at least on request."""
    assert STATUSES[name].result == (STATUSES[name].again == "never")


def test_what_was_never_meant_to_run_is_skipped_or_unsupported():
    """A cancelled case is quiet, but it was meant to run."""
    assert [name for name, ending in STATUSES.items() if ending.left_out] == ["skipped", "unsupported"]
    assert STATUSES["cancelled"].quiet


@pytest.mark.parametrize("name", STATUSES)
def test_the_documented_table_is_the_table(name):
    """`docs/results-schema.md` says of each status what the code does."""
    ending = STATUSES[name]
    row = f"| `{name}` | {'yes' if ending.result else 'no'} | {ending.again} | {ending.meaning} |"
    assert row in (ROOT / "docs" / "results-schema.md").read_text().splitlines()
