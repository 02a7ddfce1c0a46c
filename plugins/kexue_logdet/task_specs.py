"""What the family says of its tasks for SPD operators, and of the residual block."""

from __future__ import annotations

from kexue_bench.api import TaskSpec

FAMILY = "logdet"
BUDGETS = {"quick": 1024, "standard": 8192, "full": 131072}
RESIDUAL_COLUMNS = (
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

_GRAM = frozenset({"spd", "bounded", "target", "entries"})
# The size at which imate's accuracy was published, without reorthogonalisation as there.
_PLAIN_LANCZOS = ("slq[steps=30,probes=200,orthogonalisation=none]", "exact")
# Where XTrace's lead over Hutch++ is looked at, and where Hutch++'s rate is.
_XTRACE = "first=120,last=120,trials=200"
_HUTCHPP = "name=poly,first=30,last=480,grid=doubling,trials=240"

TASKS = (
    TaskSpec(
        name="grid-laplacian",
        family=FAMILY,
        target="kexue_logdet.tasks.grid_laplacian:GridLaplacian",
        summary="Grid in 2 or 3 dimensions, matrix-free: Laplacian plus tau times the identity; closed-form truth.",
        version=2,
        offers=frozenset({"spd", "bounded", "bounds", "entries"}),
        suites={
            "quick": ("grid-laplacian[side=16]",),
            "standard": (
                "grid-laplacian[tau=[1.0,0.01],budget=240]",
                "grid-laplacian[bounds=none,tau=0.01,budget=240]",
            ),
            "full": (
                "grid-laplacian[side=[32,128],tau=[1.0,0.01],boundary=[dirichlet,neumann,periodic]]",
                "grid-laplacian[side=[32,128],tau=[1.0,0.01],bounds=none]",
                "grid-laplacian[side=20,dim=3,tau=[1.0,0.01]]",
            ),
        },
        timed=frozenset({"full"}),
        budgets=BUDGETS | {"standard": 512},
        dtype="float64",
    ),
    TaskSpec(
        name="large-grid",
        family=FAMILY,
        target="kexue_logdet.tasks.grid_laplacian:GridLaplacian",
        summary="The same grids up to a million points, 60 products an estimate.",
        version=1,
        offers=frozenset({"spd", "bounded", "bounds", "entries"}),
        suites={
            "standard": ("large-grid[side=316,budget=60]",),
            "full": (
                "large-grid[side=1000,tau=[1.0,0.01],boundary=[dirichlet,neumann,periodic],budget=60]",
                "large-grid[side=100,dim=3,budget=60]",
            ),
        },
        timed=frozenset(),
        budgets={"standard": 10, "full": 32},
        dtype="float64",
    ),
    TaskSpec(
        name="rbf-kernel",
        family=FAMILY,
        target="kexue_logdet.tasks.rbf_kernel:RBFKernel",
        summary="RBF kernel matrix of a real data set plus noise on its diagonal; truth by Cholesky.",
        version=1,
        offers=frozenset({"spd", "bounded"}),
        suites={
            "quick": ("rbf-kernel[dataset=iris,sigma2=0.1]",),
            "standard": ("rbf-kernel[sigma2=0.01]",),
            "full": ("rbf-kernel[dataset=[iris,wine,breast_cancer,digits],sigma2=[1.0,0.1,0.01]]",),
        },
        timed=frozenset({"quick", "standard", "full"}),
        budgets=BUDGETS | {"standard": 512},
        dtype="float64",
    ),
    TaskSpec(
        name="spectrum",
        baseline="hutchinson",
        family=FAMILY,
        target="kexue_logdet.tasks.spectrum:Spectrum",
        summary="The six spectra of XTrace with random eigenvectors: tr A, or log det(I + A).",
        version=1,
        offers=frozenset({"spd", "bounded", "bounds", "trace", "target", "variance"}),
        suites={
            "quick": ("spectrum[n=100,budget=60]",),
            "standard": (
                "spectrum[name=[flat,poly,slowexp,fastexp,smallstep,bigstep],budget=60,n=400]",
                "spectrum[name=slowexp,target=logdet,n=400,budget=480]",
            ),
            "full": (
                "spectrum[name=[flat,poly,slowexp,fastexp,smallstep,bigstep],target=[trace,logdet],budget=[60,480]]",
            ),
        },
        timed=frozenset({"full"}),
        budgets=BUDGETS | {"standard": 512},
        dtype="float64",
    ),
    TaskSpec(
        name="large-spectrum",
        family=FAMILY,
        target="kexue_logdet.tasks.spectrum:Spectrum",
        summary="The same spectra at a million rows, matrix-free by fast cosine transforms.",
        version=1,
        offers=frozenset({"spd", "bounded", "bounds", "trace", "target"}),
        suites={
            "full": ("large-spectrum[name=[slowexp,smallstep],target=[trace,logdet],n=1000000,basis=cosine,budget=60]",)
        },
        timed=frozenset(),
        budgets={"quick": 16, "standard": 16, "full": 16},
        dtype="float64",
    ),
    TaskSpec(
        name="budget-sweep",
        family=FAMILY,
        target="kexue_logdet.tasks.budget_sweep:BudgetSweep",
        summary="Error of trace estimators over the products they may spend, on the spectra of XTrace.",
        version=1,
        kind="record",
        offers=frozenset({"spd", "bounded", "trace", "traces"}),
        suites={
            "standard": (f"budget-sweep[name=[flat,slowexp,smallstep,bigstep],{_XTRACE}]",),
            "full": (
                f"budget-sweep[name=[flat,slowexp,smallstep,bigstep],{_XTRACE}]",
                "budget-sweep[name=[flat,poly,slowexp,fastexp,smallstep,bigstep]]",
            ),
        },
        timed=frozenset(),
        dtype="float64",
        primary="relative-error",
        headline=("relative-error", "rate", "threshold", "time", "memory"),
        points="products",
    ),
    TaskSpec(
        name="error-rate",
        family=FAMILY,
        target="kexue_logdet.tasks.budget_sweep:BudgetSweep",
        summary="Slope of log error over log products on polynomial spectra: -1/2 for Hutchinson, -1 for Hutch++.",
        version=1,
        kind="record",
        offers=frozenset({"spd", "bounded", "trace", "traces"}),
        suites={
            "standard": (f"error-rate[exponent=[0.5,1.0],{_HUTCHPP}]",),
            "full": (f"error-rate[exponent=[0.5,1.0,1.5,2.0],{_HUTCHPP}]",),
        },
        methods={"standard": ("hutchinson", "hutch++")},
        timed=frozenset(),
        dtype="float64",
        primary="rate",
        headline=("rate", "relative-error", "time", "memory"),
        points="products",
    ),
    TaskSpec(
        name="ising",
        family=FAMILY,
        target="kexue_logdet.tasks.ising:Ising",
        summary="Partition function of a transverse-field Ising ring, matrix-free; truth of free fermions.",
        version=1,
        offers=frozenset({"spd", "bounded", "trace", "traces"}),
        suites={"standard": ("ising[sites=8,budget=60]",), "full": ("ising[sites=[10,18],budget=60]",)},
        timed=frozenset(),
        budgets={"standard": 256, "full": 64},
        dtype="float64",
    ),
    TaskSpec(
        name="toeplitz",
        family=FAMILY,
        target="kexue_logdet.tasks.toeplitz:Toeplitz",
        summary="Toeplitz and circulant matrices by the fast Fourier transform; closed-form truth.",
        version=1,
        offers=frozenset({"spd", "bounded"}),
        suites={
            "standard": ("toeplitz[name=[kms,ring-rbf],budget=60]",),
            "full": (
                "toeplitz[name=[path,ring,kms,ring-rbf],n=[1000,10000],budget=60]",
                "toeplitz[name=[path,ring],parameter=0.01,budget=60]",
            ),
        },
        timed=frozenset(),
        budgets={"standard": 256, "full": 4096},
        dtype="float64",
    ),
    TaskSpec(
        name="bidiagonal-gram",
        family=FAMILY,
        target="kexue_logdet.tasks.bidiagonal_gram:BidiagonalGram",
        summary="Gram matrix of a bidiagonal Toeplitz matrix: log-determinant or trace of the inverse, in closed form.",
        version=1,
        offers=_GRAM,
        suites={
            "standard": ("bidiagonal-gram[n=[1024,4096],budget=6000]",),
            "full": ("bidiagonal-gram[n=[1024,4096,16384],budget=6000]",),
        },
        methods={"standard": _PLAIN_LANCZOS, "full": _PLAIN_LANCZOS},
        timed=frozenset({"full"}),
        budgets={"quick": 64, "standard": 64, "full": 256},
        dtype="float64",
    ),
    TaskSpec(
        name="large-gram",
        family=FAMILY,
        target="kexue_logdet.tasks.bidiagonal_gram:BidiagonalGram",
        summary="The same up to a million rows.",
        version=1,
        offers=_GRAM,
        suites={
            "full": ("large-gram[n=[65536,262144,1048576],budget=6000]",),
        },
        methods={"full": _PLAIN_LANCZOS},
        timed=frozenset(),
        budgets={"quick": 20, "standard": 20, "full": 20},
        dtype="float64",
    ),
    TaskSpec(
        name="gram-inverse",
        family=FAMILY,
        target="kexue_logdet.tasks.bidiagonal_gram:BidiagonalGram",
        summary="Trace of the inverse of the same matrix over the degree, with and without reorthogonalisation.",
        version=1,
        offers=_GRAM,
        suites={"full": ("gram-inverse[n=65536,target=inverse,budget=21600]",)},
        methods={"full": ("slq[steps=[10,30,108],probes=200,orthogonalisation=none]", "slq[steps=[10,30],probes=200]")},
        timed=frozenset(),
        budgets={"quick": 20, "standard": 20, "full": 20},
        dtype="float64",
    ),
    TaskSpec(
        name="min-matrix",
        family=FAMILY,
        target="kexue_logdet.tasks.min_matrix:MinMatrix",
        summary="min(i, j): log-determinant 0, condition number of order n^2.",
        version=1,
        offers=frozenset({"spd", "bounded"}),
        suites={"standard": ("min-matrix",), "full": ("min-matrix[n=[100,1000]]",)},
        timed=frozenset(),
        budgets={"standard": 1024, "full": 8192},
        dtype="float64",
    ),
    TaskSpec(
        name="grid-gradient",
        family=FAMILY,
        target="kexue_logdet.tasks.grid_gradient:GridGradient",
        summary="Gradient of a grid's log-determinant in tau and in the scale of its Laplacian; exact by eigenvalues.",
        version=1,
        offers=frozenset({"spd", "bounded", "gradient"}),
        suites={"standard": ("grid-gradient",), "full": ("grid-gradient[side=[16,64],tau=[1.0,0.01]]",)},
        timed=frozenset(),
        budgets={"standard": 1024, "full": 8192},
        dtype="float64",
        headline=("relative-bias", "variance", "cosine", "work-variance", "products", "memory"),
    ),
    TaskSpec(
        name="kernel-gradient",
        family=FAMILY,
        target="kexue_logdet.tasks.kernel_gradient:KernelGradient",
        summary="Gradient of an RBF kernel's log-determinant in length scale and noise; exact by Cholesky.",
        version=1,
        offers=frozenset({"spd", "bounded", "gradient"}),
        suites={
            "standard": ("kernel-gradient",),
            "full": ("kernel-gradient[dataset=[iris,wine,breast_cancer],sigma2=[0.1,0.01]]",),
        },
        timed=frozenset(),
        budgets={"quick": 256, "standard": 512, "full": 4096},
        dtype="float64",
        headline=("relative-bias", "variance", "cosine", "work-variance", "products", "memory"),
    ),
    TaskSpec(
        name="residual-block",
        family=FAMILY,
        target="kexue_logdet.tasks.residual_block:ResidualBlock",
        summary="I + J of a residual block c S^T tanh(F x), J far from symmetric, products by autodiff.",
        version=2,
        offers=frozenset({"residual", "bounded", "bounds", "variance"}),
        suites={
            "quick": ("residual-block[c=[0.5,0.9]]",),
            "standard": ("residual-block[c=[0.5,0.7,0.9,0.98]]", "residual-block[bounds=none]"),
            "full": (
                "residual-block[c=[0.5,0.7,0.9,0.98],d=[64,256]]",
                "residual-block[c=[0.5,0.7,0.9],bounds=none]",
            ),
        },
        timed=frozenset({"full"}),
        budgets=BUDGETS | {"standard": 2048},
        dtype="float64",
        headline=RESIDUAL_COLUMNS,
    ),
)
"""Every task offers its kind (`spd`, `residual`) and, where it may know a bound of the spectrum, `bounded`.

`bounds`: its parameter of that name withholds them. `trace`: a trace may be wanted; `traces`: always; `target`: its
parameter of that name decides. `gradient`: what is wanted is a gradient. `variance`: it knows exact variances.
`entries`: it gives the sparse matrix.
"""
