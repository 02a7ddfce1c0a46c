"""A cell as text: exact zeros, bounds, ratios, and what pairing can have removed."""

from __future__ import annotations

from dataclasses import replace

from tabled import cell

from kexue_bench.report.cells import has_spread, value_and_spread


def test_what_is_exact_up_to_rounding_is_zero_with_the_rounding():
    """3e-9 known to 4e-8 is 0; what is exact and larger than rounding stands as it is, and so does what was sampled."""
    assert value_and_spread(cell("bias", 3e-9, 0.0, 4e-8, exact=True), relative=False) == ("0", "±4e-8")
    assert value_and_spread(cell("bias", 0.0, 0.0, 0.0, exact=True), relative=False) == ("0", "")
    assert value_and_spread(cell("bias", 0.5, 0.5 - 1e-9, 0.5 + 1e-9, exact=True), relative=False)[0] == "0.500000"
    assert value_and_spread(cell("bias", 3e-9, 0.0, 4e-8), relative=False) == ("|b|<4e-8", "")
    cancelled = cell("bias", 5e-9, 1e-9, 9e-9, exact=True)
    assert value_and_spread(cancelled, relative=False)[0] == "5e-9"
    assert value_and_spread(cancelled, relative=False, truth=True) == ("0", "±9e-9")


def test_gains_of_pairing_are_those_of_sampled_pairs(tabulation):
    """Exact rows and rows equal for every draw say nothing about what pairing saves."""
    toy = tabulation.tables[0]
    by_name = {row.method.name: row.cells["mse"] for row in toy.rows if "mse" in row.cells}
    assert has_spread(by_name["rloo"])
    assert not has_spread(by_name["exact"])
    assert not has_spread(replace(by_name["rloo"], flags=frozenset({"degenerate"})))
