"""Methods that misbehave."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self


class Method(Protocol):
    """What the task calls."""

    def run(self) -> float:
        """One number."""
        ...


@dataclass(frozen=True, kw_only=True)
class Fine:
    """Behaves; `spin` seconds of work."""

    value: float = 1.0
    spin: float = 0.0

    def run(self) -> float:
        end = time.perf_counter() + self.spin
        while time.perf_counter() < end:
            pass
        return self.value


class Process(Fine):
    """Says which process it runs in."""

    def run(self) -> float:
        return float(os.getpid())


@dataclass(frozen=True, kw_only=True)
class Notes:
    """Appends when it began and ended to a file."""

    note: str = ""

    def run(self) -> float:
        begun = time.monotonic()
        time.sleep(0.2)
        with Path(self.note).open("a") as file:
            file.write(f"{begun} {time.monotonic()}\n")
        return 1.0


@dataclass(frozen=True, kw_only=True)
class GlobalNoise:
    """Draws from the global generators of Python, numpy and torch."""

    def run(self) -> float:
        import numpy as np
        import torch

        return random.random() + np.random.random() + float(torch.rand(()))  # noqa: NPY002  # stray code uses the legacy generator


class Raises(Fine):
    def run(self) -> float:
        raise RuntimeError("told to raise")


class RaisesType(Fine):
    def run(self) -> float:
        raise TypeError("does not fit this task")


class _HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message")

    __repr__ = __str__

    def __reduce__(self) -> str:
        raise RuntimeError("no pickle")


class Hostile(Fine):
    def run(self) -> float:
        raise _HostileError


class Exits(Fine):
    def run(self) -> float:
        sys.exit(5)


class Interrupts(Fine):
    def run(self) -> float:
        raise KeyboardInterrupt


class Segfaults(Fine):
    def run(self) -> float:
        print("about to fall", flush=True)  # noqa: T201  # to be captured
        return float(len(ctypes.string_at(0)))


class Aborts(Fine):
    def run(self) -> float:
        os.abort()


@dataclass(frozen=True, kw_only=True)
class Quits:
    """Ends its process with a code."""

    code: int = 0

    def run(self) -> float:
        os._exit(self.code)


class Sleeps(Fine):
    def run(self) -> float:
        time.sleep(600)
        return 0.0


class Spins(Fine):
    """Holds the interpreter lock in C for ever."""

    def run(self) -> float:
        import re

        return float(re.match(r"(a+)+$", "a" * 60 + "b") is None)


class Stubborn(Fine):
    """Blocks every signal that can be blocked."""

    def run(self) -> float:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
        return 0.0


class Chatty(Fine):
    """Prints for ever."""

    def run(self) -> float:
        while True:
            os.write(1, b"x" * 65536)


@dataclass(frozen=True, kw_only=True)
class Prints:
    """Prints a lot, then behaves."""

    size: int = 100_000

    def run(self) -> float:
        print("first words")  # noqa: T201  # to be captured
        os.write(1, b"y" * self.size)
        print("\nlast words", file=sys.stderr)  # noqa: T201  # to be captured
        return 1.0


class Bomb(Fine):
    """Takes memory, and touches it."""

    def run(self) -> float:
        kept = []
        while True:
            kept.append(b"m" * (32 << 20))
            time.sleep(0.01)


@dataclass(frozen=True, kw_only=True)
class Hoards:
    """Asks for much memory at once."""

    size: int = 1 << 33

    def run(self) -> float:
        return float(len(bytearray(self.size)))


class NoMemory(Fine):
    def run(self) -> float:
        return float(len(bytearray(1 << 60)))


class TorchMemory(Fine):
    def run(self) -> float:
        import torch

        return float(torch.empty(1 << 55).numel())


class Settings(Fine):
    """Changes what decides other people's numbers."""

    def run(self) -> float:
        import torch

        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(2)
        torch.manual_seed(0)
        os.environ["CHAOS"] = "1"
        os.chdir("/")
        sys.path.insert(0, "/nowhere")
        return 1.0


class Handlers(Fine):
    """Changes how the process meets signals, errors, files and its own output."""

    def run(self) -> float:
        import io

        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        os.umask(0o77)
        sys.excepthook = lambda *_: None
        sys.stdout = io.StringIO()
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Spawns:
    """Starts a process that would live on, writes its pid, then behaves or falls."""

    note: str = ""
    fall: bool = False
    apart: ClassVar[bool] = False

    def run(self) -> float:
        code = "import time; time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", code], start_new_session=self.apart)
        with Path(self.note).open("a") as file:
            file.write(f"{child.pid}\n")
        if self.fall:
            ctypes.string_at(0)
        return 1.0


class Holds(Spawns):
    """Starts such a process and stays with it."""

    def run(self) -> float:
        super().run()
        time.sleep(600)
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """Like `Spawns`, but the process leaves its session and its parent."""

    note: str = ""
    fall: bool = False

    def run(self) -> float:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                with Path(self.note).open("a") as file:
                    file.write(f"{os.getpid()}\n")
                time.sleep(600)
            os._exit(0)
        note = Path(self.note)
        while not note.exists() or not note.read_text():
            time.sleep(0.01)
        if self.fall:
            ctypes.string_at(0)
        return 1.0


class StopsServer(Fine):
    """Stops the process that made its own."""

    def run(self) -> float:
        os.kill(os.getppid(), signal.SIGSTOP)
        return 1.0


class HoldsDaemon(Daemon):
    """Starts such a process and stays with it."""

    def run(self) -> float:
        super().run()
        time.sleep(600)
        return 0.0


class HoldsSession(Holds):
    """Like `Holds`, but the process is in a session of its own."""

    apart = True


class Lingers(Fine):
    """Leaves a thread that keeps the process alive."""

    def run(self) -> float:
        threading.Thread(target=time.sleep, args=(600,)).start()
        return 1.0


class Needs(Fine):
    def run(self) -> float:
        import a_package_that_nobody_has  # pyright: ignore[reportMissingImports]  # on purpose

        return float(a_package_that_nobody_has.value)


@dataclass(frozen=True, kw_only=True)
class Late:
    """Answers after some seconds."""

    seconds: float = 0.5

    def run(self) -> float:
        time.sleep(self.seconds)
        return self.seconds


@dataclass(frozen=True, kw_only=True)
class Refuses:
    """Validates its parameter."""

    n: int = 2

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n must be >= 2, got {self.n}; for a single draw use fine")

    def run(self) -> float:
        return float(self.n)


class DiesAtBirth(Fine):
    def __new__(cls, **_: object) -> Self:
        ctypes.string_at(0)
        return super().__new__(cls)


class RaisesOnBuild(Fine):
    def __new__(cls, **_: object) -> Self:
        raise RuntimeError("told to raise")


class Detail(Fine):
    """Has a vector to keep."""

    def detail(self) -> list[float]:
        return [1.0, 2.0, 0.5]


class BadRow(Fine):
    """Returns what is no number, and hides it until it is written."""

    def row(self) -> object:
        return object()


class LeavesGenerator(Fine):
    def run(self) -> float:
        raise GeneratorExit


@dataclass(frozen=True, kw_only=True)
class Signals:
    """Sends itself a signal."""

    number: int = 9

    def run(self) -> float:
        os.kill(os.getpid(), self.number)
        time.sleep(600)
        return 0.0


class Recurses(Fine):
    def run(self) -> float:
        return self.run() + 1


class HangsAtExit(Fine):
    """Answers, and keeps its interpreter from ending."""

    def run(self) -> float:
        import atexit

        atexit.register(time.sleep, 600)
        return 1.0


class _Grave:
    def __del__(self) -> None:
        ctypes.string_at(0)


class DiesAtExit(Fine):
    """Answers, and falls when its interpreter ends."""

    def run(self) -> float:
        sys.chaos = _Grave()  # pyright: ignore[reportAttributeAccessIssue]  # kept until the very end
        return 1.0


class Descriptors(Fine):
    """Opens files until it may not."""

    def run(self) -> float:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        kept = []
        while True:
            kept.append(os.open(os.devnull, os.O_RDONLY))


class Closes(Fine):
    """Closes every low descriptor."""

    def run(self) -> float:
        os.closerange(0, 100)
        return 1.0


class Forges(Fine):
    """Writes what looks like an answer to every descriptor it finds."""

    def run(self) -> float:
        for number in range(3, 60):
            try:
                if not os.path.samestat(os.fstat(number), Path("/dev/null").stat()):
                    os.write(number, b'{"outcomes":[{"key":"forged","status":"ok"}]}\n' * 3)
            except OSError:
                continue
        return 1.0


class NotFinite(Fine):
    def run(self) -> float:
        return float("nan")


class _HostileNumber:
    def __float__(self) -> float:
        raise ZeroDivisionError("no number")

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError("no equal")

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # hostile on purpose


class HostileNumber(Fine):
    def run(self) -> float:
        return _HostileNumber()  # pyright: ignore[reportReturnType]  # hostile on purpose


class WrongType(Fine):
    def run(self) -> float:
        return [1.0, 2.0]  # pyright: ignore[reportReturnType]  # wrong on purpose


class KillsServer(Fine):
    """Ends the process that makes workers."""

    def run(self) -> float:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
        return 0.0


class Anomalous(Fine):
    """Leaves a setting of torch changed that makes everybody slow."""

    def run(self) -> float:
        import torch

        torch.autograd.set_detect_anomaly(True)
        return 1.0


_threads: list[threading.Thread] = []


class SpinsBehind(Fine):
    """Leaves a thread that computes for ever."""

    def run(self) -> float:
        if not _threads:
            _threads.append(threading.Thread(target=_spin, daemon=True))
            _threads[0].start()
        return 1.0


def _spin() -> None:
    while True:
        pass


class QuitsLater(Fine):
    """Ends its process from a thread, while others run."""

    def run(self) -> float:
        if not _threads:
            _threads.append(threading.Timer(0.3, os._exit, [3]))
            _threads[0].start()
        return 1.0


class Patches(Fine):
    """Replaces a function that others call."""

    def run(self) -> float:
        import torch

        torch.rand = torch.zeros
        return 1.0
