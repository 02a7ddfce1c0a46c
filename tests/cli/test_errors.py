"""Bad input: one paragraph that says what, got and do, the right exit code, and nothing left behind."""

import pytest

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
    result = cli(*TOY, "-m", selector)
    assert result.code == 2
    assert says in result.err
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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "jsn"), "did you mean"),
        (("--columns", "varance"), "did you mean"),
        (("--margin", "5"), "margin must lie between 0 and 1"),
        (("--alpha", "0"), "alpha must lie between 0 and 1"),
    ],
)
def test_reading_options_are_checked_before_the_run(cli, tmp_path, arguments, says):
    """A typing error in an output option does not cost a run."""
    result = cli("compare", *arguments)
    assert result.code == 2
    assert says in result.err
    assert list(tmp_path.iterdir()) == []
