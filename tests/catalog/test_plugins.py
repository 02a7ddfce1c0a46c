"""plugins: each is loaded alone, and a broken one costs only itself."""

import signal
import sys
import textwrap
from importlib.metadata import EntryPoint

import pytest

from kexue_bench import FamilySpec, MethodSpec, MetricSpec
from kexue_bench.catalog import plugins
from kexue_bench.catalog.plugins import Hooks, import_module_or_file, load_plugins
from kexue_bench.errors import PluginError, UsageError

GOOD = """
    from kexue_bench import FamilySpec, MethodSpec, hookimpl
    @hookimpl
    def kexue_families():
        return [FamilySpec(name="{name}", title="T", summary="s", contract="a:B", precision_metric="mse",
                           baseline="m", headline=("mse",))]
"""


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Install plugin modules from source text: name -> code."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(**sources):
        points = []
        for name, source in sources.items():
            (tmp_path / f"{name}_module.py").write_text(textwrap.dedent(source))
            sys.modules.pop(f"{name}_module", None)
            points.append(EntryPoint(name=name, value=f"{name}_module", group="kexue_bench"))
        monkeypatch.setattr(plugins, "_entry_points", lambda: points)
        return points

    return install


def record(name):
    return next(r for r in load_plugins() if r.name == name)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no GPU here')", "RuntimeError: no GPU here"),
        ("import a_module_that_is_not_there", "import error: No module named"),
        ("import sys; sys.exit(7)", "sys.exit"),
        ("def broken(:", "SyntaxError"),
        ("raise KeyboardInterrupt", "it raised KeyboardInterrupt"),
        ("raise SystemExit(3)", "it called sys.exit(3)"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("from kexue_bench import hookimpl\n@hookimpl\ndef kexue_methods(): raise KeyboardInterrupt", "kexue_methods"),
        ("from kexue_bench import hookimpl\n@hookimpl\ndef kexue_metods(): return []", "did you mean kexue_methods"),
        ("def kexue_methods(): return []", "kexue_methods is not a hook yet: write @kexue_bench.hookimpl above it"),
        ("x = 1", "it implements no hook; write @kexue_bench.hookimpl above one of"),
        ("from kexue_bench import hookimpl\n@hookimpl\ndef kexue_methods(x): return []", "wrong signature"),
        ("from kexue_bench import hookimpl\n@hookimpl\ndef kexue_methods(): return ['rloo']", "sequence of MethodSpec"),
        ("from kexue_bench import hookimpl\n@hookimpl\ndef kexue_methods(): return 3", "kexue_methods failed"),
        (
            "from kexue_bench import hookimpl\n@hookimpl\ndef kexue_methods(): raise KeyError('x')",
            "kexue_methods failed",
        ),
    ],
)
def test_a_broken_plugin_costs_only_itself(installed, source, reason):
    """Whatever a plugin does wrong, its neighbours are loaded and it is listed with the reason."""
    installed(aaa=source, good=GOOD.format(name="g"))
    assert record("aaa").status == "broken"
    assert reason in record("aaa").reason
    assert record("good").of(FamilySpec)[0].name == "g"


def test_ctrl_c_while_a_plugin_is_imported_ends_the_program(installed):
    """A signal is the user's; the handler that was set before is set again."""
    # A shell starts programs in the background with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    installed(aaa="import signal\nsignal.raise_signal(signal.SIGINT)", good=GOOD.format(name="g"))
    try:
        with pytest.raises(KeyboardInterrupt):
            load_plugins()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_second_plugin_of_a_name_is_broken(installed):
    """Two distributions with one entry-point name: the second says so."""
    points = installed(good=GOOD.format(name="g"))
    points.append(EntryPoint(name="good", value="good_module2", group="kexue_bench"))
    assert [r.status for r in load_plugins()] == ["ok", "broken"]


def test_blocking_needs_an_installed_name(installed):
    """-p no:NAME blocks, and a typing error in NAME is not ignored."""
    installed(good=GOOD.format(name="g"))
    assert load_plugins(["no:good"])[0].status == "blocked"
    with pytest.raises(UsageError, match="installed plugin"):
        load_plugins(["no:godo"])


def test_a_file_is_loaded_by_p(installed, tmp_path):
    """A single file is a plugin, under the name of its stem, and loading it twice is loading it once."""
    installed()
    path = tmp_path / "my_plugin_file.py"
    path.write_text(textwrap.dedent(GOOD.format(name="mine")))
    (found,) = load_plugins([str(path), str(path)])
    assert (found.name, found.load) == ("my_plugin_file", str(path))
    del sys.modules["my_plugin_file"]


def test_a_plugin_that_was_asked_for_must_load(installed, tmp_path):
    """A broken -p plugin is a usage error, not a silent gap."""
    installed()
    (tmp_path / "bad_one.py").write_text("raise ValueError('half')")
    with pytest.raises(PluginError, match="half"):
        load_plugins([str(tmp_path / "bad_one.py")])
    with pytest.raises(PluginError, match="not_there"):
        load_plugins(["not_there"])


ALL = """
    from kexue_bench import FamilySpec, MethodSpec, MetricSpec, hookimpl
    FAMILY = FamilySpec(name="f", title="T", summary="s", contract="a:B", precision_metric="mse", baseline="m",
                        headline=("mse",))
    def of(name):
        return MethodSpec(name=name, family="f", target="a:B", summary="s")
    @hookimpl
    def kexue_specs():
        return [of("one"), FAMILY, MetricSpec(name="elbo"), of("two")]
    @hookimpl
    def kexue_methods():
        return [of("three")]
"""


def test_specs_of_any_kind_are_handed_in_by_one_hook(installed):
    """They are sorted by kind, each kind in its order, and join what the other hooks return."""
    installed(mixed=ALL)
    found = record("mixed")
    assert [spec.name for spec in found.of(MethodSpec)] == ["one", "two", "three"]
    assert [spec.name for spec in (*found.of(FamilySpec), *found.of(MetricSpec))] == ["f", "elbo"]


COSTLY = "from kexue_bench import method\n@method('m', 's', cost=1)\nclass A: ...\n"


def test_what_is_not_a_spec_breaks_the_plugin(installed):
    """A declaration that cannot be read speaks for itself, with its file and line."""
    hook = "from kexue_bench import discover, hookimpl\n@hookimpl\ndef kexue_specs(): return {}"
    installed(
        aaa=hook.format("['rloo']"),
        bbb=hook.format("discover('no_such_package', family='f')"),
        ccc=COSTLY + hook.format("discover(__name__, family='f')"),
    )
    assert record("aaa").reason == "kexue_specs must return a sequence of specs, got str"
    assert record("bbb").reason.startswith("kexue_specs failed: the module 'no_such_package' cannot be found")
    assert "kexue_specs failed: ccc_module.py:2: 'cost' of @method must be a string, got 1" in record("ccc").reason


def test_an_observer_that_raises_costs_only_its_answer(installed):
    """Hooks of other plugins are still called, and the error is collected with the plugin's name."""
    skip = "from kexue_bench import hookimpl\n@hookimpl\ndef kexue_skip(case): {}"
    installed(bad=skip.format("raise RuntimeError('boom')"), fine=skip.format("return 'no GPU'"))
    hooks = Hooks(load_plugins())
    assert hooks.call("kexue_skip", case=None) == [("fine", "no GPU")]
    assert hooks.errors == ["plugin bad: kexue_skip failed: RuntimeError: boom"]


def test_a_file_is_one_module_however_often_it_is_asked_for(tmp_path, monkeypatch):
    """Desk and workers mean the same class by `my_plugin:Half`; the file runs once."""
    (tmp_path / "counted_plugin.py").write_text("runs = []\nruns.append(1)\n")
    monkeypatch.chdir(tmp_path)
    first = import_module_or_file("counted_plugin.py")
    first.runs.append(2)
    assert import_module_or_file(str(tmp_path / "counted_plugin.py")) is first
    assert first.runs == [1, 2]
    monkeypatch.delitem(sys.modules, "counted_plugin")


def test_a_file_cannot_take_the_name_of_a_module(tmp_path):
    """`json.py` would become `json` for every importer."""
    import json

    (tmp_path / "json.py").write_text("")
    with pytest.raises(ImportError, match="rename the file"):
        import_module_or_file(str(tmp_path / "json.py"))
    assert sys.modules["json"] is json


def test_a_file_that_fails_leaves_no_half_module(tmp_path):
    """The next attempt runs it again, and says again why it fails."""
    (tmp_path / "failing_plugin.py").write_text("x = 1\nraise KeyError('why')\n")
    for _ in range(2):
        with pytest.raises(KeyError, match="why"):
            import_module_or_file(str(tmp_path / "failing_plugin.py"))
        assert "failing_plugin" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        import_module_or_file(str(tmp_path / "missing_plugin.py"))


def test_only_plugins_that_have_a_hook_are_asked(installed):
    """Every answer comes with the name of its plugin."""
    source = "from kexue_bench import hookimpl\n@hookimpl\ndef kexue_skip(case): return 'not here'"
    installed(silent="", speaks=source)
    assert Hooks(load_plugins()).call("kexue_skip", case=None) == [("speaks", "not here")]
