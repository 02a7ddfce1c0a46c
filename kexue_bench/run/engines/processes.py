"""How processes end: the few Linux calls that Python does not wrap, each harmless on other systems."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def die_with_parent(sig: signal.Signals) -> None:
    """Ask the kernel for `sig` when the thread that started this process ends (Linux)."""
    _prctl(_PR_SET_PDEATHSIG, sig)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent dies, so that none escapes (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def open_pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None if the process is gone or pidfds are missing."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def stopped(pid: int) -> bool:
    """Whether a signal has stopped the process."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def rss(pid: int) -> int:
    """Resident bytes; 0 if the process is gone."""
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


def bound_memory(size: int) -> None:
    """Let this process allocate `size` more bytes of writable memory than it has; larger requests fail (Linux).

    RLIMIT_DATA counts reserved memory, so a huge request fails before any page is used. RLIMIT_AS would count the
    address space too, of which CUDA and thread arenas reserve far more than they use.
    """
    if sys.platform != "linux":
        return
    words = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").split()
    born = int(words[words.index("VmData:") + 1]) * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = born + size if hard == resource.RLIM_INFINITY else min(born + size, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def kill_group(pid: int) -> None:
    """SIGKILL to the process group led by `pid`, and to `pid`."""
    for call in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            call(pid, signal.SIGKILL)


def has_children() -> bool:
    """Whether this process has any child, by one system call."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL to each; psutil compares start times, so a reused pid is spared."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def descendants() -> list[psutil.Process]:
    """Every process below this one."""
    try:
        return psutil.Process().children(recursive=True)
    except psutil.Error:
        return []


def sweep(seconds: float = 2.0) -> int:
    """Kill and reap every process below this one; returns how many there were."""
    # A process that was killed may run on for a moment, and psutil tells a reused pid from it.
    killed: set[psutil.Process] = set()
    end = time.monotonic() + seconds
    while has_children() and time.monotonic() < end:
        found = [p for p in descendants() if _running(p)]
        killed.update(found)
        kill_all(found)
        _reap()
        if found:
            time.sleep(0.005)
    return len(killed)


def _running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def birth(pid: int) -> str:
    """When a process started, in ticks since the machine did; with its pid it names one process. Empty if it is gone.

    Clock times of a start are computed from the wall clock and move with it.
    """
    if sys.platform != "linux":
        with contextlib.suppress(psutil.Error):
            return str(psutil.Process(pid).create_time())
        return ""
    with contextlib.suppress(OSError, IndexError):
        # The name of the program, in parentheses, may contain anything.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    return ""


def register(folder: Path) -> None:
    """Enter this process as a living worker."""
    (folder / str(os.getpid())).write_text(birth(os.getpid()), encoding="ascii")


def registered(folder: Path) -> set[int]:
    """Pids of the workers that live; the entry of one that ended is removed, so that its pid spares no other process.

    Args:
        folder: has a file for each worker, named by its pid, with its birth; empty while the worker writes it.
    """
    found = set()
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            pid = int(entry.name)
            if alive(pid) and entry.read_text(encoding="ascii") in {"", birth(pid)}:
                found.add(pid)
            else:
                entry.unlink(missing_ok=True)
    return found


def kill_orphans(server: int, known: Callable[[], set[int]]) -> None:
    """Kill what dead workers left under the fork server.

    A worker registers its pid before it leaves the server's session, and its children can never return to that session.
    So a child of the server outside the session that is not a known worker is an orphan.

    Args:
        server: pid of the fork server.
        known: pids of the registered workers. It is called when the children are known, because one that registers and
            leaves meanwhile would otherwise be taken for an orphan.
    """
    try:
        session = os.getsid(server)
        outside = [child for child in psutil.Process(server).children() if _session(child.pid) not in {session, None}]
    except (psutil.Error, OSError):
        return
    workers = known() if outside else set()
    for child in outside:
        with contextlib.suppress(psutil.Error):
            if child.pid not in workers:
                kill_all([*child.children(recursive=True), child])


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def end_marked(name: str, value: str, seconds: float = 2.0) -> int:
    """Kill this user's processes in whose environment a variable has a value; returns their number.

    The environment is the one that a program was started with: a process that was given another is not found.
    """
    count, end = 0, time.monotonic() + seconds
    # Again, because the dead may just have started others.
    while (found := [p for p in psutil.process_iter() if _is_marked(p, name, value)]) and time.monotonic() < end:
        count += len(found)
        kill_all(found)
        time.sleep(0.005)
    return count


def _is_marked(process: psutil.Process, name: str, value: str) -> bool:
    try:
        return (
            process.uids().real == os.getuid()
            and process.environ().get(name) == value
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False


def memory_available() -> int:
    """Bytes of memory of this machine, or of the control groups it runs in."""
    total = psutil.virtual_memory().total
    for folder in _control_groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                total = min(total, int((folder / name).read_text()))
    return total


def cores_available() -> int:
    """Cores that this process may use: of the machine, of its affinity, and of the quota of its control groups."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _control_groups("cpu"):
        with contextlib.suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()
            count = min(count, math.ceil(int(quota) / int(period)))
        with contextlib.suppress(OSError, ValueError):
            quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            if quota > 0:
                count = min(count, math.ceil(quota / period))
    return max(1, count)


def _control_groups(
    controller: str, root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> list[Path]:
    """The folders of the control groups around this process, of both versions, whether or not they exist."""
    found = {root, root / controller}
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            _, names, path = line.split(":", 2)
            base = root / controller if controller in names.split(",") else root
            if names and base == root:
                continue
            place = base / path.strip("/")
            found |= {place, *(parent for parent in place.parents if parent.is_relative_to(base))}
    return sorted(found)


def describe_exit(code: int) -> str:
    """`exited with code 3` or `killed by SIGSEGV`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return "killed by SIGKILL from outside, perhaps by the kernel for lack of memory"
    return f"killed by {name}"
