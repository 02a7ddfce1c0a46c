"""Hyper-parameters out of range."""

from __future__ import annotations

import pytest

from kexue_gradients import (
    Arms,
    BitFlip,
    DecoupledSt,
    DisarmStickBreaking,
    DoubleCv,
    GappedStraightThrough,
    GumbelRao,
    GumbelSoftmax,
    Imle,
    Nvil,
    Rebar,
    Reinforce,
    ReinMax,
    Relax,
    Rloo,
    StGumbelSoftmax,
    StraightThrough,
    Stratified,
    UnorderedSet,
)


@pytest.mark.parametrize(
    ("cls", "fields", "says"),
    [
        (Reinforce, {"baseline": "mean"}, "baseline must be one of none, constant, ema, optimal, got 'mean'"),
        (Reinforce, {"value": 1.0}, "set baseline=constant"),
        (Reinforce, {"baseline": "ema", "decay": 1.0}, "decay must be in"),
        (Reinforce, {"baseline": "ema", "warmup": -1}, "warmup must be >= 0, got -1"),
        (Rloo, {"n": 1}, "n must be >= 2, got 1; for a single draw use reinforce"),
        (GumbelSoftmax, {"temperature": 0.0}, "temperature must be > 0, got 0.0"),
        (GumbelSoftmax, {"temperature": float("nan")}, "temperature must be > 0, got nan"),
        (StGumbelSoftmax, {"temperature": -1.0}, "temperature must be > 0"),
        (StraightThrough, {"temperature": 0.0}, "temperature must be > 0"),
        (ReinMax, {"temperature": 0.9}, "temperature must be >= 1, got 0.9"),
        (Arms, {"n": 1}, "n must be >= 2, got 1; for a single draw use reinforce"),
        (Stratified, {"n": 1}, "n must be >= 2, got 1"),
        (BitFlip, {"coordinates": 0}, "coordinates must be >= 1, got 0"),
        (DisarmStickBreaking, {"weighted": True, "order": "none"}, "weighted needs order=ascending, got 'none'"),
        (DisarmStickBreaking, {"order": "abs"}, "order must be one of ascending, descending, none, got 'abs'"),
        (UnorderedSet, {"k": 9}, "k must be in 1 .. 8, got 9"),
        (UnorderedSet, {"estimator": "topk"}, "estimator must be one of unordered-set, sum-and-sample, got 'topk'"),
        (UnorderedSet, {"baseline": "ema"}, "baseline must be one of built-in, none, got 'ema'"),
        (Rebar, {"temperature": 0.0}, "temperature must be > 0, got 0.0"),
        (Rebar, {"rate": -1.0}, "rate must be >= 0, got -1.0"),
        (Rebar, {"warmup": -1}, "warmup must be >= 0, got -1"),
        (Relax, {"hidden": 0}, "hidden must be >= 1, got 0; without a network use rebar"),
        (Relax, {"rate": 0.0}, "rate must be > 0, got 0.0"),
        (Relax, {"warmup": -1}, "warmup must be >= 0, got -1"),
        (DoubleCv, {"n": 1}, "n must be >= 2, got 1; for a single draw use muprop"),
        (DoubleCv, {"rate": -0.1}, "rate must be >= 0, got -0.1"),
        (DoubleCv, {"warmup": -1}, "warmup must be >= 0, got -1"),
        (Nvil, {"hidden": 0}, "hidden must be >= 1, got 0"),
        (Nvil, {"decay": 1.0}, "decay must be in"),
        (Nvil, {"rate": 0.0}, "rate must be > 0, got 0.0"),
        (Nvil, {"warmup": -1}, "warmup must be >= 0, got -1"),
        (GumbelRao, {"temperature": 0.0}, "temperature must be > 0, got 0.0; for its limit 0 use reinmax"),
        (GumbelRao, {"draws": 0}, "draws must be >= 1, got 0"),
        (GappedStraightThrough, {"rule": "p"}, "rule must be one of constant, probability, got 'p'"),
        (GappedStraightThrough, {"gap": -1.0}, "gap must be >= 0, got -1.0"),
        (GappedStraightThrough, {"temperature": 0.0}, "temperature must be > 0, got 0.0"),
        (DecoupledSt, {"backward": 0.0}, "backward must be > 0, got 0.0"),
        (Imle, {"strength": 0.0}, "strength must be > 0, got 0.0"),
    ],
)
def test_hyper_parameters_are_validated(cls, fields, says):
    """A value out of range is rejected with what is wrong, what was got and what to do."""
    with pytest.raises(ValueError, match=says):
        cls(**fields)
