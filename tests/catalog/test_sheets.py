"""sheets: what can be said of a Python file without running it."""

import copy
import json
import textwrap

import pytest

from kexue_bench.catalog.sheets import pack, read, unpack

SOURCE = '''
"""Module."""
from __future__ import annotations
import dataclasses as dc
from typing import TYPE_CHECKING
from ..words import UNBIASED as U, X
if TYPE_CHECKING:
    from .half import Half as Half
A = ("a", -1, 2.5, None, True, *X)
B: dict = {"k": [1], "m": {1, 2}}
C = D = 2 ** 14
E, F = 1, 2
G = 1
G += 1
for H in range(3):
    I = H
K = Knob("x", grid=(1.0,), **A)
L = f"{A}"
M = 1e999
P = kb.Knob(field="x")


@outer.inner
@method("half", "half of it", needs={"a"}, **A)
@dc.dataclass(frozen=True)
class Half(Base, Generic[T], mod.Mixin):
    """Half.

    Args:
        n: how many,
            at least two.
    """

    n: int = 2
    t: float
    z = 3


@claim("c", "summary")
def check(task, method, ctx):
    """Checks."""


def plain():
    """Not kept."""
'''


@pytest.fixture(scope="module")
def sheet():
    return read(textwrap.dedent(SOURCE).encode())


def term(sheet, name):
    (binding,) = sheet.constants[name]
    return binding.term


def test_constants_are_terms_with_their_lines(sheet):
    """Literals are values; names, stars and calls are kept; anything else is kept as it is written."""
    values = [["value", v] for v in ("a", -1, 2.5, None, True)]
    assert term(sheet, "A") == ["tuple", [*values, ["star", ["name", "X", 9], 9]], 9]
    assert term(sheet, "B") == [
        "dict",
        [
            [["value", "k"], ["list", [["value", 1]], 10]],
            [["value", "m"], ["set", [["value", 1], ["value", 2]], 10]],
        ],
        10,
    ]
    assert term(sheet, "K") == [
        "call",
        "Knob",
        [["", ["value", "x"]], ["grid", ["tuple", [["value", 1.0]], 17]], ["**", ["name", "A", 17]]],
        17,
    ]
    assert term(sheet, "L") == ["unreadable", "f'{A}'", 18]
    assert term(sheet, "M") == ["unreadable", "1e309", 19]
    assert term(sheet, "P")[:2] == ["call", "kb.Knob"]


def test_every_binding_of_a_name_is_kept(sheet):
    """A name that is bound twice, or in a way that cannot be read, is an error only where it is used."""
    assert [binding.line for binding in sheet.constants["G"]] == [13, 14]
    assert [term(sheet, name)[0] for name in "CDEFHI"] == ["unreadable"] * 6


def test_imports_are_kept_as_written(sheet):
    """The module with its dots, and the name there; those for type checkers apart."""
    assert sheet.imports["U"] == ("..words", "UNBIASED")
    assert sheet.imports["dc"] == ("dataclasses", "")
    assert sheet.public == {"Half": (".half", "Half")}


def test_a_class_has_its_decorators_bases_and_annotated_names(sheet):
    """In the order of the source; the parameters of a generic base are left out, and so is what has no annotation."""
    (half,) = sheet.classes
    assert [(item.name, item.called) for item in half.decorators] == [
        ("outer.inner", False), ("method", True), ("dc.dataclass", True)
    ]  # fmt: skip
    assert [word for word, _ in half.decorators[1].arguments] == ["", "", "needs", "**"]
    assert half.bases == ("Base", "Generic", "mod.Mixin")
    assert [(item.name, item.type, item.default) for item in half.attributes] == [
        ("n", "int", ["value", 2]), ("t", "float", None)
    ]  # fmt: skip
    assert half.documented == {"n": "how many, at least two."}
    assert half.doc.startswith("Half.")


def test_a_function_has_its_decorators(sheet):
    """Its docstring is kept where it is decorated."""
    check, plain = sheet.functions
    assert (check.name, check.doc, check.decorators[0].name) == ("check", "Checks.", "claim")
    assert (plain.name, plain.doc, plain.decorators) == ("plain", "", ())


def test_a_sheet_survives_being_stored(sheet):
    """Packed, written as JSON and read back it is the same sheet."""
    assert unpack(json.loads(json.dumps(pack(sheet), allow_nan=False))) == sheet


def places(data, path=()):
    """The path of every value inside plain data."""
    yield path
    if isinstance(data, (list, dict)):
        for key, item in data.items() if isinstance(data, dict) else enumerate(data):
            yield from places(item, (*path, key))


@pytest.mark.parametrize("wrong", [3, "x y", None, [], {}, ["value", []], [["deep"]]])
def test_what_is_not_a_sheet_is_refused(sheet, wrong):
    """Wherever a value is put that does not belong there, the result is a sheet in every part, or a ValueError."""
    packed = json.loads(json.dumps(pack(sheet)))
    for path in places(packed):
        broken = [copy.deepcopy(packed)]
        inner, key = broken, 0
        for step in path:
            inner, key = inner[key], step
        inner[key] = wrong
        try:
            made = unpack(broken[0])
        except (ValueError, TypeError):
            continue
        assert pack(made) == broken[0]


@pytest.mark.parametrize(
    "wrong",
    [
        [{"A": [[["names", "X", 9], 9]]}, {}, {}, [], []],
        [{"A": [[["value", 1e999], 9]]}, {}, {}, [], []],
        [{}, {}, {}, [["os.system", 1, [], [], [], "", {}]], []],
        [{}, {}, {}, [["A", 1, [], [], [["x y", "int", 2, None]], "", {}]], []],
        [{}, {}, {}, [], [["f()", 1, [], ""]]],
    ],
)
def test_forms_and_names_that_no_source_has_are_refused(wrong):
    """A term of an unknown form; a name that could lead elsewhere when it becomes a target."""
    with pytest.raises(ValueError, match="not a"):
        unpack(wrong)
