"""What Ctrl-C means: the first ends the run cleanly, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stop:
    """A request to end, set by a signal or by the program.

    Attributes:
        signal: number of the signal that set it; 0 for none.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._event = threading.Event()

    def set(self) -> None:
        """Request the end."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether the end was requested."""
        return self._event.is_set()

    @property
    def exit_code(self) -> int:
        """128 plus the signal (130 for SIGINT, 143 for SIGTERM); 0 if no signal came."""
        return 128 + self.signal if self.signal else 0


@contextmanager
def stop_on_signals(*, say: str = "") -> Iterator[Stop]:
    """The first SIGINT, SIGTERM or SIGHUP sets the token; the second ends this process at once.

    A handler only sets a flag, so that no write to the journal is ever interrupted halfway. The fork server ends
    the workers of a process that ends. A signal that the caller ignores (`nohup`) stays ignored. Must be entered
    in the main thread.

    Args:
        say: line printed on standard error at the first signal.
    """
    stop = Stop()
    line = f"\n{say}\n".encode() if say else b""

    def handle(number: int, _: object) -> None:
        if stop.signal:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")
            os._exit(128 + number)
        stop.signal = number
        stop.set()
        with suppress(OSError):
            os.write(2, line)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_on_interrupt() -> Iterator[Stop]:
    """The first SIGINT sets the token, the next one raises `KeyboardInterrupt`: for a run inside a user's process.

    Other signals stay as they are. So does SIGINT if it is ignored, and outside the main thread, which signals never
    reach.
    """
    stop = Stop()
    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or before in {signal.SIG_IGN, None}:
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.signal:
            signal.default_int_handler(number, frame)
        stop.signal = number
        stop.set()

    signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
