"""registry: names, provenance, collisions, and hyper-parameters read without importing."""

import pytest

from kexue_bench.api import (
    ClaimSpec,
    CommandSpec,
    FamilySpec,
    MethodSpec,
    MetricSpec,
    PublishedSpec,
    ReadingSpec,
    ReporterSpec,
    TaskSpec,
)
from kexue_bench.catalog.plugins import REGISTRATION, PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import UnknownNameError


def family(name="f", baseline="m"):
    return FamilySpec(
        name=name, title=name, summary="", contract="", precision_metric="mse", baseline=baseline, headline=("mse",)
    )


def method(name="m", **more):
    return MethodSpec(**{"name": name, "family": "f", "target": "a:B", "summary": "", **more})


def task(name="t", **more):
    return TaskSpec(**{"name": name, "family": "f", "target": "a:B", "summary": "", "version": 1, **more})


def claim(name, family, summary=""):
    return ClaimSpec(name=name, target="a:b", summary=summary, family=family)


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
    assert registry.problems == {"two": ["duplicate name: method 'f/m' is already registered by one"]}


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


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("methods", lambda: method("x", variants=("x[n=2",))),
        ("tasks", lambda: task("x", suites={"quick": ("x[n]",)})),
        ("tasks", lambda: task("x", methods={"quick": ("m[",)})),
        ("tasks", lambda: task("x", baseline="m]")),
    ],
)
def test_a_selector_that_cannot_be_parsed_costs_only_its_spec(kind, spec):
    """Found when plugins are loaded, and recorded with the name of the spec."""
    registry = Registry([plugin("a", families=[family()], **{kind: [spec()]})])
    assert ("f", "x") not in getattr(registry, kind)
    assert "'x': " in registry.problems["a"][0]


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
    registry = Registry(
        [plugin("a", families=[family()], metrics=[MetricSpec(name="time", unit="ms"), MetricSpec(name="elbo")])]
    )
    assert registry.metric("f", "time").unit == "s"
    assert registry.metrics["f", "elbo"].family == "f"
    problem = "metric 'time' belongs to the core and is shared by all families; choose another name"
    assert registry.problems["a"] == [problem]


def test_a_metric_without_a_family_belongs_to_the_one_that_its_plugin_extends():
    """Registered or extended by a method; two of them leave it open, and the message asks."""
    owner = plugin("z", families=[family(), family("g")])
    loss = MetricSpec(name="loss", unit="nats")
    one = Registry([plugin("a", methods=[method()], metrics=[loss]), owner])
    assert one.metric("f", "loss").unit == "nats"
    assert one.metric("g", "loss") is None
    two = Registry([plugin("a", methods=[method()], claims=[claim("x", "g")], metrics=[loss]), owner])
    assert two.metric("f", "loss") is None
    assert two.problems == {"a": ["metric 'loss' needs its family: write family= f or g"]}


def test_two_families_may_have_a_metric_of_one_name():
    """Each with its own unit; a bare name finds both, `family/name` one, and the core's is every family's."""
    plugins = [
        plugin(name, families=[family(name)], metrics=[MetricSpec(name="error", unit=unit)])
        for name, unit in (("f", "nats"), ("g", ""))
    ]
    registry = Registry(plugins)
    assert not registry.problems
    assert {name: spec.unit for name, spec in registry.metrics_named("error").items()} == {"f": "nats", "g": ""}
    assert list(registry.metrics_named("g/error")) == ["g"]
    assert list(registry.metrics_named("time")) == [""]
    assert list(registry.metrics_named("f/time")) == ["f"]
    with pytest.raises(UnknownNameError, match="did you mean error"):
        registry.metrics_named("eror")
    with pytest.raises(UnknownNameError, match=r"metric of family 'f'.*did you mean error"):
        registry.metrics_named("f/eror")
    with pytest.raises(UnknownNameError, match="family"):
        registry.metrics_named("h/error")


@pytest.mark.parametrize("first", ["owner", "other"])
@pytest.mark.parametrize(
    ("kind", "spec", "key"),
    [
        ("methods", lambda text: method("x", summary=text), ("f", "x")),
        ("tasks", lambda text: task("x", summary=text), ("f", "x")),
        ("claims", lambda text: claim("x", "f", summary=text), ("f", "x", "draws")),
        ("metrics", lambda text: MetricSpec(name="x", family="f", summary=text), ("f", "x")),
        ("readings", lambda text: ReadingSpec(name="x", family="f", target="a:B", summary=text), ("f", "x")),
        (
            "published",
            lambda text: PublishedSpec(
                name="x",
                family="f",
                kind="order",
                task="t",
                method="m",
                metric="mse",
                source="s",
                low=0,
                statement=text,
            ),
            ("f", "x"),
        ),
    ],
)
def test_the_owner_of_a_family_keeps_its_names_whatever_the_order(first, kind, spec, key):
    """The other registration is refused and recorded, not the owner's."""
    owner = plugin("owner", families=[family()], **{kind: [spec("owner")]})
    other = plugin("other", **{kind: [spec("other")]})
    registry = Registry([owner, other] if first == "owner" else [other, owner])
    found = getattr(registry, kind)[key]
    assert "owner" in (getattr(found, "statement", ""), found.summary if kind != "published" else "")
    assert list(registry.problems) == ["other"]
    assert "is already registered by owner" in registry.problems["other"][0]


def test_the_alias_of_an_owner_is_its_name():
    """Otherwise a third party's method could never be reached."""
    owner = plugin("owner", families=[family()], methods=[method("reinmax", aliases=("zgr",))])
    registry = Registry([plugin("other", methods=[method("zgr")]), owner])
    assert list(registry.methods_of("f")) == ["reinmax"]
    assert registry.problems == {"other": ["method 'zgr' has a name that is already an alias of 'reinmax'"]}


def test_only_the_plugin_of_a_family_may_check_a_claim_of_the_core_otherwise():
    """A third party may not weaken what methods of others are held to."""
    own = claim("unbiased", "f")
    assert Registry([plugin("a", families=[family()], claims=[own])]).claims["f", "unbiased", "draws"] == own
    registry = Registry([plugin("a", families=[family()]), plugin("other", claims=[own])])
    assert ("f", "unbiased", "draws") not in registry.claims
    assert "belongs to the core" in registry.problems["other"][0]


def test_what_is_wrong_is_told_with_its_plugin_and_what_was_meant():
    """A broken plugin, an unknown family and a claim without a check; a blocked plugin was meant to be absent."""
    registry = Registry(
        [
            plugin("a", families=[family("gradients")]),
            plugin(
                "b",
                methods=[
                    MethodSpec(name="m", family="gradient", target="a:B", summary=""),
                    MethodSpec(name="n", family="gradients", target="a:B", summary="", claims=("unbaised",)),
                ],
            ),
            PluginRecord(name="bad", origin="", status="broken", reason="import error: no torch"),
            PluginRecord(name="blocked", origin="", status="blocked", reason="blocked by -p no:blocked"),
        ]
    )
    assert registry.complaints == (
        "plugin bad: import error: no torch",
        "plugin b: method 'm': its family 'gradient' is not registered; did you mean gradients?",
        "plugin b: method 'n': no check is registered for its claim 'unbaised'; did you mean unbiased?",
    )


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


def test_reporters_and_verbs_are_kept_with_their_plugin():
    """The first of a name stands, as for every spec."""
    loud, verb = (
        cls(name=name, target="a:b", summary="") for cls, name in ((ReporterSpec, "loud"), (CommandSpec, "x"))
    )
    registry = Registry([plugin("one", reporters=[loud], commands=[verb]), plugin("two", reporters=[loud])])
    assert registry.reporters == {"loud": loud}
    assert registry.commands == {"x": verb}
    assert "duplicate" in registry.problems["two"][0]


def test_aliases_are_listed_by_family():
    """`list` shows them beside the name they stand for."""
    registry = Registry([plugin("one", families=[family(), family("g")], methods=[method(aliases=("em", "me"))])])
    assert registry.aliases_of("f") == {"em": "m", "me": "m"}
    assert registry.aliases_of("g") == {}


@pytest.mark.parametrize("name", ["My-Method", "my method", "a/b", "m[n=2]", "*", "-m", ""])
def test_a_name_that_a_selector_could_not_write_is_a_problem(name):
    """Spaces, capitals and the signs of selectors; the other methods of the plugin are registered."""
    registry = Registry(
        [plugin("a", families=[family()], methods=[method(name), method("hutch++"), method("a-b2.c_d")])]
    )
    assert list(registry.methods_of("f")) == ["hutch++", "a-b2.c_d"]
    assert registry.problems["a"][0].startswith(f"method {name!r}: a name has lower-case letters")


def test_a_word_that_no_task_offers_is_a_problem_with_a_suggestion():
    """Whichever plugin brings the task."""
    tasks = plugin("b", tasks=[task(offers=frozenset({"enumerable"}))])
    lost = plugin("a", families=[family()], methods=[method(needs="enumerabel"), method("n", needs="enumerable")])
    registry = Registry([lost, tasks])
    assert registry.problems == {
        "a": ["method 'm': needs 'enumerabel', which no task of 'f' offers; did you mean enumerable?"]
    }


def test_one_claim_may_be_a_plain_string():
    """It is not read letter by letter."""
    assert method(claims="unbiased").claims == method(claims=("unbiased",)).claims


def test_who_makes_a_claim():
    """A promise is made by all, a declared cost by whoever declares one in a family with a price, others by name."""
    from installed import registry

    found = registry()
    made = {key: {spec.name for spec in found.claimants(claim)} for key, claim in found.claims.items()}
    assert made["", "pure", "draws"] == {name for _, name in found.methods}
    assert "rloo" in made["", "declared-cost", "draws"]
    assert made["smoothing", "upper-bound", "subject"] == {
        name for name, spec in found.methods_of("smoothing").items() if "upper-bound" in {c.name for c in spec.claims}
    }
