from dataclasses import replace

import numpy as np
import pytest
import stored
from stored import BASE, RIVAL, SOURCE, TOY, Book, figure, method
from tabled import TASK, cell, row

from kexue_bench.analysis import comparison as analysis
from kexue_bench.analysis.published import Figure, figures, reproductions, resolve
from kexue_bench.api import FamilySpec, Instance, MethodSpec, PublishedSpec, TaskSpec
from kexue_bench.catalog.plugins import PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import UnknownNameError, UsageError


def run():
    book = Book(baseline=BASE)
    units = np.random.default_rng(1).gamma(400.0, 1 / 400.0, 96)
    book.sampled(TOY, BASE, units)
    book.sampled(TOY, RIVAL, 0.25 * units)
    return book.run()


def read(*known, of=None):
    return analysis.read(
        [of or run()], metrics=stored.METRICS, families=stored.FAMILIES, tasks=stored.TASKS, published=known
    )


def only(tabulation):
    ((item,),) = [table.published for table in tabulation.tables]
    return item


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.2, 0.3, "reproduced"),
        (None, 0.3, "reproduced"),
        (0.3, 0.4, "not reproduced"),
        (None, 0.2, "not reproduced"),
        (0.25, 0.4, "undecided"),
    ],
)
def test_a_verdict_is_by_the_whole_interval(low, high, verdict):
    """Inside of the accepted range, outside of it, or across its end: the mse is .25 with about 1 % around it."""
    item = only(read(figure(value=None, low=low, high=high)))
    assert item.low < 0.25 < item.high
    assert item.verdict == verdict


def test_an_exact_value_needs_no_interval():
    """`evaluations` is counted: 1 lies in [1, 1]."""
    item = only(read(figure(metric="evaluations", value=1.0, low=1.0, high=1.0)))
    assert (item.value, item.low, item.high, item.verdict) == (1.0, 1.0, 1.0, "reproduced")


def test_against_the_baseline_the_paired_ratio_counts():
    """Units in fixed proportion: the paired ratio is .25 without spread, the intervals apart are 1 % wide each."""
    item = only(read(figure(against=BASE, low=0.2499, high=0.2501)))
    assert item.verdict == "reproduced"


def test_against_another_method_the_intervals_divide():
    """1 / .25 = 4, and the quotient's interval holds the quotients of all ends."""
    item = only(read(figure(of=BASE, against=RIVAL, value=4.0, low=3.0, high=5.0)))
    assert item.value == pytest.approx(4)
    (table,) = read().tables
    ends = [row.cells["mse"] for row in table.rows]
    assert item.high == pytest.approx(max(a.high / b.low for a in ends for b in ends if a is not b))
    above, below = sorted(ends, key=lambda cell: -cell.value)
    assert item.low == pytest.approx(above.low / below.high)
    assert item.verdict == "reproduced"


def test_a_figure_of_another_task_or_method_is_left_out():
    """Its protocol is not this one: neither other parameters nor a method that was not asked for."""
    other = Instance(name="toy", params={"bits": 200}, target="x:Y", label="toy[bits=200]")
    (table,) = read(figure(task=other), figure(of=method("disarm"))).tables
    assert table.published == ()


def test_a_failed_row_is_not_measured():
    """A method that crashed keeps its figure, without one of ours."""
    book = Book(baseline=BASE)
    book.sampled(TOY, BASE, np.ones(8))
    book.outcome(book.case(TOY, RIVAL), status="crashed", phase="evaluate", reason="SIGSEGV")
    item = only(read(figure(), of=book.run()))
    assert (item.value, item.verdict) == (None, "not measured")


def test_flat_rows_hold_both_figures():
    """What `export --what published` writes."""
    (row,) = read(figure()).published()
    assert row["published"] == pytest.approx(0.25)
    assert row["value"] == pytest.approx(0.25, rel=0.02)
    assert (row["verdict"], row["source"], row["method"]) == ("reproduced", SOURCE, RIVAL.label)


def registry(*published):
    family = FamilySpec(
        name="toys", title="", summary="", contract="", precision_metric="mse", baseline="reinforce", headline=()
    )
    target = "kexue_gradients.methods.rloo:Rloo"
    own = MethodSpec(name="rloo", family="toys", target=target, summary="", aliases=("loo",))
    task = TaskSpec(name="toy", family="toys", target=target, summary="", version=1)
    specs = {FamilySpec: (family,), MethodSpec: (own,), TaskSpec: (task,), PublishedSpec: published}
    return Registry([PluginRecord(name="toys", origin="toys", specs=specs)])


TWO = {"entry=0": 1.0, "entry=1": 0.0}


def spec(**fields):
    known = {
        "name": "one",
        "family": "toys",
        "kind": "number",
        "value": 1.0,
        "low": 0.9,
        "high": 1.1,
        "task": "toy",
        "method": "rloo",
        "metric": "mse",
        "source": SOURCE,
    }
    return PublishedSpec(**{**known, **fields})


def test_selectors_resolve_with_their_defaults():
    """`rloo` and its alias are the instance with every default filled in."""
    found = resolve(spec(method="loo[n=4]"), registry())
    assert found.method.params["n"] == 4
    assert found.method.name == "rloo"
    assert resolve(spec(), registry()).method.params["n"] == 2


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"method": "rlo"}, UnknownNameError, "rloo"),
        ({"task": "toi"}, UnknownNameError, "toy"),
        ({"method": "rloo[n=[2,4]]"}, UsageError, "one method"),
        ({"low": 2.0, "high": 1.0}, UsageError, "range is empty"),
        ({"value": 1.2}, UsageError, "excludes the published value, got 1.2"),
        ({"kind": "exact"}, UsageError, "must be one of number, reading, order, vector, got 'exact'"),
        ({"low": None}, UsageError, "needs both ends"),
        ({"value": None}, UsageError, "needs a value"),
        ({"kind": "reading", "value": None, "statement": "above"}, UsageError, "a reading needs a value"),
        ({"kind": "order", "value": None, "low": None}, UsageError, "an order has a statement"),
        ({"kind": "order", "value": None, "statement": "below"}, UsageError, "one end of a range"),
        ({"kind": "order", "low": None, "statement": "below"}, UsageError, "and no value"),
        ({"kind": "vector", "entries": {"entry=0": 1.0}, "within": 0.1}, UsageError, "at least two entries"),
        ({"kind": "vector", "entries": {"entry=0": 1.0, "entry=1": 0.0}}, UsageError, "`within` > 0"),
        ({"kind": "vector", "entries": TWO, "within": 0.1}, UsageError, "instead of a value"),
        ({"entries": TWO}, UsageError, "only a vector has `entries`"),
        ({"blind": False}, UsageError, "only a reading has `blind = false`"),
    ],
)
def test_a_figure_that_names_nothing_is_refused(fields, kind, words):
    """A name that is not registered, several instances, or a range that does not belong to the kind of the figure."""
    with pytest.raises(kind, match=words):
        resolve(spec(**fields), registry())


def test_a_bad_figure_costs_only_itself():
    """The others stand; the note names the figure."""
    found, notes = figures(registry(spec(), spec(name="two", method="rlo")))
    assert [item.spec.name for item in found] == ["one"]
    assert len(notes) == 1
    assert "toys/two" in notes[0]


def test_a_figure_against_a_method_that_has_no_row_is_not_measured():
    """Half of a ratio is no ratio, and a rival without this column is none either."""
    item = only(read(figure(against=method("disarm"))))
    assert (item.value, item.verdict) == (None, "not measured")
    book = Book(baseline=BASE)
    book.sampled(TOY, RIVAL, [1.0, 1.1])
    book.outcome(book.case(TOY, BASE), status="crashed", phase="evaluate", reason="SIGSEGV")
    item = only(read(figure(against=BASE), of=book.run()))
    assert (item.value, item.verdict) == (None, "not measured")


def test_on_a_linear_scale_a_figure_of_two_methods_is_a_difference():
    """1 - 3 = -2 with intervals of +-0.1 and +-0.2: between -2.3 and -1.7."""
    rows = (row("a", cell("gap", 1.0, 0.9, 1.1)), row("b", cell("gap", 3.0, 2.8, 3.2)))
    known = Figure(
        spec=replace(figure().spec, metric="gap", low=-3.0, high=-1.0),
        task=TASK, method=rows[0].method, against=rows[1].method,
    )  # fmt: skip
    (item,) = reproductions([known], ("gradients", TASK), rows, lambda _: "linear")
    assert (item.value, item.low, item.high) == pytest.approx((-2.0, -2.3, -1.7))
    assert item.verdict == "reproduced"


def test_a_ratio_to_what_may_be_zero_is_not_measured():
    """An interval that holds 0 has no quotient."""
    rows = (row("a", cell("gap", 1.0, 0.9, 1.1)), row("b", cell("gap", 0.1, 0.0, 0.2)))
    known = Figure(spec=replace(figure().spec, metric="gap"), task=TASK, method=rows[0].method, against=rows[1].method)
    (item,) = reproductions([known], ("gradients", TASK), rows, lambda _: "log")
    assert item.verdict == "not measured"


def test_a_figure_without_a_task_is_refused():
    """It would belong to every task."""
    with pytest.raises(UsageError, match="needs a task and a method"):
        resolve(spec(task=""), registry())


@pytest.mark.parametrize(
    ("second", "within", "expected", "verdict"),
    [
        ((0.5, None, None), 0.1, (0.05, 0.05, 0.05), "reproduced"),
        ((0.5, None, None), 0.04, (0.05, 0.05, 0.05), "not reproduced"),
        ((0.6, 0.55, 0.65), 0.2, (0.1, 0.05, 0.15), "reproduced"),
        ((0.6, 0.55, 0.65), 0.12, (0.1, 0.05, 0.15), "undecided"),
        (None, 0.2, (None, None, None), "not measured"),
    ],
)
def test_a_vector_is_one_figure(second, within, expected, verdict):
    """Its value is the largest distance of an entry, here of 1.05 from 1 or of the second from 0.5, with the interval
    of that distance; an entry that was not measured leaves the whole vector open.
    """
    cells = [cell("soft[entry=0]", 1.05), *([cell("soft[entry=1]", *second)] if second else [])]
    rows = (row("a", *cells),)
    known = figure(
        kind="vector", value=None, low=None, high=None, metric="soft", within=within,
        entries={"entry=0": 1.0, "entry=1": 0.5},
    )  # fmt: skip
    known = replace(known, task=TASK, method=rows[0].method)
    (item,) = reproductions([known], ("gradients", TASK), rows, lambda _: "linear")
    assert (item.value, item.low, item.high) == tuple(v if v is None else pytest.approx(v) for v in expected)
    assert item.verdict == verdict
