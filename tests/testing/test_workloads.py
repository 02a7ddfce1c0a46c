"""The workload that a test times is the one that `compare` times."""

import torch

from kexue_bench.testing.plugin import timed_cases
from kexue_bench.testing.workloads import ready


def test_the_call_has_the_threads_and_the_units_of_a_timed_case():
    """One thread, no graph, one batch of draws; all of it is restored."""
    (case,) = timed_cases("gradients", methods="rloo", tasks="bernoulli-toy")
    threads = torch.get_num_threads()
    with ready(case) as workload:
        assert (torch.get_num_threads(), torch.is_grad_enabled()) == (1, False)
        drawn = workload.call()
        assert (len(drawn), workload.unit) == (workload.units, "draw")
        # Each call draws on, so that a cache cannot serve the second.
        assert not torch.equal(drawn, workload.call())
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, True)
