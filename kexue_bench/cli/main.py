"""`kexue-bench VERB ...`: find the verb, import its module, run it, and turn errors into one paragraph."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TypeGuard

from ..errors import KexueError
from ..files import reason_of
from .verbs import VERBS

EXIT_CODES = """exit codes:
  0 ok   1 a claim or check failed (verify, doctor)   2 usage error   3 incomplete: a case failed or timed out
  4 the results folder or the output cannot be written or read, or the folder belongs to another run
  130/143 stopped by a signal"""

OUTPUT = 4
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What a write to standard output fails with, besides a closed pipe."""

EXAMPLES = """examples:
  kexue-bench compare                                      one task of every family: what to use
  kexue-bench compare gradients                            the quick tasks of one family
  kexue-bench compare gradients -t 'bernoulli-toy[t=0.49]' -m rloo -m 'reinmax[temperature=[1,1.3]]'
  kexue-bench recommend gradients --need unbiased          which to choose under a budget and needs
  kexue-bench show rloo                                    formula, options, references, a snippet to paste"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(arguments)
        # A buffer that cannot be written must be noticed here, not by the interpreter after the exit code is chosen.
        sys.stdout.flush()
    except KexueError as error:
        if "-v" in arguments or "--verbose" in arguments:
            _tell(traceback.format_exc())
        from ..report.text import visible

        # An error quotes names of plugins, files and stored runs, which are third-party texts.
        _tell(f"kexue-bench: {visible(str(error), keep_newlines=True)}\n")
        return error.exit_code
    except (OSError, SystemExit) as error:
        # rich ends the program with code 1 where a pipe is closed.
        lost = error.__context__ if isinstance(error, SystemExit) else error
        if not _is_lost_output(lost):
            raise
        _discard_output()
        _tell(f"kexue-bench: the output cannot be written: {reason_of(lost)}; results that were stored are kept\n")
        return OUTPUT
    except KeyboardInterrupt:
        return 130
    return code


def _is_lost_output(error: BaseException | None) -> TypeGuard[OSError]:
    """Whether a write to standard output failed: an error of a file would name it."""
    return (
        isinstance(error, OSError)
        and error.filename is None
        and (isinstance(error, BrokenPipeError) or error.errno in _UNWRITABLE)
    )


def _tell(text: str) -> None:
    """Write to standard error, which may be gone too."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _discard_output() -> None:
    """Let what is left in the buffer of standard output vanish, or the interpreter would fail on it at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
