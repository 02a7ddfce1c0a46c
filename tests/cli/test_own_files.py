"""A file of the user's on its way: given at the door, run on in a worker, told of by name, and known by its content."""

import sys
from pathlib import Path

import pytest

from kexue_bench import compare
from kexue_bench.errors import UsageError
from kexue_bench.store.results import load_run

PLUGIN = '''
from dataclasses import dataclass
from pathlib import Path

from kexue_bench import CodePath, FamilySpec, FilePath, MetricSpec, discover, hookimpl, method, task

@method("reader", "reads")
@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads."""

@task("own-number", "the number in a file, and what a function makes of it", version=1, kind="record", primary="number")
@dataclass(frozen=True, kw_only=True)
class OwnNumber:
    """A number.

    Args:
        path: text with a number.
        code: function of it.
    """

    path: FilePath
    code: CodePath = ""

    def __post_init__(self):
        float(Path(self.path).read_text())

    def evaluate(self, method, ctx):
        from kexue_bench.lab.own import function_of

        number = float(Path(self.path).read_text())
        ctx.record("number", function_of(self.code)(number) if self.code else number)

@task("fixed-number", "one", version=1, kind="record", primary="number")
@dataclass(frozen=True, kw_only=True)
class FixedNumber:
    """One."""

    def evaluate(self, method, ctx):
        ctx.record("number", 1.0)

@hookimpl
def kexue_specs():
    family = FamilySpec(name="numbers", title="T", summary="s", contract="a:B", precision_metric="number",
                        baseline="reader", headline=("number",))
    return [family, MetricSpec(name="number", family="numbers"), *discover(__name__, family="numbers")]
'''


@pytest.fixture
def own(cli, tmp_path):
    """`own("compare", ...)` with a plugin whose task takes files, in a folder with some."""
    Path("numbers_read.py").write_text(PLUGIN)
    Path("deep").mkdir()
    Path("deep/number.txt").write_text("7")
    Path("deep/twice.py").write_text("from factor import FACTOR\ndef f(x): return FACTOR * x\n")
    Path("deep/factor.py").write_text("FACTOR = 2\n")
    yield lambda *words: cli(*words, "-p", str(tmp_path / "numbers_read.py"))
    sys.modules.pop("numbers_read", None)


TASK = "own-number[path=deep/number.txt,code=deep/twice.py:f]"


def number(result):
    (row,) = [row for row in result.rows if row["metric"] == "number"]
    return row["value"]


def test_a_worker_gets_the_file_that_was_meant(own, tmp_path):
    """Its folder is another; tables and exports know the name alone, what is stored the place and the content."""
    result = own("compare", "numbers", "-t", TASK, "--stage", "evaluate", "--format", "json")
    assert (result.code, number(result)) == (0, 14)
    assert "changed in its process" not in own("report", "latest").out
    assert "own-number[path=number.txt,code=twice.py:f]" in own("report", "latest").out
    for kind in ("csv", "json", "md"):
        assert "deep" not in own("export", "latest", "--format", kind).out
    page = own("report", "latest", "--format", "html").out
    assert "deep" not in page
    assert "own-number[path=number.txt,code=twice.py:f]" in page
    run = load_run("latest", tmp_path / "results")
    (case,) = run.plan.cases
    assert case.task.params == {"path": "number.txt", "code": "twice.py:f"}
    assert case.task.files["path"].place == str(tmp_path / "deep/number.txt")
    shown = own("show", case.key).out
    assert f"path: number.txt   1 B   content {case.task.files['path'].digest}" in shown
    assert "code: twice.py:f   65 B" in shown


@pytest.mark.parametrize(
    ("file", "text", "value"),
    [("number.txt", "8", 16), ("twice.py", "def f(x): return 9.0\n", 9), ("factor.py", "FACTOR = 3\n", 21)],
)
def test_a_resume_runs_what_stands_on_changed_content(own, tmp_path, monkeypatch, file, text, value):
    """From any folder, without naming the file again; what did not change is replayed."""
    own("compare", "numbers", "-t", TASK, "-t", "fixed-number", "--stage", "evaluate")
    Path("deep", file).write_text(text)
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    again = own("compare", "--resume=latest", "-o", str(tmp_path / "results"), "--format", "json")
    assert "1 replayed, 1 to run (1 code or libraries changed), in a new folder" in again.err
    assert {row["value"] for row in again.rows if row["metric"] == "number"} == {1, value}


def test_runs_on_unlike_content_are_not_compared(own, tmp_path):
    """Read together, the second row says why it has no verdict."""
    words = ("compare", "numbers", "-t", TASK, "--stage", "evaluate")
    own(*words)
    Path("deep/number.txt").write_text("8")
    own(*words)
    first, second = (load_run(name, tmp_path / "results").plan.cases[0] for name in ("latest~1", "latest"))
    assert first.key == second.key
    read = own("compare", "latest~1", "latest", "--format", "json")
    assert {row["value"]: row.get("verdict") for row in read.rows} == {14: "baseline", 16: "untestable"}
    told = own("compare", "latest~1", "latest").out
    assert f"not comparable, file number.txt {second.task.files['path'].digest}" in " ".join(told.split())


def test_a_glob_leaves_out_what_needs_a_file(own):
    """A task that cannot run without one is none that a pattern means, unless the file is written."""
    result = own("compare", "numbers", "-t", "*-number", "--stage", "evaluate", "--format", "json")
    assert {row["task"] for row in result.rows} == {"fixed-number"}


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("own-number", "task 'own-number' needs the parameter 'path'; write own-number[path=...]"),
        ("own-number[path=gone.txt]", "the parameter 'path' of task 'own-number' must name a file that exists"),
        ("own-number[path=numbers_read.py]", "own-number[path=numbers_read.py]: could not convert string to float"),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_run(own, task, words):
    """From the command line and from Python, with nothing stored."""
    result = own("compare", "numbers", "-t", task)
    assert result.code == 2
    assert words in result.err
    with pytest.raises(UsageError) as caught:
        compare("numbers", tasks=task, plugins=["numbers_read.py"], quiet=True)
    assert words in str(caught.value)
    assert not Path("results").exists()
