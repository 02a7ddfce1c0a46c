"""Projects of `kexue-bench new`, made and run as their author would."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path


def run_in(folder: Path, *command: str, path: Path) -> subprocess.CompletedProcess[str]:
    """A module of this interpreter in a folder, where a package is installed in `path` beside what this test sees."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), *sys.path])}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False, env=env
    )


def run_tests(folder: Path, *options: str, path: Path) -> subprocess.CompletedProcess[str]:
    """The tests of a project."""
    plugin = ("-p", "no:cacheprovider", "-p", "kexue_bench.testing.plugin", "--benchmark-disable")
    return run_in(folder, "pytest", "-q", *plugin, *options, path=path)


def registered(folder: Path) -> Path:
    """The folder of a project's package, with the metadata that installing it would have written."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / "src" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = (f"{name} = {value}\n" for name, value in project["entry-points"]["kexue_bench"].items())
    (info / "entry_points.txt").write_text("[kexue_bench]\n" + "".join(points))
    return folder / "src"


def built(folder: Path, into: Path) -> Path:
    """A project as a wheel, built and installed without a network."""
    wheels = into / "wheels"
    plain = ("--no-deps", "--disable-pip-version-check")
    for command in (
        ("wheel", *plain, "--no-build-isolation", "--wheel-dir", str(wheels), str(folder)),
        ("install", *plain, "--no-index", "--target", str(into / "site"), "--find-links", str(wheels), folder.name),
    ):
        done = run_in(into, "pip", *command, path=into)
        assert done.returncode == 0, done.stderr
    return into / "site"
