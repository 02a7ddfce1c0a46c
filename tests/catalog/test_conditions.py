"""conditions: expressions of specs are data, never code."""

import pytest

from kexue_bench.catalog.conditions import amount, holds
from kexue_bench.errors import PluginError

SCOPE = {"fields": {"n": 2, "temperature": 1.0, "baseline": "none"}, "task": {"power": 2.0}, "offers": {"quadratic"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("temperature == 1", True),
        ("temperature == 1 and 'quadratic' in offers", True),
        ("temperature == 1 and task.power == 3", False),
        ("baseline != 'ema' or n < 2", True),
        ("not ('spd' in offers)", True),
        ("n - 1 == 1", True),
    ],
)
def test_conditions_read_fields_task_and_offers(text, expected):
    """Logic and comparison over plain values."""
    assert holds(text, **SCOPE) is expected


@pytest.mark.parametrize(
    ("text", "expected"), [("n", 2.0), ("2 * n + 1", 5.0), ("1 if baseline == 'none' else n", 1.0)]
)
def test_amounts_are_numbers(text, expected):
    """Declared cost of a call over its fields."""
    assert amount(text, **SCOPE) == expected


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "n.__class__", "unknown", "(lambda: 1)()", "[1][0]", "n ==", "n < 'a'", "1 / 0", "task.other"],
)
def test_anything_else_is_refused(text):
    """Calls, attributes, indexing, unknown names and nonsense are errors, and nothing is run."""
    with pytest.raises(PluginError):
        holds(text, **SCOPE)


def test_an_amount_must_be_a_number():
    """A text is no cost."""
    with pytest.raises(PluginError, match="must be a number"):
        amount("baseline", **SCOPE)
