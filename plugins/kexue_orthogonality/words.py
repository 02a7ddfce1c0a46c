"""Values that several declarations of the family share; read by `ast`, as the declarations are."""

from __future__ import annotations

from kexue_bench import Knob, Unless

# -- methods ----------------------------------------------------------------------------------------------------------

# One grid for all: the scale of a weight differs between penalties by powers of ten.
WEIGHTS = Knob(field="weight", grid=(1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1))
LEARNING_RATES = Knob(field="lr", grid=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0))
UPDATE_RATES = Knob(field="lr", grid=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2))

NORM = ("gradient-matches-value", "zero-on-orthogonal", "zero-only-on-orthogonal", "left-invariant")
ON_MANIFOLD = ("keeps-determinant", "one-lipschitz", "stays-on-manifold", "converges-to-polar")

POLYNOMIALS_ONLY = Unless(
    when="task.takes == 'polynomials'", because="is not a sequence of polynomials of singular values"
)
NO_METHOD = Unless(when="task.takes == 'nothing'", because="takes no part in how convolutions are measured")
WITHOUT_WEIGHTS = (POLYNOMIALS_ONLY, NO_METHOD)

# -- tasks ------------------------------------------------------------------------------------------------------------

TRAINING_RATES = Knob(field="lr", grid=(1e-3, 3e-3, 1e-2))
RECURRENT_RATES = Knob(field="lr", grid=(5e-4, 1e-3, 2e-3, 5e-3, 1e-2))
DESCENT_RATES = Knob(field="rate", grid=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0))
SMALL_RATES = Knob(field="rate", grid=(0.003, 0.01, 0.03, 0.1))

WITHOUT_LOSS = {"loss": "'none'"}

PENALTIES = ("soft", "double-soft", "off-diagonal", "srip", "coherence")
# One of each idea; the others take part if training is cheap.
CHOSEN_METHODS = (
    "none",
    "weight-decay",
    "orthogonal-init",
    "spectral-norm",
    "soft",
    "srip[solver=two-step]",
    "som",
    "parametrization[map=cayley]",
    "riemannian-sgd",
    "landing",
    "polar-projection",
)
RECURRENT = ("none", "orthogonal-init", "soft", "parametrization[map=cayley]", "riemannian-sgd", "landing")
DESCENTS = (
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
