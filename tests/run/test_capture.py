"""Captured output is bounded, whoever floods it, and keeps both of its ends."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from kexue_bench.run.capture import CAP, KEEP, Capture, Tail, bounded


@given(st.binary(max_size=400), st.integers(8, 100))
def test_bounded_text_is_the_text_or_its_two_ends(data, keep):
    """What fits is unchanged; of what does not, a quarter and three quarters of the room stay, and a note."""
    data = data.replace(b"\n", b" ").replace(b"Extension modules: ", b"")
    text = bounded(data, keep)
    if len(data) <= keep:
        assert text == data.decode("utf-8", "replace")
    else:
        head, note, tail = text.split("\n")
        assert note == f"[... {len(data) - keep} bytes left out ...]"
        assert head == data[: keep // 4].decode("utf-8", "replace")
        assert tail == data[len(data) - (keep - keep // 4) :].decode("utf-8", "replace")


def test_the_list_of_extension_modules_is_left_out():
    """The fault handler ends a stack with 6 kB of names."""
    assert bounded("stack\n\nExtension modules: a, b (total: 2)\n") == "stack"


def test_a_fatal_stack_ends_where_the_case_began():
    """The frames of the worker, the pool and the fork server below the task say nothing about the case."""
    frames = ["/x/chaos/methods.py", "/x/kexue_bench/lab/stages.py", "/x/kexue_bench/run/worker.py"]
    frames += ["/x/kexue_bench/run/engines/entry.py", "/x/pebble/pool/process.py", "/x/multiprocessing/spawn.py"]
    frames += ["<string>"]
    text = "Fatal Python error: Aborted\n" + "".join(f'  File "{path}", line 3 in run\n' for path in frames)
    assert [line.split('"')[1] for line in bounded(text).splitlines()[1:]] == frames[:2]


def test_taking_gives_what_is_new(tmp_path):
    """Each case of a job gets its own output, also after the driver has cut the file."""
    path = tmp_path / "output"
    path.write_bytes(b"one\n")
    capture = Capture(path)
    assert (capture.take(), capture.take()) == ("one", "")
    with path.open("ab") as file:
        file.write(b"two, longer\n")
    assert capture.take() == "two, longer"
    path.write_bytes(b"three\n")
    assert capture.take() == "three"


def test_a_flooded_file_is_cut_and_its_head_is_kept(tmp_path):
    """A writer that appends goes on at the new end; head, note and tail are what remains."""
    path = tmp_path / "output"
    tail = Tail(path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"first" + b"x" * (CAP + 1))
    tail.trim()
    os.write(fd, b"y" * CAP)
    tail.trim()
    assert path.stat().st_blocks * 512 < CAP
    os.write(fd, b"last")
    os.close(fd)
    text = tail.text()
    assert text.startswith("firstx")
    assert text.endswith("last")
    assert len(text) < KEEP + 100
    tail.clear()
    assert tail.text() == ""
