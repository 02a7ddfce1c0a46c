"""conditions: expressions of specs are data, never code."""

import pytest

from kexue_bench.api import Claimed, Instance, MethodSpec, TaskSpec, Unless
from kexue_bench.catalog.conditions import (
    Scope,
    amount,
    check_spec,
    facts,
    holds,
    rare_share,
    scope_of,
    sentence,
)
from kexue_bench.errors import PluginError

SCOPE = Scope(
    fields={"n": 2, "temperature": 1.0, "baseline": "none"},
    task={"power": 2.0, "rows": 4096},
    offers={"quadratic"},
    dtype="float32",
    cost="3 * n",
    claim="unbiased",
)


def method(**more):
    return MethodSpec(name="m", family="f", target="a:B", summary="", **more)


def task(**more):
    return TaskSpec(name="t", family="f", target="a:T", summary="", version=1, **more)


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
        ("dtype != 'float32'", False),
        ("cost > task.rows", False),
        ("cost == 6", True),
        ("claim in ('unbiased', 'pure')", True),
        ("claim not in ('unbiased', 'pure')", False),
        ("n in (1, 3)", False),
        ("1 < n <= 2", True),
        ("2 ** n == 4", True),
        ("task.rows if n == 1 else n == 2", True),
    ],
)
def test_conditions_read_every_name_of_their_scope(text, expected):
    """Logic, comparison and arithmetic over plain values."""
    assert holds(text, SCOPE) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("task.other == 1", False),
        ("task.other != 1", False),
        ("not task.other == 1", True),
        ("task.other == 1 or n == 2", True),
        ("task.other", False),
        ("not task.other", True),
        ("2 * task.other + 1 < 3", False),
        ("0 < 1 < task.other", False),
        ("n if task.other > 1 else 0", False),
    ],
)
def test_a_comparison_with_what_the_task_lacks_is_false(text, expected):
    """Only that comparison, whatever surrounds it."""
    assert holds(text, SCOPE) is expected


def test_a_method_without_a_cost_exceeds_none():
    """`cost > 1` is false where nothing is declared, and where the declared cost reads what the task lacks."""
    assert not holds("cost > 1", Scope())
    assert not holds("cost > 1", Scope(cost="task.rows * 2"))
    assert holds("cost > 1", Scope(cost="task.rows * 2", task={"rows": 1}))


@pytest.mark.parametrize(
    ("text", "expected"), [("n", 2.0), ("2 * n + 1", 5.0), ("1 if baseline == 'none' else n", 1.0), ("cost", 6.0)]
)
def test_amounts_are_numbers(text, expected):
    """Declared cost of a call over its fields."""
    assert amount(text, SCOPE) == expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "n.__class__",
        "unknown",
        "(lambda: 1)()",
        "[1][0]",
        "n ==",
        "n < 'a'",
        "1 / 0",
        "other.power",
        "task.power.real",
        "n in (1, (2,))",
        "n in (1, task.power)",
        "n == (2,)",
        "n is 2",
        "'a' * 9999999999",
        "2 ** 65",
        "(2 ** 60) ** 60",
        "~n",
        "None",
    ],
)
def test_anything_else_is_refused(text):
    """Calls, attributes, indexing, unknown names and nonsense are errors, and nothing is run."""
    with pytest.raises(PluginError):
        holds(text, SCOPE)


@pytest.mark.parametrize("text", ["baseline", "task.other", "task.other + 1"])
def test_an_amount_must_be_a_number(text):
    """A text is not a cost, nor is what the task lacks."""
    with pytest.raises(PluginError, match=r"must be a number|missing here"):
        amount(text, SCOPE)


def test_a_cost_that_reads_itself_is_refused():
    """No circle."""
    with pytest.raises(PluginError, match="cannot be read"):
        amount("cost", Scope(cost="cost + 1"))


def test_a_reason_shows_values():
    """Whole numbers in full, fractions and costs in short form, texts as they are."""
    scope = Scope(fields={"n": 3}, task={"budget": 2**20, "name": "iris"}, cost="2 * n")
    assert sentence("{cost} products of {task.budget} on {task.name}; {n / 8}", scope) == (
        "6 products of 1048576 on iris; 0.375"
    )
    with pytest.raises(PluginError, match=r"task\.other"):
        sentence("{task.other}", scope)


def test_the_share_of_rare_seeds_may_depend_on_parameters_and_facts():
    """By method; a method that is not named has none."""
    spec = task(facts={"rows": "side ** 2"}, rare={"m": "0.14 if rows > 3 else 0"})
    for side, share in ((2, 0.14), (1, 0.0)):
        instance = Instance(name="t", target="a:T", params={"side": side})
        assert rare_share(spec, instance, "m") == share
        assert rare_share(spec, instance, "other") == 0


def test_facts_are_evaluated_in_order_over_the_parameters():
    """A later fact reads an earlier one; conditions read both as `task.NAME`."""
    spec = task(facts={"rows": "side ** dim", "allowed": "budget if budget > 0 else rows"})
    instance = Instance(name="t", target="a:T", params={"side": 32, "dim": 2, "budget": 0})
    assert facts(spec, instance) == {"rows": 1024, "allowed": 1024}
    scope = scope_of(method(), Instance(name="m", target="a:B"), spec, instance)
    assert scope.dtype == "float32"
    assert holds("task.rows == 1024 and task.side == 32", scope)


@pytest.mark.parametrize("bad", [{"side": "1"}, {"x": "nothing"}, {"x": "task.nothing"}, {"x": "offers"}])
def test_a_fact_that_is_no_value_is_refused(bad):
    """The name of a parameter, an unknown name, and what is neither number nor text."""
    with pytest.raises(PluginError, match=r"fact|nothing"):
        facts(task(facts=bad), Instance(name="t", target="a:T", params={"side": 2}))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (method(when="n =="), "the condition of method 'm'"),
        (method(when="open('x')"), "not allowed"),
        (method(cost="2 *"), "the cost of method 'm'"),
        (method(claims=(Claimed(name="unbiased", when="n = 1"),)), "claim 'unbiased' of method 'm'"),
        (method(unless=(Unless(when="n >", because="x"),)), "a rule of method 'm'"),
        (method(unless=(Unless(when="", because="x"),)), "nothing would run"),
        (method(unless=(Unless(when="n > 1", because=""),)), "is empty"),
        (method(unless=(Unless(when="n > 1", because="{n"),)), "brace"),
        (method(unless=(Unless(when="n > 1", because="{n:g}"),)), "a reason of method 'm'"),
        (method(unless=(Unless(when="n > 1", because="{}"),)), "a reason of method 'm'"),
        (task(facts={"rows": "side ^ 2"}), "the fact 'rows' of task 't'"),
        (task(rare={"m": "0.1 if"}), "the share of rare seeds of 'm' of task 't'"),
        (task(unless=(Unless(when="n > 1", because="x"),)), "may not read 'n'"),
        (task(unless=(Unless(when="cost > 1", because="{n}"),)), "may not read 'n'"),
    ],
)
def test_what_could_never_be_evaluated_is_refused_before_it_is(spec, message):
    """Every expression of a spec is looked at, and the message says whose it is."""
    with pytest.raises(PluginError, match=message):
        check_spec(spec)


def test_what_can_be_evaluated_passes():
    """Rules, facts, costs and claims of a sound spec."""
    check_spec(
        method(
            when="'one-hot' in offers and task.classes <= 64",
            cost="2 * n",
            claims=(Claimed(name="unbiased", when="n in (1, 2)"),),
            unless=(Unless(when="cost > task.rows", because="{cost} products, {task.rows} are allowed"),),
        )
    )
    check_spec(task(facts={"rows": "side ** 2"}, unless=(Unless(when="dtype != 'float64'", because="needs {dtype}"),)))
