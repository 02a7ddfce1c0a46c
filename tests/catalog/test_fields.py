"""fields: the hyper-parameters of a spec, as `dataclasses` has them, read without importing."""

import sys
import textwrap

import pytest

from kexue_bench.api import MethodSpec
from kexue_bench.catalog.fields import fields_of
from kexue_bench.catalog.source import docstring_of
from kexue_bench.errors import PluginError


def spec(target, **more):
    return MethodSpec(name="m", family="f", target=target, summary="", **more)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that must not be imported, and return its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(source, name):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n" + textwrap.dedent(source))
        return name

    return write


def test_fields_are_read_without_importing(module):
    """Name, type, literal default and the Args line come from the source alone."""
    name = module(
        '''
        class Half:
            """Half of it.

            Args:
                n: how many,
                    at least two.
                t: temperature.
            """
            n: int = 2
            t: float = 1
            kind: str
            KINDS: "ClassVar[int]" = 3
        ''',
        "unimported_one",
    )
    n, t, kind = fields_of(spec(f"{name}:Half"))
    assert (n.type, n.default, n.doc) == ("int", 2, "how many, at least two.")
    assert t.default == 1.0
    assert isinstance(t.default, float)
    assert kind.default is None
    assert docstring_of(f"{name}:Half").startswith("Half of it.")
    assert name not in sys.modules


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class A:\n    n: int = 1 + x", "literal"),
        ("class A:\n    n: list = None", "annotated int, float, str or bool"),
        ("class B: ...", "names no class"),
    ],
)
def test_unreadable_targets_say_why(module, source, message):
    """A computed default, a rich annotation or a missing class is explained to the author."""
    name = module(source, f"unreadable_{abs(hash(source))}")
    with pytest.raises(PluginError, match=message):
        fields_of(spec(f"{name}:A"))


def test_a_missing_module_is_a_plugin_error():
    """The target's module is named."""
    with pytest.raises(PluginError, match="no_such_package"):
        fields_of(spec("no_such_package.half:Half"))


def test_a_base_of_another_package_must_leave_no_field_to_it(module):
    """Class variables are none; a field of its own is declared again where it is used."""
    base = module(
        """
        from dataclasses import dataclass
        from typing import ClassVar

        @dataclass
        class Base:
            n: int = 2
            KINDS: ClassVar[int] = 3
        """,
        "unimported_base",
    )
    name = module(
        f"""
        from dataclasses import dataclass
        from {base} import Base

        @dataclass
        class Own(Base):
            n: int = 4

        @dataclass
        class Left(Base): ...
        """,
        "unimported_child",
    )
    assert [(field.name, field.default) for field in fields_of(spec(f"{name}:Own"))] == [("n", 4)]
    with pytest.raises(PluginError, match="declare its field 'n' in 'Left'"):
        fields_of(spec(f"{name}:Left"))
