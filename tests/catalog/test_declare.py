"""declare: declarations are read into the specs that could be written by hand, and whatever cannot be read says why."""

import dataclasses
import subprocess
import sys
import textwrap

import pytest

from kexue_bench import Claimed, ClaimSpec, Knob, MethodSpec, MetricSpec, PublishedSpec, ReadingSpec, TaskSpec, Unless
from kexue_bench.catalog import declare
from kexue_bench.catalog.declare import discover
from kexue_bench.errors import PluginError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write the files of a package that must not be imported, and return its name."""
    monkeypatch.syspath_prepend(tmp_path)
    home = tmp_path / f"declared_{tmp_path.name}".replace("-", "_")

    def write(files):
        for name, text in {"__init__.py": "", **files}.items():
            file = home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text))
        return home.name

    return write


@pytest.fixture
def read(package):
    """The specs of one module with the usual imports, of the family `toy`; further files by their names."""

    def specs(source, files=None):
        imports = "from kexue_bench import Claimed, Knob, Unless, claim, method, reading, task\n"
        return discover(package({"m.py": imports + textwrap.dedent(source), **(files or {})}), family="toy")

    return specs


METHOD = '@method("half", "half of it", {})\nclass Half:\n    n: int = 2\n    kind: str = "max"\n'


def test_a_method_is_the_spec_that_it_says(read):
    """Every keyword, with words that are shared in the file."""
    (spec,) = read("""
        SLOPE = {"discrete", "differentiable"}
        PACE = Knob(field="n", grid=(1, 2.5), scale="linear")
        BOTH = (Claimed(name="unbiased", when="n > 1"), "finite-variance")

        @method(
            "half", "half of it", needs={*SLOPE, "relaxable"}, when="n > 2", claims=("pure", *BOTH), cost="2 * n",
            unless=(Unless(when="n > 3", because="too many"),), knobs=(PACE,), references=("arXiv:1",),
            aliases=("halved",), variants=("half", "half[n=4]"), requires="other", install="pip install other",
            fixed={"kind": "max"}, defaults={"n": -7},
        )
        class Half:
            n: int = 2
            kind: str
        """)
    assert spec == MethodSpec(
        name="half",
        family="toy",
        target=spec.target,
        summary="half of it",
        needs=frozenset({"discrete", "differentiable", "relaxable"}),
        when="n > 2",
        unless=(Unless(when="n > 3", because="too many"),),
        claims=(Claimed(name="pure"), Claimed(name="unbiased", when="n > 1"), Claimed(name="finite-variance")),
        cost="2 * n",
        knobs=(Knob(field="n", grid=(1, 2.5), scale="linear"),),
        references=("arXiv:1",),
        aliases=("halved",),
        variants=("half", "half[n=4]"),
        requires="other",
        install="pip install other",
        fixed={"kind": "max"},
        defaults={"n": -7},
    )
    assert spec.target.endswith(".m:Half")


def test_a_task_is_the_spec_that_it_says(read):
    """Every keyword; words may be a string, a set or a tuple."""
    (spec,) = read("""
        @task(
            "toy", "a toy", version=3, kind="trained", offers="discrete", facts={"rows": "n * n"},
            unless=(Unless(when="n > 3", because="x"),), knobs=(Knob(field="n", grid=(1.0,)),),
            suites={"quick": ("toy",)}, methods={"quick": "fitting", "full": ("half", "fitting")}, timed=(),
            replicates={"quick": 5}, stack=5, budgets={"quick": 16}, dtype="float64", primary="loss",
            headline=("loss",), baseline="half", points="products", fixed={}, defaults={"n": 2},
        )
        class Toy:
            n: int = 1
        """)
    assert spec == TaskSpec(
        name="toy",
        family="toy",
        target=spec.target,
        summary="a toy",
        version=3,
        kind="trained",
        offers=frozenset({"discrete"}),
        facts={"rows": "n * n"},
        unless=(Unless(when="n > 3", because="x"),),
        knobs=(Knob(field="n", grid=(1.0,)),),
        suites={"quick": ("toy",)},
        methods={"quick": "fitting", "full": ("half", "fitting")},
        timed=frozenset(),
        replicates={"quick": 5},
        stack=5,
        budgets={"quick": 16},
        dtype="float64",
        primary="loss",
        headline=("loss",),
        baseline="half",
        points="products",
        fixed={},
        defaults={"n": 2},
    )


def test_keywords_are_the_fields_of_the_specs():
    """A field that a spec gains can be declared too."""
    own = {"name", "family", "target", "summary"}
    for words, spec in (
        (declare.MethodWords, MethodSpec),
        (declare.TaskWords, TaskSpec),
        (declare.ClaimWords, ClaimSpec),
        (declare.ReadingWords, ReadingSpec),
    ):
        assert {*words.__annotations__} - {"order"} == {field.name for field in dataclasses.fields(spec)} - own


def test_claims_and_readings_are_declared_where_they_are_defined(read):
    """A claim stands above its check, a reading above its class."""
    found = read("""
        @claim("honest", "it is honest", of="training", always=True)
        def check(training, method, ctx): ...

        @reading("0.5", "the threshold")
        class Half: ...
        """)
    module = found[0].target.partition(":")[0]
    assert found == (
        ClaimSpec(
            name="honest",
            family="toy",
            target=f"{module}:check",
            summary="it is honest",
            of="training",
            always=True,
        ),
        ReadingSpec(name="0.5", family="toy", target=f"{module}:Half", summary="the threshold"),
    )


def test_a_class_may_be_declared_several_times(read):
    """Each decorator makes its own spec."""
    found = read("""
        @method("b", "b", fixed={"kind": "max"})
        @method("a", "a", defaults={"n": 1})
        class Half:
            n: int = 2
            kind: str = "min"
        """)
    assert [(spec.name, spec.fixed, spec.defaults) for spec in found] == [
        ("b", {"kind": "max"}, {}), ("a", {}, {"n": 1})
    ]  # fmt: skip


def test_specs_are_sorted_by_kind_order_module_and_line(package):
    """`order` first, then what has none by module name and line."""
    one = "from kexue_bench import method, task\n"
    name = package(
        {
            "z.py": one + '@method("first", "s", order=-1)\nclass A: ...\n',
            "b.py": one + '@method("fourth", "s")\nclass A: ...\n@method("fifth", "s")\nclass B: ...\n',
            "a/x.py": one + '@task("task", "s", version=1)\nclass A: ...\n@method("third", "s")\nclass B: ...\n',
            "c.py": one + '@method("second", "s", order=3)\nclass A: ...\n',
            "a/__init__.py": "",
            "no_package/x.py": one + '@method("sixth", "s")\nclass A: ...\n',
        }
    )
    assert [spec.name for spec in discover(name, family="toy")] == [
        "first", "second", "third", "fourth", "fifth", "task"
    ]  # fmt: skip


def test_values_come_from_the_words_of_the_family(read):
    """One hop: relative or absolute, under any local name; names inside `words.py` are read there."""
    words = """
        from __future__ import annotations
        from kexue_bench import Claimed, Knob
        FIRST = ("a", "b")
        ALL = (*FIRST, "c")
        UNBIASED = (Claimed(name="unbiased"),)
        """
    (spec,) = read(
        "from .words import ALL as MINE\nfrom .words import UNBIASED\n"
        + METHOD.format("aliases=MINE, claims=UNBIASED"),
        {"words.py": words},
    )
    assert (spec.aliases, spec.claims) == (("a", "b", "c"), (Claimed(name="unbiased"),))


def test_a_starred_set_has_one_order(read):
    """A set has none, and a tuple of words must be the same in every process."""
    (spec,) = read('MORE = {"b", "d", "a", "c"}\n' + METHOD.format('aliases=("z", *MORE)'))
    assert spec.aliases == ("z", "a", "b", "c", "d")


def test_nothing_of_the_package_is_imported(package):
    """Neither modules with declarations nor torch."""
    name = package({"m.py": "raise SystemExit('imported')\nfrom kexue_bench import method\n" + METHOD.format("")})
    assert [spec.name for spec in discover(name, family="toy")] == ["half"]
    assert not [module for module in sys.modules if module.startswith(name)]


def test_a_name_that_is_not_ours_declares_nothing(package):
    """`method` of another package is another decorator; `kexue_bench.method` is ours whatever it is called here."""
    name = package(
        {
            "a.py": "from other import method\n" + METHOD.format(""),
            "b.py": "def method(*a): return lambda c: c\n" + METHOD.format(""),
            "c.py": 'import kexue_bench as k\n@k.method("one", "s", knobs=(k.Knob(field="n", grid=()),))\nclass A: ...',
            "d.py": 'from kexue_bench import method as m\n@m("two", "s")\nclass A: ...\n',
        }
    )
    assert [spec.name for spec in discover(name, family="toy")] == ["one", "two"]


def test_at_run_time_the_target_stays_what_it_is():
    """Decorators return what they were given, and importing them imports neither torch nor pandas."""

    @declare.method("half", "half of it", needs="discrete")
    class Half: ...

    def check(): ...

    assert Half.__name__ == "Half"
    assert declare.claim("c", "s")(check) is check
    assert declare.task("t", "s", version=1)(Half) is declare.reading("r", "s")(Half) is Half
    code = (
        "import sys; from kexue_bench import method, task, claim, reading, discover, Unless;"
        "print([name for name in ('torch', 'pandas', 'numpy', 'rich', 'platformdirs') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=".")
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("needs={'a'} | {'b'}", r"m\.py:2: a declaration is read without running .*got \{'a'\} \| \{'b'\}; write a"),
        ("cost='a' + 'b'", r"m\.py:2: .*got 'a' \+ 'b'"),
        ("cost=f'{n}'", r"m\.py:2: .*got f'\{n\}'"),
        ("methods=dict.fromkeys('ab')", r"m\.py:2: .*got dict\.fromkeys\(\.\.\.\)"),
        ("needs=frozenset({'a'})", r"m\.py:2: .*got frozenset\(\.\.\.\)"),
        ("cost=words.COST", r"m\.py:2: .*got words\.COST"),
        ("cost=COST", r"m\.py:2: COST cannot be read.*bind it in the family's words\.py and import it"),
        ("cost=Half", r"m\.py:2: Half cannot be read"),
        ("cost=1", r"m\.py:2: 'cost' of @method must be a string, got 1"),
        ("needs=3", r"'needs' of @method must be a string or a set, each item a string or a tuple, .*got 3"),
        ("claims='unbiased'", r"'claims' of @method must be a tuple.*got 'unbiased'; write \('unbiased',\)"),
        ("knobs=Knob(field='n', grid=(1,))", r"'knobs' of @method must be a tuple, each item Knob\(\.\.\.\)"),
        ("knobs=(Knob(field='n', grid=1),)", r"m\.py:2: 'grid' of Knob must be a tuple, each item a number, got 1"),
        ("knobs=(Knob(field='n', grid=(1,), scale='cube'),)", r"'scale' of Knob must be one of 'linear', 'log'"),
        ("knobs=(Knob('n', (1,)),)", r"Knob takes named arguments; write Knob\(field=\.\.\., grid=\.\.\., scale="),
        ("knobs=(Knob(field='n'),)", r"Knob cannot be made: .*missing 1 required.*grid"),
        ("aliases=['a']", r"'aliases' of @method must be a tuple, each item a string, got \['a'\]"),
        ("aliases=(*'ab',)", r"only a name may be starred"),
        ("fixed={['a']: 1}", r"a list or dict cannot stand in a set or be a key, got \['a'\]"),
        ("fixed={'a': (1,)}", r"'fixed' of @method must be a dict"),
        ("refernces=()", r"unknown argument of @method, got 'refernces'; did you mean references"),
        ("order='last'", r"'order' of @method must be an integer, got 'last'"),
        ("order=True", r"'order' of @method must be an integer, got True"),
        ("**MORE", r"unknown argument of @method, got '\*\*'|cannot be read"),
        ("fixed={'m': 1}", r"m\.py:2: unknown field of .*:Half in 'fixed' of 'half', got 'm'"),
        ("defaults={'n': 1.5}", r"m\.py:2: the field 'n' in 'defaults' of 'half' must be of type int, got 1\.5"),
        ("fixed={'n': 1}, defaults={'n': 1}", r"'n' of 'half' is in both 'fixed' and 'defaults'; leave one out"),
        ("name='other'", r"@method is given 'name' twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_where_and_what_to_write(read, arguments, message):
    """File and line, what is wrong, what was found, and what to write instead."""
    with pytest.raises(PluginError, match=message):
        read(METHOD.format(arguments))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("A = 'x'\nA = 'y'\n" + METHOD.format("cost=A"), r"m\.py:4: A is bound more than once \(line 2 and 3\)"),
        ("A = 'x'\nif A: A = 'y'\n" + METHOD.format("cost=A"), r"A is bound more than once"),
        ("A = 'x'\ndef A(): ...\n" + METHOD.format("cost=A"), r"A is bound more than once"),
        ("A = A\n" + METHOD.format("cost=A"), r"m\.py:2: A is bound to itself"),
        ("A = 'x'\n" + METHOD.format("aliases=(*A,)"), r"a starred name must be bound to a tuple or set, got 'x'"),
        ("A = ('x',)\n" + METHOD.format("aliases=*A"), r"is not Python that can be read"),
        ("from .other import A\n" + METHOD.format("cost=A"), r"A cannot be read"),
        ("from kexue_f1.words import TUNED\n" + METHOD.format("cost=TUNED"), r"TUNED cannot be read"),
        ("@method\nclass A: ...", r"m\.py:2: @method needs a name and a summary; write @method\("),
        ("@method('a')\nclass A: ...", r"@method of 'A' lacks 'summary'; write summary="),
        ("@method('a', 'b', 'c')\nclass A: ...", r"takes two positional arguments"),
        ("@method(*A)\nclass A: ...", r"must stand inside a tuple"),
        ("@method('a', 's')\ndef f(): ...", r"m\.py:2: @method stands above a class, got the function 'f'"),
        ("@claim('a', 's')\nclass A: ...", r"@claim stands above a function, got the class 'A'"),
        ("@task('a', 's')\nclass A: ...", r"@task of 'A' lacks 'version'"),
        ("@task('a', 's', version=1, kind='sample')\nclass A: ...", r"'kind' of @task must be one of 'sampling'"),
        ("def f(:", r"m\.py:2 is not Python"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_read_says_where(read, source, message):
    """A name bound twice, a decorator above the wrong thing, a missing argument, a syntax error."""
    with pytest.raises(PluginError, match=message):
        read(source)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("import math\nA = 'x'\n", r"words\.py:1: words\.py may import Knob, Claimed and Unless .*got math"),
        ("from kexue_bench import TaskSpec\nA = 'x'\n", r"got kexue_bench\.TaskSpec"),
        ("A = 2 ** 3\n", r"words\.py:1: .*got 2 \*\* 3"),
        ("B = 'x'\n", r"words\.py.*: A cannot be read|m\.py.*A cannot be read"),
        ("from .words import B as A\n", r"words\.py may import"),
    ],
)
def test_words_hold_values_only(read, words, message):
    """`words.py` imports the nouns and binds names to values; names are not followed further."""
    with pytest.raises(PluginError, match=message):
        read("from .words import A\n" + METHOD.format("cost=A"), {"words.py": words})


FIGURE = '[[figure]]\nname = "f"\nkind = "vector"\ntask = "t"\nmethod = "m"\nmetric = "mse"\nsource = "here"\n'


def test_data_files_are_specs(read):
    """`metrics.toml` and `published.toml` lie beside the package's `__init__.py`."""
    found = read(
        "",
        {
            "metrics.toml": '[[metric]]\nname = "elbo"\nunit="nats"\ndirection = "higher"\nscale = "linear"\nmargin=1',
            "published.toml": FIGURE + 'within = 1\n[figure.entries]\n"entry=0" = 0.5\n',
        },
    )
    assert found == (
        MetricSpec(name="elbo", family="toy", unit="nats", direction="higher", scale="linear", margin=1),
        PublishedSpec(
            name="f",
            family="toy",
            kind="vector",
            task="t",
            method="m",
            metric="mse",
            source="here",
            within=1,
            entries={"entry=0": 0.5},
        ),
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"metrics.toml": "[[metric]]\nunit = 1\n"}, r"metrics\.toml, metric 1: 'unit' must be a string, got 1"),
        ({"metrics.toml": '[[metric]]\nunit = "s"\n'}, r"metrics\.toml, metric 1: the key 'name' is missing"),
        ({"metrics.toml": '[[metric]]\nname = "a"\nfamily = "b"\n'}, r"metric 1 \('a'\): unknown key, got 'family'"),
        ({"metrics.toml": '[[metrics]]\nname = "a"\n'}, r"must hold tables \[\[metric\]\] only, got metrics"),
        ({"metrics.toml": "metric = 3\n"}, r"must hold tables \[\[metric\]\] only, got 3"),
        ({"metrics.toml": "metric = [3]\n"}, r"metric 1: must be a table, got 3"),
        ({"metrics.toml": "[[metric\n"}, r"metrics\.toml: cannot be read"),
        ({"published.toml": FIGURE + "valeu = 1\n"}, r"published\.toml, figure 1 \('f'\): unknown key, got 'valeu'"),
        ({"published.toml": FIGURE + 'value = "1"\n'}, r"figure 1 \('f'\): 'value' must be a number"),
        ({"published.toml": FIGURE.replace("vector", "exact")}, r"'kind' must be one of 'number', 'reading', 'order'"),
        ({"published.toml": '[[figure]]\nname = "f"\ntask = "t"\n'}, r"the key 'kind' and 'method' and 'metric' and"),
    ],
)  # fmt: skip
def test_a_data_file_that_does_not_fit_names_the_entry(read, files, message):
    """An unknown key, a wrong type or a missing one: the file and the entry."""
    with pytest.raises(PluginError, match=message):
        read("", files)


def test_a_single_file_may_be_a_package(tmp_path, monkeypatch):
    """A plugin of `-p` that is one file gives its own name; an empty name is an error that says so."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lonely_declared.py").write_text("from kexue_bench import method\n" + METHOD.format(""))
    (spec,) = discover("lonely_declared", family="toy")
    assert spec.target == "lonely_declared:Half"
    for name in ("", None):
        with pytest.raises(PluginError, match=r"write discover\(__package__, \.\.\.\), or discover\(__name__"):
            discover(name, family="toy")
    with pytest.raises(PluginError, match=r"'no_such_package' cannot be found"):
        discover("no_such_package", family="toy")


def test_a_declaration_belongs_to_the_nearest_family_above_it(package):
    """A package may hold a family of its own: neither family reads what belongs to the other, deep folders included."""
    family = "from kexue_bench import FamilySpec, discover\nFAMILY = FamilySpec(name={!r}, title='t')\n"
    declared = "from kexue_bench import method\n@method({!r}, 'x')\nclass M: ...\n"
    home = package({
        "plugin.py": family.format("outer"),
        "methods/__init__.py": "",
        "methods/a.py": declared.format("a"),
        "inner/__init__.py": "",
        "inner/plugin.py": family.format("inner"),
        "inner/methods/__init__.py": "",
        "inner/methods/b.py": declared.format("b"),
        "inner/metrics.toml": '[[metric]]\nname = "own"\n',
    })  # fmt: skip
    assert [spec.name for spec in discover(home, family="outer")] == ["a"]
    assert [(spec.name, spec.family) for spec in discover(f"{home}.inner", family="inner")] == [
        ("b", "inner"),
        ("own", "inner"),
    ]
