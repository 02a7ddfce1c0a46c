"""registry: names, provenance, collisions, and hyper-parameters read without importing."""

import pytest

from kexue_bench.api import ClaimSpec, FamilySpec, MethodSpec, MetricSpec, TaskSpec
from kexue_bench.catalog.plugins import REGISTRATION, PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import UnknownNameError


def family(name="f", baseline="m"):
    return FamilySpec(
        name=name, title=name, summary="", contract="", precision_metric="mse", baseline=baseline, headline=("mse",)
    )


def method(name="m", **more):
    return MethodSpec(name=name, family="f", target="a:B", summary="", **more)


def plugin(name, **specs):
    full = {kind: tuple(specs.get(hook.removeprefix("kexue_"), ())) for hook, kind in REGISTRATION.items()}
    return PluginRecord(name=name, origin=name, specs=full)


def test_the_first_registration_of_a_name_stands():
    """A later plugin loses only the colliding name, and the collision is recorded against it."""
    registry = Registry(
        [plugin("one", families=[family()], methods=[method()]), plugin("two", methods=[method(), method("other")])]
    )
    assert registry.owner("method", ("f", "m")) == "one"
    assert registry.owner("method", ("f", "other")) == "two"
    assert registry.problems == {"two": ["duplicate name: method 'f/m' is registered by one already"]}


def test_families_are_known_whatever_the_order_of_plugins():
    """A plugin may extend a family whose plugin comes later in the alphabet."""
    registry = Registry([plugin("a", methods=[method()]), plugin("z", families=[family()])])
    assert list(registry.methods_of("f")) == ["m"]


def test_a_method_of_an_unknown_family_is_a_problem():
    """It is named, not silently dropped."""
    registry = Registry([plugin("a", methods=[method()])])
    assert "its family 'f' is not registered" in registry.problems["a"][0]


def test_a_spec_that_can_never_be_evaluated_costs_only_itself():
    """A malformed condition is found when plugins are loaded, and recorded against its plugin."""
    bad = method("bad", when="n ==")
    registry = Registry([plugin("a", families=[family()], methods=[bad, method("good")])])
    assert list(registry.methods_of("f")) == ["good"]
    (problem,) = registry.problems["a"]
    assert problem.startswith("the condition of method 'bad', 'n ==', cannot be read")


def test_aliases_resolve_and_collide_like_names():
    """An alias stands for its method; a taken alias is recorded."""
    registry = Registry(
        [plugin("a", families=[family()], methods=[method("reinmax", aliases=("zgr",)), method("x", aliases=("zgr",))])]
    )
    assert registry.real_name("f", "zgr") == "reinmax"
    assert "alias 'zgr'" in registry.problems["a"][0]


def test_unknown_names_suggest_near_ones_and_name_broken_plugins():
    """A typing error gets its correction; a plugin that failed to load is named since it may own the name."""
    registry = Registry(
        [plugin("a", families=[family("gradients")]), PluginRecord(name="bad", origin="", status="broken")]
    )
    with pytest.raises(UnknownNameError, match=r"did you mean gradients.*not loaded: bad"):
        registry.family("gradient")


def test_core_metrics_cannot_be_replaced():
    """`time` means the same in every table."""
    registry = Registry([plugin("a", metrics=[MetricSpec(name="time", unit="ms"), MetricSpec(name="elbo")])])
    assert registry.metrics["time"].unit == "s"
    assert "elbo" in registry.metrics
    assert "registered by the core" in registry.problems["a"][0]


def test_general_claims_need_no_family():
    """A claim with an empty family belongs to every family."""
    registry = Registry([plugin("a", claims=[ClaimSpec(name="pure", target="a:b", summary="")])])
    assert ("", "pure", "draws") in registry.claims
    assert (
        Registry([plugin("a", tasks=[TaskSpec(name="t", family="no", target="a:B", summary="", version=1)])]).tasks
        == {}
    )


def test_one_name_may_be_checked_of_draws_and_of_trainings():
    """Claims are told apart by what their check is given; of several that fit, the first that is given counts."""
    claims = [ClaimSpec(name="calm", family="toy", target=f"m:{of}", summary="", of=of) for of in ("draws", "training")]
    registry = Registry([plugin("a", families=[family("toy")], claims=claims)])
    assert registry.problems == {}
    assert registry.claim("toy", "calm", "draws").target == "m:draws"
    assert registry.claim("toy", "calm", "subject", "training").target == "m:training"
    assert registry.claim("toy", "calm", "subject") is None
    assert registry.claim("toy", "unbiased", "training") is None
