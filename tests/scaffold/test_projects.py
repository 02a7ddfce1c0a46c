"""A new project has everything that its author needs, and passes its own tests at once."""

import re
import tomllib

import pytest
from installed import registry
from projects import built, registered, run_in, run_tests

from kexue_bench.errors import KexueError, UsageError
from kexue_bench.scaffold.projects import create, render

FAMILIES = tuple(registry().families)
ALWAYS = {".github/workflows/test.yml", ".gitignore", "CITATION.cff", "README.md", "pyproject.toml"}
PROJECTS = [("family", ""), *((what, family) for what in ("method", "task") for family in FAMILIES)]


@pytest.mark.parametrize(("what", "family"), PROJECTS)
def test_every_file_is_there_and_can_be_read(what, family):
    """The plugin is named, Python compiles, and no placeholder is left."""
    files = render(what, "my-own", registry(), family=family)
    assert set(files) > ALWAYS | {f"tests/test_{what}.py", "src/my_own/plugin.py", "src/my_own/__init__.py"}
    assert what == "family" or f"src/my_own/{what}.py" in files
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["entry-points"]["kexue_bench"] == {"my-own": "my_own.plugin"}
    assert project["tool"]["setuptools"]["package-data"] == {"*": ["*.toml"]}, "a wheel would forget its metrics"
    steps = re.findall(r"- run: (.*)", files[".github/workflows/test.yml"])
    assert "pytest -k speed --benchmark-json=benchmark.json" in steps
    assert any(step.startswith("kexue-bench check my_own") for step in steps)
    for path, text in files.items():
        assert "{{" not in text
        assert "{%" not in text
        assert max(map(len, text.splitlines()), default=0) <= 250
        if path.endswith(".py"):
            compile(text, path, "exec")


def test_a_new_method_declares_what_its_model_does(tmp_path):
    """The same fields, claims and sources, under its own name."""
    from kexue_bench.catalog.plugins import load_plugins
    from kexue_bench.catalog.registry import Registry

    folder = tmp_path / "my-own"
    create("method", "my-own", folder, registry(), family="gradients")
    path = registered(folder)
    done = run_in(tmp_path, "kexue_bench", "show", "my-own", path=path)
    model = Registry(load_plugins()).methods["gradients", "reinforce"]
    assert done.returncode == 0, done.stderr
    assert all(reference in done.stdout for reference in model.references)
    assert "claims: unbiased" in done.stdout
    assert "baseline: str = none" in done.stdout
    assert "my_own.method:MyOwn" in done.stdout


def test_a_new_family_passes_its_own_tests(tmp_path):
    """As they stand, with the package registered; a broken claim fails them and is named."""
    folder = tmp_path / "my-own"
    create("family", "my-own", folder, registry())
    path = registered(folder)
    done = run_tests(folder, "-k", "float32 or speed or family", path=path)
    assert done.returncode == 0, done.stdout
    method = folder / "src" / "my_own" / "method.py"
    method.write_text(method.read_text().replace(".mean(1)", ".mean(1) + 1"))
    done = run_tests(folder, "-k", "float32-unbiased", path=path)
    assert done.returncode == 1
    assert "correct the method, or drop the claim" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("what", "family"), PROJECTS)
def test_a_wheel_of_a_new_project_passes_its_own_tests(tmp_path, what, family):
    """Built and installed without a network, and checked from the command line too."""
    folder = tmp_path / "my-own"
    create(what, "my-own", folder, registry(), family=family)
    site = built(folder, tmp_path)
    done = run_tests(folder, path=site)
    assert done.returncode == 0, done.stdout
    done = run_in(tmp_path, "kexue_bench", "check", "my_own", "--unmeasured", path=site)
    assert done.returncode == 0, done.stdout
    assert "my-own 0.1.0" in done.stdout


@pytest.mark.parametrize(
    ("what", "name", "family", "words"),
    [
        ("method", "My_Own", "gradients", "lower-case"),
        ("method", "2nd", "gradients", "begins with a letter"),
        ("method", "numpy", "gradients", "installed already"),
        ("method", "rloo", "gradients", "has a method 'rloo' already"),
        ("task", "parity", "gradients", "has a task 'parity' already"),
        ("method", "my-own", "", "needs --family"),
        ("method", "my-own", "gradient", "did you mean gradients"),
        ("family", "logdet", "", "the family 'logdet' exists already"),
    ],
)
def test_names_that_cannot_be_used_are_refused(tmp_path, what, name, family, words):
    """Nothing is written."""
    with pytest.raises(KexueError) as caught:
        create(what, name, tmp_path / "new", registry(), family=family)
    assert words in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_exists_is_left_alone(tmp_path):
    """Whatever is in it."""
    with pytest.raises(UsageError, match="does not exist"):
        create("family", "my-own", tmp_path, registry())
    assert list(tmp_path.iterdir()) == []
