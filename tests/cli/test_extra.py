"""extra: a verb of a plugin works like those of the core."""

import io
import sys
from contextlib import redirect_stdout

import pytest

from kexue_bench.cli.main import main

PLUGIN = """
from kexue_bench import CommandSpec, hookimpl

@hookimpl
def kexue_commands():
    return [
        CommandSpec(name="greet", target="greeting", summary="say hello"),
        CommandSpec(name="list", target="greeting", summary="never reached"),
        CommandSpec(name="half", target="extra_plugin", summary="lacks execute"),
        CommandSpec(name="gone", target="no_such_module", summary="cannot be imported"),
    ]
"""
VERB = '''
"""Greet somebody."""

def configure(parser):
    parser.add_argument("whom", help="who is greeted")

def execute(args):
    print("hello", args.whom, args.plugin)
    return 1
'''


@pytest.fixture(autouse=True)
def plugin(tmp_path, monkeypatch):
    """A plugin file in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "extra_plugin.py").write_text(PLUGIN)
    (tmp_path / "greeting.py").write_text(VERB)
    before = list(sys.path)
    yield
    sys.path[:] = before
    for name in ("extra_plugin", "greeting"):
        sys.modules.pop(name, None)


P = ("-p", "extra_plugin.py")


def test_a_verb_of_a_plugin_parses_and_runs_like_any_other(cli):
    """Its exit code is the program's, and it sees `-p`."""
    result = cli("greet", "world", *P)
    assert (result.code, result.out) == (1, "hello world ['extra_plugin.py']\n")


def test_its_help_is_its_docstring_and_its_arguments(cli):
    """As of any verb, with the options that all verbs share."""
    out = io.StringIO()
    with redirect_stdout(out), pytest.raises(SystemExit, match="0"):
        main(["greet", "--help", *P])
    assert "Greet somebody." in out.getvalue()
    assert "who is greeted" in out.getvalue()
    assert "--plugin NAME" in out.getvalue()


def test_a_verb_of_the_core_cannot_be_replaced(cli):
    """It is said on the standard error."""
    result = cli("list", "families", *P)
    assert "gradients" in result.out
    assert "kexue-bench: plugin extra_plugin: the core already has the verb 'list'\n" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("greet", "x"), "unknown verb, got 'greet'"),
        (("gret", "x", *P), "did you mean greet"),
        (("half", *P), "the verb 'half' needs a function 'configure'"),
        (("gone", *P), "the verb 'gone' cannot be loaded"),
    ],
)
def test_a_verb_that_cannot_run_is_an_error_of_usage(cli, arguments, message):
    """Unknown without its plugin, misspelt, without its functions, or without its module."""
    result = cli(*arguments)
    assert result.code == 2
    assert message in result.err


def test_plugins_and_help_list_the_verbs(cli):
    """Help names those of `-p`, and says where all stand: alone it reads no plugin."""
    assert "verb greet: say hello (plugin extra_plugin)" in cli("plugins", *P).out
    assert "greet    say hello" in cli("--help", *P).out
    alone = cli("--help").out
    assert "greet" not in alone
    assert "`kexue-bench plugins` lists the verbs that plugins add" in alone
