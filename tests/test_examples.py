"""The family under `examples/`, installed as a third party's package, beside a package that is broken."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from projects import run_in, run_tests

EXAMPLE = Path(__file__).parents[1] / "examples" / "kexue-quadrature"
BROKEN = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "kexue-broken"
version = "0.3.0"

[project.entry-points.kexue_bench]
absent = "kexue_broken.absent"
raising = "kexue_broken.raising"
""",
    "kexue_broken/__init__.py": "",
    "kexue_broken/absent.py": """\
from kexue_bench import MethodSpec, hookimpl


@hookimpl
def kexue_methods():
    return [
        MethodSpec(
            name="romberg",
            family="quadrature",
            target="kexue_broken.rules:Romberg",
            summary="extrapolated trapezoids",
            needs="deterministic",
        )
    ]
""",
    "kexue_broken/raising.py": "raise RuntimeError('half of this package was never written')\n",
}
"""A method whose module was never written, and a plugin that cannot be imported."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a copy of the family, whose tests run there."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(EXAMPLE, folder / EXAMPLE.name)
    return folder


@pytest.fixture(scope="module")
def site(home):
    """Both packages, built and installed without a network by one call of pip."""
    for path, text in BROKEN.items():
        (home / "kexue-broken" / path).parent.mkdir(parents=True, exist_ok=True)
        (home / "kexue-broken" / path).write_text(text)
    plain = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    sources = (EXAMPLE.name, "kexue-broken")
    done = run_in(home, "pip", "install", *plain, "--target", "site", *(f"./{name}" for name in sources), path=home)
    assert done.returncode == 0, done.stderr
    return home / "site"


@pytest.fixture(scope="module")
def compared(site, tmp_path_factory):
    """A folder of results, and what a small run printed into it."""
    folder = tmp_path_factory.mktemp("results")
    command = ("compare", "quadrature", "-t", "integral[function=kink,points=65]", "--stage", "evaluate")
    return folder, run_in(folder, "kexue_bench", *command, path=site)


def _rows(text: str) -> dict[str, str]:
    """Method -> its row, without the marks before it."""
    rows = (line.lstrip("★·! ") for line in text.splitlines())
    return {row.partition(" ")[0]: row for row in rows}


def test_the_table_has_every_method_that_fits(compared):
    """The error of the trapezoidal rule is that of a sum by hand; the broken method is a row with its plugin."""
    kink = 1 / math.pi
    by_hand = sum(abs(i / 64 - kink) for i in range(65)) / 64 - 1 / 128
    error = by_hand / ((kink**2 + (1 - kink) ** 2) / 2) - 1
    _, done = compared
    rows = _rows(done.stdout)
    assert {"clenshaw-curtis", "gauss-legendre", "tanh-sinh", "scipy-quad"} <= set(rows)
    assert float(rows["trapezoid"].split()[2]) == pytest.approx(error, rel=1e-5)
    assert "failed in plan: plugin absent:" in rows["romberg"]
    assert "kexue_broken" not in "".join(row for name, row in rows.items() if name != "romberg")


def test_a_run_says_what_is_broken_and_whose_it_is(compared):
    """The plugin that cannot be imported, and the method whose module is not there, on stderr; a failure is code 3."""
    _, done = compared
    assert "plugin raising: RuntimeError: half of this package was never written" in done.stderr
    assert "romberg (absent): plugin absent: the module 'kexue_broken.rules' cannot be found as Python" in done.stderr
    assert "failed 1" in done.stderr
    assert done.returncode == 3


def test_the_report_of_the_run_has_the_same_rows(compared, site):
    """Read back from disk."""
    folder, done = compared
    report = run_in(folder, "kexue_bench", "report", "latest", path=site)
    assert report.returncode == 0, report.stderr
    assert _rows(report.stdout) == _rows(done.stdout)


def test_plugins_tells_good_from_broken(site, tmp_path):
    """The family is ok, a plugin with a lost method is partly so, and one that raises is broken; each says why."""
    done = run_in(tmp_path, "kexue_bench", "plugins", path=site)
    status = {name: row.split()[1] for name, row in _rows(done.stdout).items() if len(row.split()) > 1}
    assert (status["quadrature"], status["absent"], status["raising"]) == ("ok", "partly", "broken")
    words = " ".join(done.stdout.split())
    assert "RuntimeError: half" in words
    assert "method 'romberg'" in words


def test_the_curves_of_the_run_can_be_drawn(compared, site):
    """Error over evaluations, one line for each rule."""
    folder, _ = compared
    drawn = run_in(folder, "kexue_bench", "plot", "latest", "--kind", "curve", "--to", "curve.svg", path=site)
    assert drawn.returncode == 0, drawn.stderr
    assert "scipy-quad" in (folder / "curve.svg").read_text()


def test_the_published_figure_is_reproduced(site, tmp_path):
    """Four Gauss nodes on x^8, to the fifteenth printed digit."""
    task = ("-t", "integral[function=power,points=4]", "-m", "gauss-legendre")
    here = ("--stage", "evaluate", "--isolation", "none")
    done = run_in(tmp_path, "kexue_bench", "compare", "quadrature", *task, *here, path=site)
    assert "reproduced: numbers 1 of 1" in done.stdout


def test_verify_finds_every_mutant_of_the_example(home, site):
    """The example's own tests of its claims, and of its integrals."""
    done = run_tests(home / EXAMPLE.name, "tests/test_claims.py", "tests/test_integrands.py", path=site)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_example_passes_its_own_tests(home, site):
    """All of them, as its author runs them."""
    done = run_tests(home / EXAMPLE.name, path=site)
    assert done.returncode == 0, done.stdout
