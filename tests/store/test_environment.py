"""environment: provenance that names nobody, and fingerprints that change exactly when numbers may."""

from __future__ import annotations

import dataclasses
import getpass
import importlib.metadata
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import installed
import pytest

from kexue_bench.api import Case, Given, Instance
from kexue_bench.run.engines import server
from kexue_bench.store import environment
from kexue_bench.store.environment import capture, fingerprint, fingerprints, module_files

# -- provenance -------------------------------------------------------------------------------------------------------


def test_capture_is_plain_data_about_the_machine():
    """Every fact is JSON, and the versions are those that are installed."""
    facts = capture()
    assert json.loads(json.dumps(facts)) == facts
    assert set(facts) == {"machine", "cpu", "cores", "memory", "os", "python", "packages", "git", "threads"}
    assert facts["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert facts["cores"] >= 1
    assert facts["memory"] > 1 << 20


def test_capture_names_nobody(monkeypatch):
    """No user, host, home or current folder stands in it, whatever the environment holds."""
    monkeypatch.setenv("SECRET_TOKEN", "hunter2-hunter2")
    text = json.dumps(capture())
    private = [socket.gethostname(), str(Path.home()), str(Path.cwd()), "hunter2"]
    user = getpass.getuser()
    assert not [word for word in private if len(word) > 3 and word in text]
    assert f'"{user}"' not in text


def test_thread_variables_are_recorded(monkeypatch):
    """The variables that decide how libraries use the cores, and no others."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("UNRELATED", "1")
    threads = capture()["threads"]
    assert threads["OMP_NUM_THREADS"] == "3"
    assert "UNRELATED" not in threads


def git(folder, *words):
    """Run git without the machine's own configuration."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, env=env, check=True, capture_output=True, text=True
    ).stdout


def test_git_commit_and_changes_are_recorded(tmp_path):
    """A clean repository, a changed tracked file, an untracked file, and a folder outside of any repository."""
    git(tmp_path, "init", "-q")
    file = tmp_path / "a"
    file.write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "a")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    assert capture(tmp_path)["git"] == {"commit": head, "dirty": False}
    (tmp_path / "untracked").touch()
    assert capture(tmp_path)["git"] == {"commit": head, "dirty": False}
    file.write_text("2")
    assert capture(tmp_path)["git"] == {"commit": head, "dirty": True}
    assert capture(Path("/"))["git"] == {}


def test_a_missing_git_is_no_error(monkeypatch, tmp_path):
    """Provenance is what is known; an empty mapping says that nothing is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert capture()["git"] == {}


def test_importing_and_capturing_needs_no_heavy_library():
    """Versions are read from metadata: torch, numpy and pandas stay unimported."""
    code = (
        "import sys; from kexue_bench.store import environment, results, journal, frame; environment.capture();"
        "import kexue_bench.report.export, kexue_bench.report.text;"
        "print([m for m in ('torch', 'numpy', 'pandas', 'scipy', 'pyarrow') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# -- fingerprints -----------------------------------------------------------------------------------------------------

PACKAGE = {
    "__init__.py": "raise RuntimeError('imported')\nfrom .unrelated import x\n",
    "contract.py": "import torch\n",
    "shared/__init__.py": "from .deep import f\nname = 1\n",
    "shared/deep.py": "",
    "methods/__init__.py": "raise RuntimeError('imported')\n",
    "methods/alpha.py": "from ..contract import C\nfrom . import helper\ndef f():\n    import fpkg.late\n",
    "methods/helper.py": "from . import alpha\nfrom ..shared import name\n",
    "methods/beta.py": "import os, numpy\n",
    "tasks.py": "",
    "late.py": "",
    "unrelated.py": "",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose import would fail, on the path."""
    folder = tmp_path / "fpkg"
    for name, text in PACKAGE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def case(method="fpkg.methods.alpha:A", task="fpkg.tasks:T", **changes):
    """A case with targets in that package."""
    return Case(
        family="f",
        task=Instance(name="t", target=task),
        task_version=1,
        method=Instance(name="m", target=method),
        stage="evaluate",
        **changes,
    )


def test_the_closure_holds_what_is_imported_and_nothing_else(package):
    """Relative, absolute, nested and cyclic imports in the package count; siblings and other packages do not."""
    assert list(module_files("fpkg.methods.alpha")) == [
        "fpkg.contract",
        "fpkg.late",
        "fpkg.methods.alpha",
        "fpkg.methods.helper",
        "fpkg.shared",
        "fpkg.shared.deep",
    ]
    assert list(module_files("fpkg.methods.beta")) == ["fpkg.methods.beta"]


def test_nothing_is_imported(package):
    """Neither the target nor its parents run: both parents of the example would raise."""
    assert len(fingerprint(case())) == 16
    assert not [name for name in sys.modules if name.startswith("fpkg")]


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("methods/alpha.py", True),
        ("methods/helper.py", True),
        ("contract.py", True),
        ("shared/deep.py", True),
        ("late.py", True),
        ("tasks.py", True),
        ("methods/beta.py", False),
        ("unrelated.py", False),
        ("__init__.py", False),
    ],
)
def test_a_fingerprint_follows_the_sources_it_depends_on(package, file, changes):
    """An edit of a file changes the fingerprint if and only if the case's targets reach that file."""
    before = fingerprint(case())
    with (package / file).open("a") as stream:
        stream.write("\nz = 1\n")
    assert (fingerprint(case()) != before) == changes


@pytest.mark.parametrize(
    ("name", "value"),
    [("LAB_VERSION", 10**6), ("cpu_model", lambda: "another"), ("package_version", lambda name: "0.0.0")],
)
def test_a_fingerprint_follows_laboratory_libraries_and_processor(package, monkeypatch, name, value):
    """The same sources under another lab, another torch or on another processor are not the same."""
    before = fingerprint(case())
    monkeypatch.setattr(environment, name, value)
    assert fingerprint(case()) != before


def test_a_fingerprint_follows_the_variables_that_choose_code(package, monkeypatch):
    """They change the last bits of a sum; those that workers get from the harness change nothing."""
    fixed = set(server.environment(1))
    assert not fixed & set(environment.DISPATCH_VARIABLES)
    assert set(environment.THREAD_VARIABLES) - fixed - set(environment.DISPATCH_VARIABLES) == {"CUDA_VISIBLE_DEVICES"}
    before = fingerprint(case())
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert fingerprint(case()) == before
    for name in ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "OMP_SCHEDULE"):
        monkeypatch.setenv(name, "default")
        assert fingerprint(case()) != before
        monkeypatch.delenv(name)


def test_a_fingerprint_is_not_identity(package):
    """Seed, replicate and stage are the key's business; line ends of a checkout are nobody's."""
    before = fingerprint(case())
    assert fingerprint(case(seed=5, replicates=(3,))) == before
    file = package / "methods" / "alpha.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert fingerprint(case()) == before


def test_the_content_of_a_users_file_is_part_of_the_fingerprint(package):
    """Of the task's and of the method's; where the file lies is not."""

    def prints(instance, **changes):
        file = Given(**{"place": "/a/K", "digest": "1" * 16, "size": 3} | changes)
        plain = case()
        return fingerprint(
            dataclasses.replace(
                plain, **{instance: dataclasses.replace(getattr(plain, instance), files={"path": file})}
            )
        )

    for instance in ("task", "method"):
        assert prints(instance) != fingerprint(case())
        assert prints(instance) == prints(instance, place="/b/K")
        assert prints(instance) != prints(instance, digest="2" * 16)


def test_many_cases_share_the_reading(package):
    """Each key has the fingerprint it has alone."""
    cases = [case(seed=i, method=f"fpkg.methods.{m}:A") for i in range(3) for m in ("alpha", "beta")]
    assert fingerprints(cases) == {c.key: fingerprint(c) for c in cases}


@pytest.mark.parametrize("target", ["nowhere.at_all:X", "fpkg.no.such:X", "fpkg.tasks.inside:X", ":X", "..:X"])
def test_a_target_without_a_file_has_a_fingerprint_still(package, target):
    """A method that is not installed any more changes the fingerprint instead of stopping the report."""
    assert len(fingerprint(case(method=target))) == 16


def test_broken_sources_are_hashed_as_they_are(package):
    """A syntax error is the worker's to report; here the file counts with its bytes."""
    (package / "tasks.py").write_text("def (")
    first = fingerprint(case())
    (package / "tasks.py").write_text("def ((")
    assert fingerprint(case()) != first


def test_the_first_party_methods_are_found():
    """On our own packages: the closure of a method holds its contract, not its sibling methods."""
    spec = installed.methods("gradients")[0]
    found = module_files(spec.target.partition(":")[0])
    assert spec.target.partition(":")[0] in found
    assert len(found) < 12
    target = Instance(name=spec.name, target=spec.target)
    assert fingerprint(dataclasses.replace(case(), method=target, task=target))


def test_the_code_of_a_reading_is_part_of_the_fingerprint(tmp_path, monkeypatch):
    """Another line in its module: another fingerprint, so that a resume measures again."""
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "a_rule_for_tests.py"
    file.write_text("class Rule:\n    level = 1\n")
    mine = case(options={"readings": json.dumps({"mine": "a_rule_for_tests:Rule"})})
    before = fingerprint(mine)
    assert before != fingerprint(case())
    file.write_text("class Rule:\n    level = 2\n")
    assert fingerprint(mine) != before


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("processor\t: 0\nmodel name\t: A CPU @ 2.0 GHz\n", "A CPU @ 2.0 GHz"),
        ("processor : 0\nHardware : ARM: odd\nmodel name : second\n", "ARM: odd"),
    ],
)
def test_the_processor_is_the_first_that_the_system_names(monkeypatch, text, model):
    """Whatever stands behind the first colon, on every architecture."""
    monkeypatch.setattr(Path, "read_text", lambda self, **_: text)
    assert environment.cpu_model.__wrapped__() == model


def test_an_unknown_processor_is_no_error(monkeypatch):
    """Where the system does not say, Python's own word stands."""

    def refuse(self, **_):
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(sys, "platform", "other")
    monkeypatch.setattr("platform.processor", lambda: "own word")
    assert environment.cpu_model.__wrapped__() == "own word"
