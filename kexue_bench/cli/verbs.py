"""The verbs of the core, each with one line of help; each lives in a module of its own name."""

from __future__ import annotations

VERBS = {
    "compare": "run methods on tasks and print the results, or read stored runs",
    "run": "run and store, without printing tables",
    "recommend": "say which methods to choose under a budget and needs",
    "verify": "test the claims of methods against exact truth",
    "new": "start a project of your own: a method, a family or a task",
    "check": "check everything that a package of methods and tasks must keep",
    "report": "print the tables of a stored run",
    "export": "write a run as csv, json, md, latex or parquet",
    "import": "read times of pytest-benchmark or pyperf, and store them as a run",
    "plot": "draw bias against variance, error against budget, or training against exact",
    "list": "list methods, tasks, families, metrics, runs or statuses",
    "show": "show everything about one method, task, family, metric or case",
    "plugins": "list every plugin found, and why it could not be loaded",
    "doctor": "check this machine: overhead, noise floor, false alarms",
    "env": "print the machine and the versions, as recorded in every run",
}
