"""What this plugin registers. Nothing here imports torch: targets are strings, imported by workers only."""

from __future__ import annotations

from kexue_bench.api import Claimed, FamilySpec, MethodSpec, MetricSpec, TaskSpec
from kexue_bench.hookspecs import hookimpl

_FAMILY = "gradients"
_METHODS = "kexue_gradients.methods"
_TASKS = "kexue_gradients.tasks"
_UNBIASED = (Claimed(name="unbiased"),)
# Every task says besides whether its variables are `bernoulli` or `categorical`; `power`: its parameter is f's degree.
_OFFERS = frozenset({"enumerable", "differentiable", "relaxable"})


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """The family."""
    return [
        FamilySpec(
            name=_FAMILY,
            title="gradient estimators",
            summary="estimators of the gradient of E f(x), x discrete, with respect to the logits of x",
            contract="kexue_gradients.contract:GradientMethod",
            precision_metric="mse",
            baseline="reinforce",
            headline=("bias", "variance", "work-variance", "time", "evaluations", "memory"),
            work="evaluations",
        )
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Score-function methods first, then those that need the gradient of f."""
    return [
        MethodSpec(
            name="exact",
            family=_FAMILY,
            target=f"{_METHODS}.exact:Exact",
            summary="the gradient itself, summed over every state",
            claims=(*_UNBIASED, Claimed(name="deterministic")),
            needs=frozenset({"enumerable"}),
        ),
        MethodSpec(
            name="reinforce",
            family=_FAMILY,
            target=f"{_METHODS}.reinforce:Reinforce",
            summary="score function times f, with no, a constant or a moving-average baseline",
            references=("Williams, Machine Learning 8, 1992",),
            claims=_UNBIASED,
            cost="1",
            variants=("reinforce", "reinforce[baseline=ema]"),
        ),
        MethodSpec(
            name="rloo",
            family=_FAMILY,
            target=f"{_METHODS}.rloo:Rloo",
            summary="reinforce with the leave-one-out mean of n draws as baseline",
            references=("arXiv:1602.06725", "Kool, van Hoof, Welling, Buy 4 REINFORCE samples, ICLR workshop 2019"),
            claims=_UNBIASED,
            cost="n",
        ),
        MethodSpec(
            name="disarm",
            family=_FAMILY,
            target=f"{_METHODS}.disarm:Disarm",
            summary="antithetic pair of bits with the uniform of ARM integrated out",
            references=("arXiv:2006.10680",),
            claims=_UNBIASED,
            cost="2",
            needs=frozenset({"bernoulli"}),
        ),
        MethodSpec(
            name="gumbel-softmax",
            family=_FAMILY,
            target=f"{_METHODS}.gumbel_softmax:GumbelSoftmax",
            summary="pathwise gradient of a relaxed sample (Concrete)",
            references=("arXiv:1611.01144", "arXiv:1611.00712"),
            cost="1",
            needs=frozenset({"differentiable", "relaxable"}),
            aliases=("concrete",),
        ),
        MethodSpec(
            name="st-gumbel-softmax",
            family=_FAMILY,
            target=f"{_METHODS}.st_gumbel_softmax:StGumbelSoftmax",
            summary="exact sample forwards, its relaxation backwards",
            references=("arXiv:1611.01144",),
            cost="1",
            needs=frozenset({"differentiable"}),
        ),
        MethodSpec(
            name="straight-through",
            family=_FAMILY,
            target=f"{_METHODS}.straight_through:StraightThrough",
            summary="exact sample forwards, its probability backwards",
            references=("arXiv:1308.3432",),
            cost="1",
            needs=frozenset({"differentiable"}),
        ),
        MethodSpec(
            name="reinmax",
            family=_FAMILY,
            target=f"{_METHODS}.reinmax:ReinMax",
            summary="second-order straight-through, exact on quadratics at temperature 1",
            references=("arXiv:2304.08612",),
            claims=(Claimed(name="unbiased", when="temperature == 1 and 'power' in offers and task.power == 2"),),
            cost="1",
            needs=frozenset({"differentiable"}),
        ),
    ]


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """Toys with closed forms, real data at frozen parameters, and training."""
    return [
        TaskSpec(
            name="bernoulli-toy",
            family=_FAMILY,
            target=f"{_TASKS}.bernoulli_toy:BernoulliToy",
            summary="f = mean |b - t|^power over bits with one logit, exact gradient known",
            version=1,
            offers=_OFFERS | {"bernoulli", "power"},
            suites={
                "quick": ("bernoulli-toy", "bernoulli-toy[power=3.0]", "bernoulli-toy[bits=200,t=0.499]"),
                "standard": (
                    "bernoulli-toy[theta=[-1.2,0.0,0.5,2.0]]",
                    "bernoulli-toy[power=[1.5,3.0]]",
                    "bernoulli-toy[t=0.499,theta=0.0]",
                    "bernoulli-toy[bits=200,t=0.499]",
                ),
                "full": (
                    "bernoulli-toy[theta=[-1.2,0.0,0.5,2.0],t=[0.45,0.49,0.499],power=[1.5,2.0,3.0]]",
                    "bernoulli-toy[bits=200,t=0.499,power=[2.0,3.0]]",
                ),
            },
            timed=frozenset({"standard", "full"}),
            budgets={"quick": 2**18, "standard": 2**21, "full": 2**24},
            primary="work-variance",
        ),
        TaskSpec(
            name="categorical-toy",
            family=_FAMILY,
            target=f"{_TASKS}.categorical_toy:CategoricalToy",
            summary="f = (w . x - t)^power for one choice of three, exact gradient known",
            version=1,
            offers=_OFFERS | {"categorical", "power"},
            suites={
                "quick": ("categorical-toy[power=[2,3]]",),
                "standard": ("categorical-toy[power=[2,3]]", "categorical-toy[point=peaked]"),
                "full": ("categorical-toy[power=[2,3],point=[flat,peaked]]",),
            },
            timed=frozenset({"standard", "full"}),
            budgets={"quick": 2**18, "standard": 2**21, "full": 2**24},
            primary="work-variance",
        ),
        TaskSpec(
            name="digits-vae-frozen",
            family=_FAMILY,
            target=f"{_TASKS}.digits_vae_frozen:DigitsVaeFrozen",
            summary="gradient of an 8-bit autoencoder of digits at stored parameters, 32 images, exact by enumeration",
            version=1,
            offers=_OFFERS | {"bernoulli"},
            suites=dict.fromkeys(("quick", "standard", "full"), ("digits-vae-frozen",)),
            budgets={"quick": 2**13, "standard": 2**16, "full": 2**20},
            primary="work-variance",
            headline=("relative-bias", "variance", "work-variance", "cosine", "time", "evaluations", "memory"),
        ),
        TaskSpec(
            name="digits-vae",
            family=_FAMILY,
            target=f"{_TASKS}.digits_vae:DigitsVae",
            summary="train an 8-bit autoencoder of digits; exact ELBO over the 256 states",
            version=1,
            offers=_OFFERS | {"bernoulli"},
            suites={
                "quick": ("digits-vae[steps=1000]",),
                "standard": ("digits-vae[steps=2000]",),
                "full": ("digits-vae[steps=[2000,8000]]",),
            },
            timed=frozenset({"standard", "full"}),
            replicates={"quick": 5, "standard": 10, "full": 20},
            stack=5,
            primary="elbo",
            headline=("elbo", "elbo-test", "time", "evaluations", "memory"),
        ),
    ]


@hookimpl
def kexue_metrics() -> list[MetricSpec]:
    """Metrics of this family beside the core's."""
    return [
        MetricSpec(name="evaluations", heading="evals", summary="evaluations of f for one estimate"),
        MetricSpec(name="backwards", summary="backward passes through f for one estimate"),
        MetricSpec(
            name="elbo",
            unit="nats",
            direction="higher",
            scale="linear",
            summary="exact evidence lower bound of an image, training images",
        ),
        MetricSpec(
            name="elbo-test",
            heading="elbo (test)",
            unit="nats",
            direction="higher",
            scale="linear",
            summary="exact evidence lower bound of an image, held-out images",
        ),
    ]
