"""The tasks of the family that are problems of matrices, and their metrics. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import Knob, MetricSpec, TaskSpec

_FAMILY = "orthogonality"
_TASKS = "kexue_orthogonality.tasks"
_INPUTS = frozenset({"inputs"})
_RATE = Knob(field="rate", grid=(0.01, 0.03, 0.1, 0.3, 1.0))
_COUNTED = ("steps-to-1e-12", "exact-steps", "flops-to-1e-12", "steps-to-1e-6", "flops-to-1e-6", "polar-distance")
_EXACT = ("soft", "landing[lr=0.5]", "newton-schulz[degree=[3,5]]", "polar-express", "polar-projection")
_HELD = ("parametrization[map=[cayley,matrix_exp,householder]]", "riemannian-sgd[retraction=[qr,polar]]")
_PENALTIES = ("soft", "double-soft", "off-diagonal", "srip", "coherence")
_OTHERS = ("geotorch", "geoopt-sgd", "orthogonium-bjorck")
_DESCENTS = (
    "soft[weight=[0.1,0.4]]",
    "landing[lr=0.5]",
    "riemannian-sgd[lr=0.5,retraction=[qr,polar]]",
    "riemannian-sgd[lr=0.1,momentum=0.9]",
    "parametrization[map=[cayley,matrix_exp,householder]]",
    "newton-schulz",
    "polar-express",
    "polar-projection[every=[1,10]]",
    "muon",
    "geoopt-sgd[lr=0.5]",
    "geotorch",
)

TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="projection",
        baseline="soft",
        family=_FAMILY,
        target=f"{_TASKS}.projection:Projection",
        summary="from matrices of known singular values to the polar factor; steps and operations to 1e-6 and 1e-12",
        version=1,
        kind="record",
        offers=_INPUTS,
        suites={
            "quick": ("projection[kappa=[10.0,1000.0,1000000.0]]",),
            "standard": ("projection[kappa=[10.0,1000.0,1000000.0]]",),
            "full": (
                "projection[kappa=[10.0,1000.0,1000000.0],d=[64,256]]",
                "projection[kappa=1000.0,d=1024,k=256]",
            ),
        },
        methods={
            "quick": (*_EXACT, "parametrization", "riemannian-sgd"),
            "standard": (*_EXACT, "bjorck[beta=[0.4,0.5]]", "double-soft", *_HELD, *_OTHERS),
        },
        timed=frozenset({"full"}),
        dtype="float64",
        primary="flops-to-1e-12",
        headline=(*_COUNTED[:3], "time", *_COUNTED[3:]),
    ),
    TaskSpec(
        name="hard-projection",
        baseline="soft",
        family=_FAMILY,
        target=f"{_TASKS}.projection:Projection",
        summary="the same at a small rate, from norms near the edge of convergence, without full rank, of Gaussians",
        version=1,
        kind="record",
        offers=_INPUTS,
        suites={
            "standard": (
                "hard-projection[kappa=[10.0,1000.0,1000000.0],rate=0.01,steps=700]",
                "hard-projection[scale=[0.1,1.7,3.0]]",
                "hard-projection[start=gaussian]",
                "hard-projection[start=repeated,steps=50]",
                "hard-projection[d=256]",
            ),
            "full": (
                "hard-projection[kappa=[10.0,1000.0,1000000.0],rate=0.01,steps=700]",
                "hard-projection[scale=[0.1,1.7,3.0],d=[64,256]]",
                "hard-projection[start=gaussian,d=[64,256]]",
                "hard-projection[start=repeated,steps=50]",
            ),
        },
        methods={
            "standard": (*_PENALTIES, "landing[lr=0.5]", "newton-schulz", "polar-express", "parametrization"),
        },
        timed=frozenset(),
        dtype="float64",
        primary="polar-distance",
        headline=(*_COUNTED, "determinant"),
    ),
    TaskSpec(
        name="procrustes",
        family=_FAMILY,
        target=f"{_TASKS}.procrustes:Procrustes",
        summary="min |AW - B| over orthogonal W, whose optimum is known for either sign of the determinant",
        version=1,
        kind="trained",
        offers=_INPUTS,
        suites={
            "standard": ("procrustes",),
            "full": ("procrustes[n=[5,20]]", "procrustes[n=100,steps=2000]"),
        },
        methods={"standard": _DESCENTS},
        timed=frozenset({"full"}),
        replicates={"standard": 10, "full": 20},
        stack=10,
        knobs=(_RATE,),
        dtype="float64",
        primary="component-gap",
        headline=("component-gap", "optimum-gap", "determinant", "singular-error", "flops"),
    ),
    TaskSpec(
        name="eigenvectors",
        family=_FAMILY,
        target=f"{_TASKS}.eigenvectors:Eigenvectors",
        summary="principal components and Brockett's function over orthonormal columns, optima in closed form",
        version=1,
        kind="trained",
        offers=_INPUTS,
        suites={
            "standard": ("eigenvectors[kind=[brockett,pca]]",),
            "full": ("eigenvectors[kind=[brockett,pca]]", "eigenvectors[kind=[brockett,pca],n=100,k=20,steps=2000]"),
        },
        methods={"standard": _DESCENTS},
        timed=frozenset({"full"}),
        replicates={"standard": 10, "full": 20},
        stack=10,
        knobs=(_RATE,),
        dtype="float64",
        primary="optimum-gap",
        headline=("optimum-gap", "singular-error", "flops"),
    ),
    TaskSpec(
        name="frames",
        family=_FAMILY,
        target=f"{_TASKS}.frames:Frames",
        summary="more vectors than dimensions: distance from the Welch bound and from tight frames",
        version=1,
        kind="trained",
        offers=_INPUTS,
        suites={
            "standard": ("frames[d=3,k=[4,6]]", "frames[d=6,k=16]"),
            "full": ("frames[d=3,k=[4,6,7]]", "frames[d=6,k=16]", "frames[d=7,k=28]", "frames[d=16,k=32]"),
        },
        methods={
            "standard": (
                *(
                    *_PENALTIES,
                    "mc-entry",
                    "mc-induced",
                    "mhe",
                    "som",
                    "landing",
                    "polar-projection",
                    "parametrization",
                ),
            )
        },
        timed=frozenset(),
        replicates={"standard": 10, "full": 20},
        stack=10,
        knobs=(Knob(field="rate", grid=(0.003, 0.01, 0.03, 0.1)),),
        dtype="float64",
        primary="welch-gap",
        headline=("welch-gap", "potential-gap", "parseval-gap", "flops"),
    ),
    TaskSpec(
        name="convolution",
        family=_FAMILY,
        target=f"{_TASKS}.convolution:Convolution",
        summary="a 3 x 3 convolution brought near an isometry, judged by its exact singular values",
        version=1,
        kind="trained",
        offers=_INPUTS,
        suites={
            "standard": ("convolution[stride=[1,2]]",),
            "full": ("convolution[stride=[1,2],outputs=[4,16]]", "convolution[inputs=16,outputs=16,stride=[1,2]]"),
        },
        methods={
            "standard": ("soft", "off-diagonal", "srip", "ocnn", "spectral-norm", "landing", "parametrization"),
        },
        timed=frozenset(),
        replicates={"standard": 10, "full": 20},
        stack=10,
        knobs=(Knob(field="rate", grid=(0.003, 0.01, 0.03, 0.1)),),
        dtype="float64",
        primary="isometry-error",
        headline=("isometry-error", "operator-norm", "operator-least", "flattened-norm", "flops"),
    ),
    TaskSpec(
        name="sign-iteration",
        family=_FAMILY,
        target=f"{_TASKS}.sign_iteration:SignIteration",
        summary="odd polynomials on singular values: error, range, and the published figures of Polar Express and Muon",
        version=1,
        kind="record",
        suites={
            "standard": (
                "sign-iteration[steps=[10,11,17]]",
                "sign-iteration[low=0.001,steps=8]",
                "sign-iteration[low=0.01,steps=5]",
            ),
            "full": (
                "sign-iteration[steps=[10,11,17]]",
                "sign-iteration[low=0.001,steps=8]",
                "sign-iteration[low=[0.01,0.001,0.0001],steps=[5,12]]",
            ),
        },
        methods={
            "standard": (
                "muon",
                "newton-schulz[degree=[3,5]]",
                "polar-express",
                "polar-express[lower=[0.000001,0.0001,0.00000001],cushion=0.0,safety=1.0]",
            ),
            "full": (
                "muon",
                "newton-schulz[degree=[3,5]]",
                "bjorck[beta=[0.25,0.4,0.5]]",
                "polar-express",
                "polar-express[lower=[0.000001,0.0001,0.00000001],cushion=0.0,safety=1.0]",
            ),
        },
        timed=frozenset(),
        dtype="float64",
        primary="sign-error",
        headline=("sign-error", "sigma-low", "sigma-high", "below-jordan", "fixed-point"),
    ),
    TaskSpec(
        name="convolution-spectrum",
        family=_FAMILY,
        target=f"{_TASKS}.convolution_spectrum:ConvolutionSpectrum",
        summary="singular values of a convolution by Fourier transform against those of its whole matrix",
        version=1,
        kind="record",
        suites={"standard": ("convolution-spectrum",), "full": ("convolution-spectrum",)},
        methods={"standard": ("none",), "full": ("none",)},
        timed=frozenset(),
        dtype="float64",
        primary="spectrum-error",
        headline=("spectrum-error",),
    ),
)

METRICS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name="exact-steps",
        direction="target",
        scale="linear",
        summary="steps to 1e-12 by the recursion of singular values",
    ),
    MetricSpec(
        name="steps-to-1e-12", scale="linear", summary="steps until every |s - 1| <= 1e-12; 0 where attaching does it"
    ),
    MetricSpec(name="steps-to-1e-6", scale="linear", summary="steps until every |s - 1| <= 1e-6"),
    MetricSpec(name="flops-to-1e-12", summary="operations of a whole solve to 1e-12, attaching included"),
    MetricSpec(name="flops-to-1e-6", summary="operations of a whole solve to 1e-6, attaching included"),
    MetricSpec(name="polar-distance", summary="Frobenius distance of the end from the polar factor of the start"),
    MetricSpec(name="singular-error", heading="max|s-1|", summary="largest distance of a singular value from 1"),
    MetricSpec(
        name="determinant",
        direction="target",
        scale="linear",
        summary="sign of the determinant of a square weight; in projections relative to the start's",
    ),
    MetricSpec(name="optimum-gap", summary="objective at the polar factor of W less the optimum over both components"),
    MetricSpec(name="component-gap", summary="the same less the optimum over its own component of the determinant"),
    MetricSpec(name="parseval-gap", summary="|W'W - I|^2 less its least value k - d for k > d vectors"),
    MetricSpec(name="potential-gap", summary="sum of squared cosines less its least value k^2 / d"),
    MetricSpec(name="welch-gap", summary="largest |cosine| less the least that is possible by the known bounds"),
    MetricSpec(name="isometry-error", summary="largest |s - 1| over the singular values of a convolution"),
    MetricSpec(
        name="operator-least", direction="higher", summary="smallest singular value of a convolution on its images"
    ),
    MetricSpec(
        name="flattened-norm", direction="target", summary="largest singular value of the kernel flattened to a matrix"
    ),
    MetricSpec(name="sign-error", heading="max|1-s|", summary="largest |1 - s| after the iterations"),
    MetricSpec(name="sigma-low", direction="target", summary="smallest value after the iterations"),
    MetricSpec(name="sigma-high", direction="target", summary="largest value after the iterations"),
    MetricSpec(
        name="below-jordan", direction="target", summary="iteration from which on the error is below that of Muon's"
    ),
    MetricSpec(
        name="fixed-point", direction="target", summary="where the limit with the safety factor rests, 1 without"
    ),
    MetricSpec(name="coefficient", direction="target", scale="linear", summary="coefficient of a polynomial"),
    MetricSpec(name="spectrum-error", summary="largest difference of singular values over the largest one"),
)
