"""Verbs that only read import neither torch nor a method module, so that they start at once."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "sklearn", "scipy.stats", "kexue_bench.lab")
PROBE = """
import json, sys
from kexue_bench.cli.main import main
code = main(sys.argv[1:])
loaded = [name for name in sys.modules if name in {heavy} or name.startswith("kexue_gradients.methods.")]
print(json.dumps([code, loaded]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("list",),
        ("list", "tasks"),
        ("plugins",),
        ("show", "rloo"),
        ("compare", "-n"),
        ("env",),
        ("report", "latest"),
        ("export", "latest"),
    ],
    ids=" ".join,
)
def test_reading_verbs_import_no_torch(arguments, stored_run):
    """Checked over sys.modules of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), *arguments],
        cwd=stored_run,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert json.loads(done.stderr.splitlines()[-1]) == [0, []]


@pytest.mark.parametrize("arguments", [("list",), ("list", "tasks"), ("show", "rloo"), ("plugins",)], ids=" ".join)
def test_lists_import_no_numpy(arguments):
    """What only names things needs no array."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=("numpy", "pandas")), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert json.loads(done.stderr.splitlines()[-1]) == [0, []]


def test_help_reads_no_file_of_a_plugin():
    """What is read by `--help` is found without the reader of sources, its cache or a plugin."""
    code = (
        "import sys\nfrom kexue_bench.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "readers = ('kexue_bench.catalog', 'kexue_bench.store', 'kexue_f1')\n"
        "print([name for name in sys.modules if name.startswith(readers)], file=sys.stderr)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stderr.strip() == "[]"


@pytest.fixture(scope="module")
def stored_run(tmp_path_factory):
    """A folder with one small stored run."""
    folder = tmp_path_factory.mktemp("light")
    command = ["run", "gradients", "-t", "bernoulli-toy", "-m", "rloo", "--stage", "evaluate", "--budget", "4096"]
    subprocess.run(
        [sys.executable, "-m", "kexue_bench", *command, "--isolation", "none"],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return folder
