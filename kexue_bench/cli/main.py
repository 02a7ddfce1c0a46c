"""`kexue-bench VERB ...`: find the verb, import its module, run it, and turn errors into one paragraph."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from ..errors import KexueError

# Verb -> one line of help; each lives in a module of its own name.
VERBS = {
    "compare": "run methods on tasks and print what is known about each; or read stored runs",
    "run": "run and store, without printing tables",
    "verify": "test what methods claim about themselves against exact truth",
    "report": "print the tables of a stored run",
    "export": "write a run as csv, json, md, latex or parquet",
    "plot": "draw bias against variance, error against budget, or training against exact",
    "list": "list methods, tasks, families, metrics or runs",
    "show": "everything about one method, task, family or case",
    "plugins": "every plugin found, and why a broken one is broken",
    "doctor": "check this machine: overhead, noise floor, false alarms among equals",
    "env": "the machine and the versions, as every run records them",
}

EXIT_CODES = """exit codes:
  0 ok   1 negative verdict (where asked)   2 usage   3 incomplete: a case failed or timed out
  4 the results folder cannot be written, read or belongs to another run   130/143 stopped by a signal"""

EXAMPLES = """examples:
  kexue-bench compare                                      every family, about two minutes on two cores
  kexue-bench compare gradients -t 'bernoulli-toy[t=0.49]' -m rloo -m 'reinmax[temperature=[1,1.3]]'
  kexue-bench show rloo                                    formula, options, references, a snippet to paste"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except KexueError as error:
        if "-v" in arguments or "--verbose" in arguments:
            raise
        from ..report.text import visible

        # An error quotes names of plugins, files and stored runs, which are strangers' texts.
        print(f"kexue-bench: {visible(str(error), keep_newlines=True)}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away (`| head`): what was asked for is done, and nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _dispatch(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else "--help"
    if verb in {"-h", "--help"}:
        print(_help())
        return 0
    if verb == "--version":
        from .._version import __version__

        print(f"kexue-bench {__version__}")
        return 0
    if verb in VERBS:
        module = importlib.import_module(f"{__package__}.{verb}")
        parser = argparse.ArgumentParser(
            prog=f"kexue-bench {verb}",
            description=module.__doc__,
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.configure(parser)
        return module.execute(parser.parse_args([_resume_latest(argument) for argument in arguments[1:]]))
    from .extra import run_plugin_command

    return run_plugin_command(verb, arguments[1:], VERBS)


def _resume_latest(argument: str) -> str:
    """A bare `--resume` means the latest run; argparse would take the next word, which may be a family, for RUN."""
    return "--resume=latest" if argument == "--resume" else argument


def _help() -> str:
    verbs = "\n".join(f"  {name:<9}{text}" for name, text in VERBS.items())
    return (
        "usage: kexue-bench VERB ...\n\n"
        "Benchmarks of estimators, regularizers and losses against exact truth, each number with its uncertainty.\n\n"
        f"verbs:\n{verbs}\n\n`kexue-bench VERB --help` lists the options of a verb.\n\n{EXAMPLES}\n\n{EXIT_CODES}"
    )
