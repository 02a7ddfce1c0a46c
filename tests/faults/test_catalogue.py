"""Every fault of the catalogue has a test that exists, or a reason why it has none."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CATALOGUE = tomllib.loads((HERE / "faults.toml").read_text(encoding="utf-8"))
GROUPS = "PWDSGEIR"


def test_the_catalogue_is_whole():
    """The faults of eight groups, each numbered without a gap."""
    counts = {group: sum(fault.startswith(group) for fault in CATALOGUE) for group in GROUPS}
    assert set(CATALOGUE) == {f"{group}{i + 1}" for group, count in counts.items() for i in range(count)}
    assert all(counts.values())


@pytest.mark.parametrize("fault", CATALOGUE)
def test_a_fault_has_a_test_or_a_reason(fault):
    """The tests that are named exist; a reason is a sentence."""
    row = CATALOGUE[fault]
    assert ("tests" in row) != ("why_not" in row)
    if "why_not" in row:
        assert re.fullmatch(r"[A-Z].{20,}\.", row["why_not"])
        return
    assert row["tier"] in {"T0", "T1", "T2", "T3", "T4", "T5"}
    for test in row["tests"]:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test
