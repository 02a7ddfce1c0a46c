"""The verbs of the core, each with one line of help; each lives in a module of its own name."""

from __future__ import annotations

VERBS = {
    "compare": "run methods on tasks and print what is known about each; or read stored runs",
    "run": "run and store, without printing tables",
    "verify": "test what methods claim about themselves against exact truth",
    "report": "print the tables of a stored run",
    "export": "write a run as csv, json, md, latex or parquet",
    "plot": "draw bias against variance, error against budget, or training against exact",
    "list": "list methods, tasks, families, metrics, runs or statuses",
    "show": "everything about one method, task, family or case",
    "plugins": "every plugin found, and why a broken one is broken",
    "doctor": "check this machine: overhead, noise floor, false alarms among equals",
    "env": "the machine and the versions, as every run records them",
}
