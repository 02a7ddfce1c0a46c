"""Nothing that somebody installs changes the numbers of others in silence."""

import io
import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from kexue_bench.cli.main import main

TOY = ("-t", "bernoulli-toy", "--stage", "evaluate", "--budget", "4096", "--isolation", "none")
HEAD = """
from dataclasses import dataclass, field, replace
from kexue_bench import discover, hookimpl, method

def _rloo(*given):
    from kexue_gradients import Rloo
    return Rloo().estimate(*given[:3], repeats=given[3])

@hookimpl
def kexue_specs():
    return discover(__name__, family="gradients")
"""
METHOD = '''
@method("{name}", "a stand-in", needs="discrete")
@dataclass(frozen=True, kw_only=True)
class {cls}:
    """`0`."""

    n: int = 2

    def estimate(self, distribution, objective, noise, repeats, state=None):
        import random, torch
        found = _rloo(distribution, objective, noise, repeats)
        {body}
'''


@dataclass
class Shell:
    """The command line in this process, in a folder of its own."""

    folder: object

    def __call__(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            self.code = main([str(word) for word in words])
        self.out, self.err = out.getvalue(), err.getvalue()
        return self

    @property
    def text(self):
        """What was printed, on one line."""
        return " ".join(self.out.split())

    def values(self, label):
        """Metric -> value of a row, from `--format json`."""
        return {row["metric"]: row["value"] for row in json.loads(self.out)["rows"] if row["label"] == label}

    def install(self, name, methods, *, head=HEAD):
        """A distribution with one entry point, on the path of this process; each method is (name, body)."""
        parts = [METHOD.format(name=n, cls=n.title().replace("-", ""), body=body) for n, body in methods]
        module = f"{name.replace('-', '_')}_plugin"
        (self.folder / f"{module}.py").write_text(head + "".join(parts))
        info = self.folder / f"{name.replace('-', '_')}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[kexue_bench]\n{name} = {module}\n")


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A folder on the path, whose modules are forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    known = set(sys.modules)
    yield Shell(tmp_path)
    for name in set(sys.modules) - known:
        if name.endswith("_plugin"):
            del sys.modules[name]


ZEROS = "return replace(found, gradient=torch.zeros_like(found.gradient))"


def test_a_name_is_that_of_the_owner_of_the_family_and_a_row_says_whose_it_is(shell):
    """A package that sorts before ours registers `rloo`: refused and named at every run; its other method is marked."""
    shell.install("acme", [("rloo", ZEROS), ("nought", ZEROS)])
    shell("compare", "gradients", "-m", "rloo,nought", *TOY, "--format", "json")
    rows = {row["label"]: row for row in json.loads(shell.out)["rows"] if row["metric"] == "variance"}
    assert set(rows) == {"reinforce", "rloo", "nought (acme)"}
    assert rows["rloo"]["value"] > 0 == rows["nought (acme)"]["value"]
    assert "plugin acme: duplicate name: method 'gradients/rloo' is already registered by gradients" in shell.err
    assert "duplicate name" in shell("compare", "gradients", "-m", "rloo", *TOY).err
    assert "acme partly" in shell("plugins").text
    # The run is read where the package is not installed.
    del sys.modules["acme_plugin"]
    for path in shell.folder.glob("acme*"):
        path.rename(shell.folder / f"gone-{path.name}.bak")
    assert "acme" not in shell("plugins").text
    for words in (
        ("report", "1", "--full"),
        ("report", "1", "gradients"),
        ("export", "1", "--format", "csv"),
        ("export", "1", "--what", "comparison", "--format", "md"),
    ):
        assert "nought (acme)" in shell(*words).out, words


CHANGES = {
    "default dtype": "torch.set_default_dtype(torch.float64)",
    "threads": "torch.set_num_threads(torch.get_num_threads() + 1)",
    "grad mode": "torch.set_grad_enabled(not torch.is_grad_enabled())",
    "anomaly mode": "torch.autograd.set_detect_anomaly(True)",
    "global generators": "random.random()",
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_what_a_method_changes_is_named_under_the_table(shell):
    """Each setting with the method that changed it, which costs the others nothing; a draw with another dtype, too."""
    methods = [(name.replace(" ", "-"), f"{code}; return found") for name, code in CHANGES.items()]
    methods.append(("wide", "return replace(found, gradient=found.gradient.double())"))
    shell.install("acme", methods)
    names = [name for name, _ in methods]
    shell("compare", "gradients", "-m", ",".join([*names, "rloo"]), *TOY)
    said = shell.text
    for name in CHANGES:
        assert f"changed in its process ({name}): {name.replace(' ', '-')} (acme)" in said
    assert "draws are float64 instead of float32: wide (acme)" in said
    assert "rloo" not in said.partition("draws are float64")[2].partition("★")[0]
    shell("compare", "gradients", "-m", "rloo", *TOY, "--format", "json")
    alone = shell.values("rloo")
    shell("compare", "1", "--format", "json")
    assert shell.values("rloo") == alone


def test_a_method_that_returns_the_truth_gets_no_star(shell):
    """Every draw equals it to the last bit: flagged, last in its table, and never recommended; `exact` declares it."""
    truth = "p = distribution.logits.double().sigmoid(); g = (p * (1 - p) * (0.55**2 - 0.45**2)).float()\n"
    truth += "        return replace(found, gradient=g.expand_as(found.gradient))"
    shell.install("acme", [("oracle", truth)])
    shell("compare", "gradients", "-m", "oracle,exact,rloo", *TOY, "--full")
    assert (
        "suspiciously exact: every draw equals the truth to the last bit, which no estimate does; no star" in shell.text
    )
    rows = re.findall(r"^(.) (exact|rloo|reinforce|oracle \(acme\))  ", shell.out, re.MULTILINE)
    assert rows == [("=", "exact"), ("★", "rloo"), (" ", "reinforce"), (" ", "oracle (acme)")]
    assert "no star: oracle (acme)" in shell.text


def test_what_a_file_sets_as_it_is_loaded_is_put_back_and_told(shell):
    """The others have the numbers that they have without it."""
    import torch

    shell("compare", "gradients", "-m", "rloo", *TOY, "--format", "json")
    alone = shell.values("rloo")
    head = "import os, torch\ntorch.set_default_dtype(torch.float64)\nos.environ['MY_SWITCH'] = '1'\n" + HEAD
    (shell.folder / "shouting_plugin.py").write_text(
        head + METHOD.format(name="quiet", cls="Quiet", body="return found")
    )
    shell("compare", "gradients", "-m", "rloo,quiet", *TOY, "--format", "json", "-p", "shouting_plugin.py")
    assert "plugin shouting_plugin: loading it changed default dtype, environment, which was put back" in shell.err
    assert shell.values("rloo") == alone
    assert torch.get_default_dtype() == torch.float32


def test_a_target_that_cannot_be_found_costs_its_own_rows(shell):
    """They are failed with the plugin to blame, the others are compared, and `plugins` says why."""
    head = HEAD + (
        "from kexue_bench import MethodSpec\n@hookimpl\ndef kexue_methods():\n"
        "    return [MethodSpec(name='ghost', family='gradients', target='kexue_gradients.methods.rloo:Ghost',"
        " summary='s', needs='discrete')]\n"
    )
    shell.install("acme", [], head=head)
    shell("compare", "gradients", "-m", "ghost,rloo", *TOY)
    assert "ghost (acme)" in shell.text
    assert "failed in plan: plugin acme: " in shell.text
    assert "★ rloo" in shell.text
    assert "acme partly" in shell("plugins").text
    assert "method 'ghost': " in shell.text


def test_a_family_without_its_baseline_costs_itself(shell):
    """The other families are planned as before; asked for by name, it says why it cannot be."""
    head = HEAD + (
        "from kexue_bench import FamilySpec\n@hookimpl\ndef kexue_families():\n"
        "    return [FamilySpec(name='lost', title='t', summary='s', contract='a:B', precision_metric='mse',"
        " baseline='nobody', headline=('mse',))]\n"
        "from kexue_bench import MethodSpec, TaskSpec\n@hookimpl\ndef kexue_methods():\n"
        "    return [MethodSpec(name='some', family='lost', target='kexue_gradients:Rloo', summary='s')]\n"
        "@hookimpl\ndef kexue_tasks():\n"
        "    return [TaskSpec(name='any', family='lost', target='a:B', summary='s', version=1)]\n"
    )
    shell.install("acme", [], head=head)
    assert shell("compare", "-n", "-t", "bernoulli-toy", "--isolation", "none").code == 0
    assert "plugin acme: family 'lost': its baseline 'nobody' is not a method, so no suite runs it" in shell.err
    assert "gradients/bernoulli-toy" in shell.text
    assert "the baseline of family 'lost' must be one method" in shell("compare", "lost", "-n").err


def test_an_installed_method_takes_part_like_ours_and_what_is_left_out_is_told(shell):
    """In the suite's own choice of methods, also where a task lists ours; unless its `suites` say otherwise."""
    shell.install("acme", [("nought", ZEROS)])
    shell("compare", "gradients", "-n", "-t", "digits-vae", "--suite", "standard", "--isolation", "none")
    assert "left out by the suite: " in shell.text
    assert "to run them: kexue-bench compare gradients --suite standard -t digits-vae" in shell.text
    plan = shell("compare", "gradients", "-n", "-t", "digits-vae", "--suite", "standard", "--isolation", "none").text
    shell(
        "compare", "gradients", "-n", "-t", "digits-vae", "--suite", "standard", "--isolation", "none", "-p", "no:acme"
    )
    assert plan.partition("plan: ")[2].split()[0] != shell.text.partition("plan: ")[2].split()[0]


def spec(**words):
    """A plugin with one method, written by hand; the words replace what is right."""
    usual = {"name": "fine", "family": "gradients", "target": "kexue_gradients.methods.rloo:Rloo", "summary": "s"}
    written = ", ".join(f"{key}={value!r}" for key, value in {**usual, **words}.items())
    return (
        "from kexue_bench import MethodSpec, hookimpl\n@hookimpl\ndef kexue_methods():\n"
        f"    return [MethodSpec({written})]\n"
    )


WRONG = {
    "no-hook": ("x = 1\n", "broken", "it implements no hook; write @kexue_bench.hookimpl above one of kexue_"),
    "bare": (
        "def kexue_methods():\n    return []\n",
        "broken",
        "kexue_methods is not a hook yet: write @kexue_bench.hookimpl above it",
    ),
    "misspelt": (
        "from kexue_bench import hookimpl\n@hookimpl\ndef kexue_method():\n    return []\n",
        "broken",
        "did you mean kexue_methods",
    ),
    "no-class": (spec(target="kexue_gradients.methods.rloo:Rlo"), "partly", "method 'no-class-method': "),
    "spaces": (spec(name="my method"), "partly", "method 'my method': a name has lower-case letters and digits"),
    "capitals": (spec(name="MyMethod"), "partly", "method 'MyMethod': a name has lower-case letters and digits"),
    "needs": (spec(needs="enumerabel"), "partly", "which no task of 'gradients' offers; did you mean enumerable"),
    "claims": (
        spec(claims=("unbiased", "finite-varianse")),
        "partly",
        "claim 'finite-varianse'; did you mean finite-variance",
    ),
    "family": (spec(family="gradient"), "partly", "its family 'gradient' is not registered; did you mean gradients"),
    "suite": (spec(suites={"quik": ()}), "partly", "there is no suite 'quik'; did you mean quick"),
    "task": (spec(suites={"quick": ("parit",)}), "partly", "which is not a task of 'gradients'; did you mean parity"),
}


def test_what_is_wrong_with_a_plugin_is_said_in_its_row(shell, monkeypatch):
    """Each with the right word, if one is near; the others of the same command are as they were."""
    monkeypatch.setenv("COLUMNS", "1500")
    for name, (source, _, _) in WRONG.items():
        shell.install(name, [], head=source.replace("'fine'", f"'{name}-method'"))
    rows = {line.split()[0]: " ".join(line.split()) for line in shell("plugins").out.splitlines()}
    for name, (_, status, words) in WRONG.items():
        assert rows[name].startswith(f"{name} {status} ")
        assert words in rows[name]
    assert rows["gradients"].startswith("gradients ok kexue_gradients.plugin")


def test_an_entry_point_that_names_no_module_costs_itself(shell):
    """As a package with a dash in place of an underscore would write it."""
    shell.install("acme", [])
    (shell.folder / "acme-0.1.dist-info" / "entry_points.txt").write_text("[kexue_bench]\nacme = acme-plugin\n")
    assert "acme broken acme-plugin (acme 0.1) its entry point names no module: 'acme-plugin'" in shell("plugins").text
    assert "gradients ok kexue_gradients.plugin" in shell.text


def test_one_claim_may_stand_alone(shell):
    """A plain string is one claim, not its letters."""
    shell.install("acme", [], head=spec(claims="unbiased"))
    assert "acme ok" in shell("plugins").text
    assert "claims: unbiased" in shell("show", "fine").text
