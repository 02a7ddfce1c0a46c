"""`kexue-bench VERB ...`: find the verb, import its module, run it, and turn errors into one paragraph."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from ..errors import KexueError
from .verbs import VERBS

EXIT_CODES = """exit codes:
  0 ok   1 a claim or check failed (verify, doctor)   2 usage error   3 incomplete: a case failed or timed out
  4 the results folder cannot be written or read, or belongs to another run   130/143 stopped by a signal"""

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

        # An error quotes names of plugins, files and stored runs, which are third-party texts.
        print(f"kexue-bench: {visible(str(error), keep_newlines=True)}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): the work is done, and there is no one to report to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _dispatch(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else "--help"
    if verb in {"-h", "--help"}:
        print(_help(_plugin_verbs(arguments[1:])))
        return 0
    if verb == "--version":
        from .._version import __version__

        print(f"kexue-bench {__version__}")
        return 0
    if verb in VERBS:
        module = importlib.import_module(f"{__package__}.{verb}")
    else:
        from .extra import plugin_verb

        module = plugin_verb(verb, arguments[1:], VERBS)
    parser = argparse.ArgumentParser(
        prog=f"kexue-bench {verb}",
        description=module.__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    if verb not in VERBS:
        from .options import add_plugin_options

        add_plugin_options(parser)
    return module.execute(parser.parse_args([_resume_latest(argument) for argument in arguments[1:]]))


def _resume_latest(argument: str) -> str:
    """A bare `--resume` means the latest run; argparse would read the next word, possibly a family, as RUN."""
    return "--resume=latest" if argument == "--resume" else argument


def _plugin_verbs(arguments: Sequence[str]) -> dict[str, str]:
    """The verbs of plugins, if `-p` asks for some; without it, help reads no plugin and starts at once."""
    if not arguments:
        return {}
    from .extra import registered

    return {name: spec.summary for name, spec in registered(arguments).commands.items() if name not in VERBS}


def _help(more: Mapping[str, str]) -> str:
    verbs = "\n".join(f"  {name:<9}{text}" for name, text in {**VERBS, **more}.items())
    return (
        "usage: kexue-bench VERB ...\n\n"
        "Benchmarks of estimators, regularizers and losses against exact truth, each number with its uncertainty.\n\n"
        f"verbs:\n{verbs}\n\n`kexue-bench VERB --help` lists the options of a verb; `kexue-bench plugins` lists the "
        f"verbs that plugins add.\n\n{EXAMPLES}\n\n{EXIT_CODES}"
    )
