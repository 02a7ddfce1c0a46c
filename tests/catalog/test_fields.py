"""fields: the hyper-parameters of a spec, as `dataclasses` has them, read without importing."""

import dataclasses
import importlib
import sys
import textwrap

import pytest

from kexue_bench.api import MethodSpec
from kexue_bench.catalog.fields import fields_of, fixed_of
from kexue_bench.catalog.source import docstring_of, exports_of
from kexue_bench.errors import PluginError

IMPORTS = """\
import abc, dataclasses, typing
from abc import ABC
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Generic, Protocol, TypeVar
T = TypeVar('T')
"""
DIAMOND = """\
@D
class R:
    r: int = 1
    s: int = 1
@D
class A(R):
    a: int = 1
    r: int = 2
@D
class B(R):
    b: int = 1
    s: int = 3
@D
class X(A, B): ...
"""
DATACLASS = "@dataclass(frozen=True, kw_only=True)\n"


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
        ("class A:\n    n: list = None", "annotated int, float, str, bool, FilePath or CodePath"),
        ("class B: ...", "names a class that its module lacks"),
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


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write the files of a package, each with the usual imports, and return its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(files):
        # One name a package: what an earlier test imported would be found instead.
        home = tmp_path / f"{tmp_path.name}_{len(list(tmp_path.iterdir()))}"
        for file, source in {"__init__.py": "", **files}.items():
            text = textwrap.dedent(source).replace("@D\n", DATACLASS)
            (home / file).parent.mkdir(parents=True, exist_ok=True)
            (home / file).write_text(IMPORTS + text)
        return home.name

    return write


def read(target, **more):
    """What the desk reads, as (name, type, default)."""
    return [(field.name, field.type, field.default) for field in fields_of(spec(target, **more))]


def python(target):
    """What Python makes of it."""
    module, _, name = target.partition(":")
    fields = dataclasses.fields(getattr(importlib.import_module(module), name))
    kinds = {"int": int, "float": float, "str": str, "bool": bool}
    return [
        (
            field.name,
            {kind: word for word, kind in kinds.items()}.get(field.type, field.type),
            None if field.default is dataclasses.MISSING else field.default,
        )
        for field in fields
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("@D\nclass A:\n  n: int = 1\n@D\nclass X(A):\n  m: int = 2\n", "nm"),
        ("@D\nclass A:\n  n: int = 1\n  k: int = 3\n@D\nclass X(A):\n  m: int = 2\n  n: float = 0.5\n", "nkm"),
        ("@D\nclass A:\n  n: int = 1\nclass X(A):\n  m: int = 2\n", "n"),
        ("@D\nclass A:\n  n: int = 1\nclass B(A): ...\n@D\nclass X(B):\n  m: int = 2\n", "nm"),
        ("class A:\n  n: int = 1\n@D\nclass X(A):\n  m: int = 2\n", "m"),
        ("class A(Protocol):\n  n: int\n@D\nclass X(A):\n  m: int = 2\n", "m"),
        ("@D\nclass A(ABC, Generic[T]):\n  n: int = 1\n@D\nclass X(A[int], abc.ABC):\n  m: int = 2\n", "nm"),
        ("@D\nclass A:\n  a: int = 1\n@D\nclass B:\n  b: int = 1\n@D\nclass X(A, B):\n  m: int = 2\n", "bam"),
        (
            DIAMOND,
            "rsba",
        ),
        ("@D\nclass A:\n  n: int = 1\n  k: int = 1\n@D\nclass X(A):\n  n: ClassVar[int] = 2\n", "k"),
        ("@D\nclass A:\n  n: int = 1\n@D\nclass X(A):\n  n = 5\n", "n"),
        ("@dataclasses.dataclass\nclass X:\n  n: int = 1\n  _: KW_ONLY\n  m: int\n", "nm"),
        ("class M:\n  n: int = 1\n@D\nclass A:\n  a: int = 1\n@D\nclass X(M, A):\n  m: int = -2\n", "am"),
    ],
)
def test_fields_follow_the_bases_as_python_does(package, source, expected):
    """Dataclasses before what derives from them, an overridden field in its first place; plain bases add nothing."""
    name = package({"m.py": source})
    assert [field for field, _, _ in read(f"{name}.m:X")] == list(expected)
    assert read(f"{name}.m:X") == python(f"{name}.m:X")


def test_a_base_is_followed_through_the_imports_of_its_package(package):
    """Relative, absolute, under another name, through a package that hands it on, also for type checkers only."""
    name = package(
        {
            "base.py": '@D\nclass Base:\n  """Base.\n\n  Args:\n    n: the base.\n  """\n  n: int = 1\n',
            "inner/__init__.py": "from ..base import Base as Handed\n",
            "lazy/__init__.py": "if typing.TYPE_CHECKING:\n    from ..base import Base as Handed\n",
            "a.py": "from .base import Base\n@D\nclass X(Base): ...\n",
            "b.py": "from .inner import Handed as H\n@D\nclass X(H):\n  m: int = 2\n",
            "c.py": "from .lazy import Handed\n@D\nclass X(Handed): ...\n",
            "d.py": "from . import base\n@D\nclass X(base.Base): ...\n",
        }
    )
    assert read(f"{name}.a:X") == read(f"{name}.c:X") == read(f"{name}.d:X") == [("n", "int", 1)]
    assert read(f"{name}.b:X") == [("n", "int", 1), ("m", "int", 2)]
    assert [field.doc for field in fields_of(spec(f"{name}.b:X"))] == ["the base.", ""]
    assert not [module for module in sys.modules if module.startswith(name)]


def test_a_dataclass_of_another_package_is_an_error_that_names_it(package):
    """Unless the class declares each of its fields itself; a class that is not a dataclass adds nothing."""
    other = package({"m.py": "@D\nclass Far:\n  n: int = 1\nclass Plain:\n  k: int = 1\nclass Below(Far): ...\n"})
    name = package(
        {
            "a.py": f"from {other}.m import Far\n@D\nclass X(Far):\n  m: int = 2\n",
            "b.py": f"from {other}.m import Below\n@D\nclass X(Below):\n  m: int = 2\n",
            "c.py": f"from {other}.m import Far\n@D\nclass X(Far):\n  m: int = 2\n  n: int = 3\n",
            "d.py": f"from {other}.m import Plain\nfrom os import PathLike\n@D\nclass X(Plain, PathLike): ...\n",
        }
    )
    for module in ("a", "b"):
        message = rf"{module}\.py:8: the base {other}\.m:Far of 'X' is a dataclass of another.*declare its field 'n' in"
        with pytest.raises(PluginError, match=message):
            read(f"{name}.{module}:X")
    assert read(f"{name}.c:X") == python(f"{name}.c:X") == [("n", "int", 3), ("m", "int", 2)]
    assert read(f"{name}.d:X") == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("@D\nclass X(X): ...\n", r"m\.py:7: the class 'X' is its own base"),
        ("class A(X): ...\nclass X(A): ...\n", r"is its own base"),
        ("class A: ...\nclass B(A): ...\nclass X(A, B): ...\n", r"m\.py:8: the bases of 'X' have no common order"),
        ("class X: ...\nclass X: ...\n", r"m\.py:7: the class 'X' is defined twice"),
        ("@D\nclass X:\n  n: int = field(default=1)\n", r"py:8: the default of the field 'n' of X must be a literal"),
        ("@D\nclass X:\n  n: int = (1, 2)\n", r"m\.py:8: the default of the field 'n' of X must be a literal"),
    ],
)  # fmt: skip
def test_classes_that_make_no_sense_say_where(package, source, message):
    """Circles, bases without an order, two classes of a name, defaults that are computed."""
    with pytest.raises(PluginError, match=message):
        read(f"{package({'m.py': source})}.m:X")


def test_fixed_fields_are_no_parameters_and_defaults_replace_those_of_the_class(package):
    """Both have the type of their field; a field without a default may be held fast."""
    target = package({"m.py": "@D\nclass X:\n  kind: str\n  n: int = 1\n  t: float = 0.5\n"}) + ".m:X"
    assert read(target, fixed={"kind": "max", "t": 1}, defaults={"n": 3}) == [("n", "int", 3)]
    held = fixed_of(spec(target, fixed={"kind": "max", "t": 1}))
    assert held == {"kind": "max", "t": 1.0}
    assert type(held["t"]) is float
    assert read(target, defaults={"kind": "min", "t": 2}) == [
        ("kind", "str", "min"), ("n", "int", 1), ("t", "float", 2.0)
    ]  # fmt: skip
    assert fixed_of(spec(target)) == {}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"fixed": {"m": 1}}, r"unknown field of .*:X in 'fixed' of 'm', got 'm'; known: kind, n"),
        ({"defaults": {"kid": "a"}}, r"in 'defaults' of 'm', got 'kid'; did you mean kind"),
        ({"fixed": {"n": "1"}}, r"the field 'n' in 'fixed' of 'm' must be of type int, got '1'"),
        ({"fixed": {"n": True}}, r"must be of type int, got True"),
        ({"defaults": {"n": 1.0}}, r"the field 'n' in 'defaults' of 'm' must be of type int, got 1\.0"),
        ({"fixed": {"n": 1}, "defaults": {"n": 1}}, r"'n' of 'm' is in both 'fixed' and 'defaults'"),
    ],
)
def test_fixed_and_defaults_must_fit_the_fields(package, more, message):
    """A name that is not a field, a value of another type, a field in both."""
    target = package({"m.py": "@D\nclass X:\n  kind: str = 'a'\n  n: int = 1\n"}) + ".m:X"
    with pytest.raises(PluginError, match=message):
        read(target, **more)
    with pytest.raises(PluginError, match=message):
        fixed_of(spec(target, **{"fixed": {"n": 1}, **more}))


def test_an_edited_base_is_read_again(package, tmp_path):
    """Also where another module hands it on; a program that lives long sees what its workers will see."""
    name = package(
        {
            "base.py": "@D\nclass Base:\n  n: int = 1\n",
            "inner.py": "from .base import Base as Handed\n",
            "m.py": "from .inner import Handed\n@D\nclass X(Handed):\n  m: int = 2\n",
        }
    )
    base, inner = (tmp_path / name / file for file in ("base.py", "inner.py"))
    assert [field for field, _, _ in read(f"{name}.m:X")] == ["n", "m"]
    base.write_text(base.read_text().replace("n: int = 1", "n: int = 1\n  k: int = 2"))
    assert [field for field, _, _ in read(f"{name}.m:X")] == ["n", "k", "m"]
    inner.write_text(inner.read_text().replace("import Base as Handed", "import Base as Kept"))
    assert [field for field, _, _ in read(f"{name}.m:X")] == ["m"]


def test_public_names_are_the_imports_for_type_checkers_and_all(package):
    """`show` tells by them from where a name is imported."""
    name = package({"__init__.py": "if typing.TYPE_CHECKING:\n    from .m import X as X\n__all__ = ['Y', *Z]\n"})
    assert exports_of(name) == {"X", "Y"}


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
