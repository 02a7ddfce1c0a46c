"""selectors: `name[param=value]` -> instances."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexue_bench.api import Given, MethodSpec, TaskSpec
from kexue_bench.catalog.fields import Field
from kexue_bench.catalog.selectors import anchored as rewritten
from kexue_bench.catalog.selectors import coerce, expand, matches, one, parse, read, same, split, text, unique
from kexue_bench.errors import UnknownNameError, UsageError

FIELDS = (
    Field(name="n", type="int", default=2),
    Field(name="t", type="float", default=1.0),
    Field(name="baseline", type="str", default="none"),
    Field(name="exact", type="bool", default=False),
)
METHOD = MethodSpec(name="m", family="f", target="a:B", summary="")


def instances(selector):
    return expand(parse(selector), METHOD, FIELDS, source="p")


def test_defaults_are_filled_in():
    """A bare name holds every declared field at its default."""
    (instance,) = instances("m")
    assert instance.params == {"n": 2, "t": 1.0, "baseline": "none", "exact": False}
    assert instance.label == "m"


def test_a_grid_is_a_product():
    """Two values of one and two of another parameter make four instances."""
    found = instances("m[n=[2,4],t=[1,.5]]")
    assert [(i.params["n"], i.params["t"]) for i in found] == [(2, 1.0), (2, 0.5), (4, 1.0), (4, 0.5)]
    assert found[1].label == "m[n=2,t=0.5]"


def test_values_take_the_declared_type():
    """1 for a float is 1.0, and quotes make text of anything."""
    (instance,) = instances("m[t=1,baseline='a,b',exact=TRUE]")
    assert (instance.params["t"], instance.params["baseline"], instance.params["exact"]) == (1.0, "a,b", True)
    assert isinstance(instance.params["t"], float)


def test_default_written_out_is_the_same_instance():
    """`m` and `m[n=2]` are one thing."""
    (bare,), (written,) = instances("m"), instances("m[n=2]")
    assert same(bare, written)
    assert unique([bare, written]) == (bare,)


@pytest.mark.parametrize(
    ("selector", "error", "message"),
    [
        ("m[n=two]", UsageError, "type int"),
        ("m[n=2.5]", UsageError, "type int"),
        ("m[t=nan]", UsageError, "type float"),
        ("m[t=inf]", UsageError, "must be finite, got 'inf'"),
        ("m[t=-1e999]", UsageError, "must be finite, got '-1e999'"),
        ("m[exact=maybe]", UsageError, "type bool"),
        ("m[k=1]", UnknownNameError, "unknown parameter"),
        ("m[n=1,n=2]", UsageError, "given twice"),
        ("m[n]", UsageError, "name=value"),
        ("m[n=]", UsageError, "name=value"),
        ("m[n=[]]", UsageError, "no value"),
        ("m[n=2", UsageError, r"end with \]"),
        ("mn=2]", UsageError, "without an opening"),
        ("[n=2]", UsageError, "needs a name"),
    ],
)
def test_bad_selectors_say_what_is_wrong(selector, error, message):
    """Each mistake has its own sentence."""
    with pytest.raises(error, match=message):
        instances(selector)


def test_a_missing_parameter_without_default_is_named():
    """A field without default must be written."""
    with pytest.raises(UsageError, match="needs the parameter 'd'"):
        expand(parse("m"), METHOD, (Field(name="d", type="int", default=None),))


def test_commas_split_only_outside_brackets_and_quotes():
    """One option may hold several selectors."""
    assert split("rloo[n=[2,4]],disarm , x['a,b']") == ["rloo[n=[2,4]]", "disarm", "x['a,b']"]


@pytest.mark.parametrize("value", ["a[", "a]b[", "'a"])
def test_unbalanced_brackets_and_quotes_are_refused(value):
    """A selector that a shell has eaten half of is not guessed at."""
    with pytest.raises(UsageError, match="do not match"):
        split(value + "," if value != "a]b[" else value + "[")


def test_globs_match_in_order():
    """`st-*` picks by prefix; a plain name only itself."""
    names = ["st-a", "b", "st-c"]
    assert matches(parse("st-*"), names) == ["st-a", "st-c"]
    assert matches(parse("st-a"), names) == ["st-a"]
    assert parse("gradients/rloo").family == "gradients"


def test_a_field_is_unbounded_if_its_default_is():
    """Either infinity is then a value; nan is none."""
    limit = Field(name="limit", type="float", default=math.inf)
    assert [coerce(value, limit, where="m") for value in ("inf", "-inf", "1")] == [math.inf, -math.inf, 1.0]
    with pytest.raises(UsageError, match="type float"):
        coerce("nan", limit, where="m")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_survive_being_written(value):
    """What `text` writes, `coerce` reads back exactly."""
    assert coerce(text(value), FIELDS[1], where="m") == value


def test_an_integer_must_fit_into_64_bits():
    """A larger one could be planned and run, but no reader of the stored run would accept it."""
    assert instances("m[n=9223372036854775807]")[0].params["n"] == 2**63 - 1
    with pytest.raises(UsageError, match="64 bits"):
        instances("m[n=-9223372036854775808]")


def test_a_text_may_hold_several_selectors_and_each_keeps_what_was_written():
    """Commas inside brackets belong to their selector; what is parsed already passes."""
    found = read(["rloo[n=[2,4]], st-*", "arm"])
    assert [selector.text for selector in found] == ["rloo[n=[2,4]]", "st-*", "arm"]
    assert read(found) == found


def test_one_selector_or_none():
    """The empty text names nothing."""
    assert one("") is one(None) is None
    assert one("rloo[n=2]") == parse("rloo[n=2]")


# -- files ------------------------------------------------------------------------------------------------------------

OWN = (
    Field(name="path", type="FilePath", default=None),
    Field(name="make", type="CodePath", default=""),
    Field(name="n", type="int", default=2),
)


def own(selector):
    return expand(parse(selector), TaskSpec(name="own", family="f", target="a:B", summary="", version=1), OWN)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """`a` and `b` with a file K of different content each, and code; the current folder is their parent."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "K, 1.npy").write_text(name)
    (tmp_path / "m.py").write_text("def f(): ...\n")
    return tmp_path


def test_a_file_is_known_by_its_name_without_the_folder(folders):
    """So are the label and the parameter, and thus the key; the place and the content stand apart."""
    (instance,) = own("own[path='a/K, 1.npy',make=m.py:f]")
    assert instance.params == {"path": "K, 1.npy", "make": "m.py:f", "n": 2}
    assert instance.label == "own[path='K, 1.npy',make=m.py:f]"
    assert instance.files["path"] == Given(place=f"{folders}/a/K, 1.npy", digest="ca978112ca1bbdca", size=1)
    assert instance.files["make"].place == f"{folders}/m.py:f"


def test_a_file_that_is_not_given_is_none(folders):
    """An empty default names nothing."""
    (instance,) = own("own[path='a/K, 1.npy']")
    assert (instance.params["make"], set(instance.files)) == ("", {"path"})


def test_a_missing_file_says_whose_parameter_names_it():
    """The error is one of usage, before anything runs."""
    with pytest.raises(UsageError, match="the parameter 'path' of task 'own' must name a file that exists, got 'no'"):
        own("own[path=no]")


def test_two_files_of_one_name_are_told_apart_or_refused(folders):
    """Tables could not say which is which; equal content is the same instance."""
    with pytest.raises(UsageError, match="two different files of 'own' have the same name"):
        unique(own("own[path=['a/K, 1.npy','b/K, 1.npy']]"))
    (folders / "b" / "K, 1.npy").write_text("a")
    assert len(unique(own("own[path=['a/K, 1.npy','b/K, 1.npy']]"))) == 1


def test_an_anchored_selector_means_the_same_in_every_folder(folders, monkeypatch):
    """Its text can be parsed again; a selector without a file stays as it was written."""
    written = parse("f/own[path=['a/K, 1.npy',m.py],n=3]")
    anchored = parse(rewritten(written, OWN).text)
    monkeypatch.chdir("/")
    assert (anchored.family, anchored.name, anchored.params["n"]) == ("f", "own", ("3",))
    assert anchored.params["path"] == (f"{folders}/a/K, 1.npy", f"{folders}/m.py")
    assert rewritten(parse("own[n=3]"), OWN).text == "own[n=3]"
