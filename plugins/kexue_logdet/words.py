"""Words and rules used by the declarations of several files.

Facts of a task: `wanted` is the target of an SPD operator (`logdet`, `trace`, `inverse`, `gradient`), `rows` its size,
`allowed` the products of one estimate, `norm` the bound of ||J|| that it provides, `training` the steps of a training.
A rule applies only if the task declares all facts that it compares: third-party tasks without facts are not affected.
"""

from __future__ import annotations

from kexue_bench import Claimed, Unless

# -- claims -----------------------------------------------------------------------------------------------------------

ERROR_BAR = Claimed(name="error-bar", when="probes > 1 and 'gradient' not in offers")
SIGN = Claimed(name="small-determinant", when="'gradient' not in offers")
# The target is a trace: B is A itself, and the probes are the only source of error. The parameter exists only if the
# word is offered.
UNBIASED_TRACE = Claimed(
    name="unbiased", when="('traces' in offers or ('target' in offers and task.target == 'trace'))"
)
# rho(J) <= ||J|| = c: if the norm obeys the rule the variance is finite, and a test of the mean is meaningful. A norm
# estimated by the method guarantees nothing.
ROULETTE_CLAIMS = (
    Claimed(
        name="unbiased",
        when="'residual' in offers and ((stopping == 'geometric' and task.c * task.c < 1 - probability) or "
        "(stopping == 'norm' and not ('bounds' in offers and task.bounds == 'none')))",
    ),
    Claimed(
        name="finite-variance",
        when="'residual' in offers and ((stopping == 'geometric' and task.c * task.c < 1 - probability) or "
        "(stopping == 'norm' and not ('bounds' in offers and task.bounds == 'none'))) and 'variance' in offers",
    ),
)

# -- costs: one call of any estimator at its defaults is 60 products; methods on log A take 60 with it, of 8 each ------

IMAGES = "vectors * (1 if ('traces' in offers or ('target' in offers and task.target == 'trace')) else steps)"

# -- rules ------------------------------------------------------------------------------------------------------------

NO_GRADIENT = Unless(when="task.wanted == 'gradient'", because="provides no gradient")
NO_TRACE = Unless(when="task.wanted == 'trace'", because="estimates log-determinants; the task needs a trace")
NO_INVERSE = Unless(when="task.wanted == 'inverse'", because="cannot estimate the trace of an inverse")
NO_LOGDET = Unless(when="task.wanted == 'logdet'", because="estimates traces; the task needs a log-determinant")
LOGDET_ONLY = (NO_GRADIENT, NO_TRACE, NO_INVERSE)
NO_BOUND = Unless(
    when="task.wanted == 'logdet' and task.bounds == 'none'",
    because="needs a bound of the spectrum; the task provides none",
)
# Claims that build their own operator are checked whatever the task's budget.
OVER_BUDGET = Unless(
    when="cost > task.allowed and claim not in ('small-determinant', 'exact-at(steps=n)', 'exact-at(probes=n)')",
    because="an estimate costs {cost} products; the task allows {task.allowed}",
)
# The mean of a random cost; under `norm` it is known before a run only if the task provides the norm.
ROULETTE_OVER_BUDGET = (
    Unless(
        when="stopping != 'norm' and "
        "probes * (certain + (rate if stopping == 'poisson' else 1 / probability)) > task.allowed",
        because="an estimate costs {probes * (certain + (rate if stopping == 'poisson' else 1 / probability))} "
        "products on average; the task allows {task.allowed}",
    ),
    Unless(
        when="stopping == 'norm' and not ('bounds' in offers and task.bounds == 'none') "
        "and probes * (certain + 1 / (1 - task.norm)) > task.allowed",
        because="an estimate costs {probes * (certain + 1 / (1 - task.norm))} products on average; the task allows "
        "{task.allowed}",
    ),
)

# -- tasks ------------------------------------------------------------------------------------------------------------

LOGDET_FACTS = {"wanted": "'logdet'", "rows": "n", "allowed": "rows if budget == 0 else budget"}
DATA_ROWS = "150 if dataset == 'iris' else 178 if dataset == 'wine' else 569 if dataset == 'breast_cancer' else 1797"
SPD_BUDGETS = {"quick": 1024, "standard": 512, "full": 131072}
RESIDUAL_BUDGETS = {"quick": 1024, "standard": 2048, "full": 131072}
GRADIENT_COLUMNS = ("budget-error", "relative-bias", "variance", "cosine", "work-variance", "products", "memory")
RESIDUAL_COLUMNS = (
    "budget-error",
    "estimate",
    "bias",
    "variance",
    "exact-variance",
    "error",
    "work-variance",
    "time",
    "products",
    "products-max",
    "memory",
)
