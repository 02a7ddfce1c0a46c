"""Which gradient estimator has the smallest error per evaluation of f? Run four of them from Python.

    python examples/compare_estimators.py

A script needs no `if __name__ == "__main__"`: workers never import it.
"""

from __future__ import annotations

import kexue_bench

found = kexue_bench.compare(
    "gradients",
    methods=["rloo[n=[2,8]]", "disarm", "gumbel-softmax"],
    tasks="bernoulli-toy[t=0.45]",
    stages="evaluate",
    budget=2**14,
    output=None,  # a temporary folder; "results" would keep the run for `kexue-bench report`
)

print(found)
for table in found.tables:
    best = [row.label for row in table.rows if row.star]
    print(f"\nbest in {table.primary} on {table.task.label}: {', '.join(best) or 'undecided'}")

frame = found.to_frame()
bias = frame[(frame["metric"] == "bias") & (frame["method"] == "gumbel-softmax")].iloc[0]
print(f"bias of gumbel-softmax: {bias['value']:.2g} [{bias['ci_low']:.2g}, {bias['ci_high']:.2g}]")

claims = kexue_bench.verify("gradients", "disarm", "bernoulli-toy[t=0.45]", budget=2**14, output=None)
print(f"\nevery claim of disarm holds: {claims.passed}   ({claims!r})")
