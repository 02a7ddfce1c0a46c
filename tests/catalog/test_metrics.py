"""metrics: a column is read by its own family's spec, else the core's, else by the default."""

from __future__ import annotations

import pytest

from kexue_bench.api import MetricSpec
from kexue_bench.catalog.metrics import CORE_METRICS, keyed, lookup

OWN = MetricSpec(name="error", family="logdet", unit="nats")
METRICS = keyed([*CORE_METRICS, OWN, MetricSpec(name="mse", family="f1", unit="odd")])


def test_the_own_spec_goes_before_the_core_s():
    """A family's `mse` is its own; the others have the core's."""
    assert lookup(METRICS, "f1", "mse").unit == "odd"
    assert lookup(METRICS, "logdet", "mse") in CORE_METRICS


def test_a_spec_of_another_family_is_not_ours():
    """`error` is in nats in logdet, and unknown everywhere else."""
    assert lookup(METRICS, "logdet", "error") == OWN
    assert lookup(METRICS, "gradients", "error") == MetricSpec(name="error", family="gradients")


def test_labels_do_not_change_the_spec():
    """`mse[reading=tuned]` is an mse."""
    assert lookup(METRICS, "gradients", "mse[reading=tuned]") == lookup(METRICS, "gradients", "mse")


@pytest.mark.parametrize("spec", CORE_METRICS, ids=lambda spec: spec.name)
def test_a_metric_of_the_core_belongs_to_no_family_and_says_what_it_is(spec):
    """Every one has a sentence for `list metrics`, and none is registered twice."""
    assert spec.family == ""
    assert spec.summary
    assert [other.name for other in CORE_METRICS].count(spec.name) == 1


def test_what_may_be_negative_or_zero_is_compared_by_differences():
    """A cosine, a bias and a score have no logarithm; squares, seconds and bytes do."""
    scales = {spec.name: spec.scale for spec in CORE_METRICS}
    assert {name for name, scale in scales.items() if scale == "linear"} == {
        "estimate", "bias", "relative-bias", "cosine", "length", "score",
    }  # fmt: skip


def test_a_derived_column_has_the_unit_of_its_factor():
    """Mse times seconds is in seconds, and so is what holds seconds."""
    assert {spec.name for spec in CORE_METRICS if spec.unit == "s"} == {"time", "time-variance", "first-call"}
    assert {spec.name for spec in CORE_METRICS if spec.unit == "B"} == {"memory", "device-memory"}
