"""Bad input: one paragraph that says what, got and do, the right exit code, and nothing left behind."""

import errno
import shlex
import subprocess
import sys
import tempfile

import pytest

from kexue_bench.cli.main import main
from kexue_bench.cli.verbs import VERBS
from kexue_bench.errors import UsageError

TOY = ("compare", "gradients", "-t", "bernoulli-toy", "--stage", "evaluate", "--isolation", "none")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("compare", "gradient"), "did you mean gradients"),
        (("compare", "-m", "rlo"), "did you mean rloo"),
        (("compare", "-t", "bernouli-toy"), "did you mean bernoulli-toy"),
        (("compare", "-m", "rloo[k=2]"), "unknown parameter"),
        (("compare", "-m", "rloo[n=two]"), "type int"),
        (("compare", "-m", "rloo[n=2"), "do not match"),
        (("compare", "-t", "bernoulli-toy[theta=-inf]"), "must be finite, got '-inf'"),
        (("compare", "gradients", "-m", "slq"), "unknown method"),
        (("compare", "-m", "slq", "-t", "bernoulli-toy"), "nothing is selected"),
        (("compare", "--baseline", "nobody"), "unknown baseline"),
        (("compare", "-p", "no:gradient"), "installed"),
        (("compare", "-p", "not_a_module"), "not_a_module"),
        (("compare", "--device", "tpu"), "--device"),
        (("compare", "--budget", "1"), "at least 2 draws"),
        (("report", "0042"), "0042"),
        (("show", "rlooo"), "did you mean rloo"),
        (("compair",), "did you mean compare"),
    ],
)
def test_usage_errors_exit_with_2_and_leave_nothing(cli, tmp_path, arguments, says):
    """No traceback, a suggestion where there is one, and no results folder."""
    result = cli(*arguments)
    assert result.code == 2
    assert says in result.err
    assert result.err.startswith("kexue-bench: ")
    assert "Traceback" not in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("selector", "says"), [("rloo[n=1]", "n must be"), ("gumbel-softmax[temperature=0]", "temperature must be")]
)
def test_a_refused_hyper_parameter_is_a_usage_error(cli, tmp_path, selector, says):
    """The method's own sentence reaches the user before anything is written."""
    for dry in ((), ("-n",)):
        result = cli(*TOY, "-m", selector, *dry)
        assert result.code == 2
        assert says in result.err
        assert result.out == ""
        assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_here_is_a_usage_error(cli, tmp_path, monkeypatch):
    """Found out by a worker before any case runs, and told with what torch sees."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = cli(*TOY, "-m", "rloo", "--device", "cuda:3")
    assert result.code == 2
    assert "--device cuda:3: there is no such device" in result.err
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_results_folder_exits_with_4(cli, tmp_path):
    """A file where the folder should be: nothing is run and nothing half-written is left."""
    (tmp_path / "taken").write_text("mine")
    result = cli(*TOY, "-m", "rloo", "-o", "taken")
    assert result.code == 4
    assert "taken" in result.err
    assert (tmp_path / "taken").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_an_unknown_option_is_argparse_with_2(cli):
    """The parser's own message and code."""
    with pytest.raises(SystemExit) as stop:
        cli("compare", "--sede", "3")
    assert stop.value.code == 2


def test_help_is_printed_without_a_verb_too(cli):
    """Every verb of the core has a line, and the exit codes are told."""
    result = cli()
    assert result.code == 0
    assert result.out == cli("--help").out == cli("-h").out
    for verb, summary in VERBS.items():
        assert f"  {verb:<9}{summary}\n" in result.out
    assert "130/143 stopped by a signal" in result.out


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
)
def test_an_output_that_cannot_be_written_is_a_message_and_4(monkeypatch, capsys, error, says):
    """`kexue-bench list | true`, `report > /dev/full`: as for a results folder; another error stays a traceback."""
    assert ended_with(error, monkeypatch) == 4
    told = capsys.readouterr().err
    assert told.startswith(f"kexue-bench: the output cannot be written: {says}")
    assert len(told.splitlines()) == 1
    with pytest.raises(OSError, match="elsewhere"):
        ended_with(OSError(errno.ENOSPC, "No space", "elsewhere"), monkeypatch)


@pytest.mark.parametrize(("to", "says"), [("> /dev/full", "No space left on device"), ("| true", "Broken pipe")])
def test_a_full_or_closed_output_is_noticed_before_the_end(to, says):
    """The real program: the buffer is flushed before the exit code is chosen, and the interpreter does not complain."""
    # It waits, or the reader might go only after it has written.
    program = "import time; from kexue_bench.cli.main import main; time.sleep(0.2); raise SystemExit(main(['list']))"
    command = f"{shlex.join([sys.executable, '-c', program])} {to}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "4\n"
    assert done.stderr.startswith(f"kexue-bench: the output cannot be written: {says}")
    assert len(done.stderr.splitlines()) == 1


def test_an_interrupt_is_130_and_no_traceback(monkeypatch, capsys):
    """As of a program that a signal ended."""
    assert ended_with(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr().err == ""


def ended_with(error, monkeypatch):
    """The exit code of a verb that raises, with a standard output that may be redirected."""

    def execute(args):
        raise error

    monkeypatch.setattr("kexue_bench.cli.env.execute", execute)
    with tempfile.TemporaryFile("w") as out:
        monkeypatch.setattr("sys.stdout", out)
        return main(["env"])


def test_an_error_quotes_names_without_acting_on_the_terminal(cli, monkeypatch, capsys):
    """An escape sequence of a plugin or a stored run is printed as its escape."""
    assert ended_with(UsageError("\x1b[31mred"), monkeypatch) == 2
    assert capsys.readouterr().err == "kexue-bench: \\x1b[31mred\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("show", "no-such-name"), 2), (("report", "0042"), 2), ((*TOY, "-m", "rloo", "-o", "taken"), 4)],
)
def test_verbose_adds_a_traceback_and_keeps_the_code(cli, tmp_path, arguments, code):
    """The message stays the last line."""
    (tmp_path / "taken").write_text("where a results folder should be")
    plain, verbose = cli(*arguments), cli(*arguments, "-v")
    assert plain.code == verbose.code == code
    assert verbose.err.startswith("Traceback")
    assert verbose.err.endswith(plain.err)


def test_a_bare_resume_does_not_take_the_next_word(monkeypatch):
    """`run --resume gradients` resumes the latest run, of the family gradients."""
    seen = []
    monkeypatch.setattr("kexue_bench.cli.run.execute", lambda args: seen.append((args.resume, args.family)) or 0)
    main(["run", "--resume", "gradients"])
    main(["run", "--resume=0003", "gradients"])
    main(["run", "gradients"])
    assert seen == [("latest", ["gradients"]), ("0003", ["gradients"]), (None, ["gradients"])]
