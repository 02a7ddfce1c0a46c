"""Evidence of identities."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.catalog.core_claims import decide
from kexue_bench.lab.evidence import identity, same

ROW = torch.tensor([1.0, math.nan, -0.0])


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        (ROW.clone(), True),
        (torch.tensor([1.0, 2.0, 0.0]), False),
        (torch.tensor([math.nan, math.nan, 0.0]), False),
        (ROW.double(), False),
        (ROW[:, None], False),
        (ROW[:2], False),
    ],
    ids=["itself", "number for NaN", "NaN for number", "dtype", "shape", "length"],
)
def test_tensors_are_the_same_in_shape_dtype_and_every_value(other, equal):
    """NaN equals NaN and nothing else, so that a method that gives NaN twice repeats itself."""
    assert same(ROW, other) is equal
    assert same(other, ROW) is equal


@pytest.mark.parametrize(("violation", "verdict"), [(0.0, "PASS"), (1e-3, "PASS"), (2e-3, "FAIL")])
def test_an_identity_holds_up_to_its_tolerance(violation, verdict):
    """What violates it by no more than the tolerance passes, without a test that could be undecided."""
    assert decide(identity("pure", violation, "looked", tolerance=1e-3)) == verdict
