"""`env`: the facts that every run records."""

from __future__ import annotations

import json

from kexue_bench.store.environment import capture


def test_the_facts_are_those_that_a_run_records(cli):
    """As JSON, and nothing else on the standard output."""
    result = cli("env")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == json.loads(json.dumps(capture(), default=str))
