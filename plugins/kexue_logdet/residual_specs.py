"""What the family says of its methods and tasks for residual operators."""

from __future__ import annotations

from kexue_bench.api import MethodSpec, TaskSpec

METHODS: tuple[MethodSpec, ...] = ()
TASKS: tuple[TaskSpec, ...] = ()
