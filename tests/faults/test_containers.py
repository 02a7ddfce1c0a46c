"""The real command where little is given, as in a hardened container: it finishes, or refuses with a reason."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kexue_bench.store.results import list_runs, load_run

ROOT = Path(__file__).parents[2]
LIMIT = 240.0
"""Seconds after which a driver counts as hanging."""
INNER = """
set -e
[ -z "$GROUP" ] || echo $$ > "$GROUP/cgroup.procs"
[ -z "$SHM" ] || mount -t tmpfs -o "$SHM" tmpfs /dev/shm
[ -z "$ROOM" ] || mount -t tmpfs -o "size=$ROOM" tmpfs "$TMPDIR"
[ -z "$FILES" ] || ulimit -n "$FILES"
# A user without an entry in the list of users, and so without a name and a home.
exec unshare --user --map-user=12345 --map-group=12345 "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Box:
    """What a container gives; an empty text leaves what there is.

    Args:
        shm: options of the file system at `/dev/shm`.
        room: size of the folder of temporary files.
        files: number of file descriptors.
        memory: bytes of the control group.
        deep: the current folder and the one of temporary files have long paths.
        options: of the command.
        code: its exit code.
        says: part of what it prints.
    """

    shm: str = ""
    room: str = ""
    files: str = ""
    memory: str = ""
    deep: bool = False
    options: tuple[str, ...] = ("-j", "1")
    code: int = 0
    says: str = "planned 2 = ok 2"


BOXES = {
    "little of everything": Box(shm="size=64m", room="300m", files="64", options=()),
    "long paths": Box(deep=True),
    "/dev/shm cannot be written": Box(shm="ro", room="300m", files="64", code=4, says="/dev/shm"),
    "/dev/shm is full": Box(shm="size=4k", code=4, says="/dev/shm"),
    "too few descriptors": Box(files="48", code=4, says="1 worker needs 64 file descriptors, got a limit of 48"),
    "little memory": Box(memory="1300000000", options=()),
    "too little memory": Box(memory="700000000", options=("-j", "2"), code=2, says="use at most -j 1"),
}


def _trial(*command: str) -> bool:
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0


def _remove(group: Path, seconds: float = 5.0) -> None:
    """Remove a control group, which has no process any more five seconds after its driver."""
    end = time.monotonic() + seconds
    while group.exists():
        try:
            group.rmdir()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


@contextmanager
def control_group(memory: str) -> Iterator[str]:
    """The folder of a control group below the own one; skips the test where none can be made."""
    if not memory:
        yield ""
        return
    own = {line.split(":")[1]: line.split(":")[2] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    base, name = ("memory", "memory.limit_in_bytes") if "memory" in own else (".", "memory.max")
    path = own.get("memory", own.get("", "/")).strip("/")
    group = Path("/sys/fs/cgroup") / base / path / f"kexue-bench-test-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    try:
        try:
            (group / name).write_text(memory)
        except OSError as error:
            pytest.skip(f"the memory of a control group cannot be limited: {error}")
        yield str(group)
    finally:
        _remove(group)


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces and control groups are of Linux")
@pytest.mark.parametrize("name", BOXES)
def test_a_container_that_gives_little_is_enough_or_refused(name, tmp_path, book):
    """No home, no name of the user, the locale C, and what the box names: it ends, with numbers or a sentence."""
    box = BOXES[name]
    if not _trial("unshare", "--mount", "unshare", "--user", "--map-user=12345", "true"):
        pytest.skip("namespaces cannot be made here")
    folder = tmp_path.joinpath(*("d" * 120, "e" * 120) if box.deep else ())
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    with control_group(box.memory) as group:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}",
            "LC_ALL": "C",
            "TMPDIR": str(temporary),
            # Where the files of a user without a home go: not into the home of whoever runs the tests.
            "XDG_CACHE_HOME": str(temporary),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SHM": box.shm,
            "ROOM": box.room,
            "FILES": box.files,
            "GROUP": group,
        }
        command = [sys.executable, "-m", "kexue_bench", "run", "gradients", "-t", "bernoulli-toy[bits=20,t=0.499]"]
        command += ["-m", "rloo", "--stage", "evaluate", "--budget", "4096", *box.options]
        done = subprocess.run(
            ["unshare", "--mount", "bash", "-c", INNER, "container", *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    told = done.stdout + done.stderr
    assert (done.returncode, "Traceback" in told) == (box.code, False), told
    assert box.says in told
    stored = [load_run(info.path) for info in list_runs(folder / "results")]
    assert bool(stored) or box.code != 0
    book.add("W29", unaccounted=sum(len(run.missing) for run in stored) if box.code == 0 else 0)
