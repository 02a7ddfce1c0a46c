"""Training loops that `kexue-bench show` prints: the noise advances with the step, and what is learned is kept."""

from __future__ import annotations

from kexue_bench import Loop

_START = """\
import torch
from kexue_bench.lab import Noise
from kexue_gradients import {names}

method, noise = METHOD, Noise.seeded(0)
x = (torch.rand(32, 64, generator=torch.Generator().manual_seed(0)) < 0.3).float()  # your data: [batch, features]
"""
_AUTOENCODER = """\
encoder, decoder = torch.nn.Linear(64, 8), torch.nn.Linear(8, 64)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
f = FunctionObjective(lambda z: (decoder(z) - x).square().sum(-1))  # z [samples, batch, variables] -> [samples, batch]
"""
_STEP = """\
    sample = method.estimate(law, f, noise.at(step), repeats=1)  # other draws at every step
"""
_UPDATE = """\
    optimizer.zero_grad()
    sample.surrogate({parameters}).mean().backward()  # encoder and decoder
    optimizer.step()
"""
_BITS = """\
for step in range(50):
    logits = encoder(x)  # [batch, variables]
    law = Distribution(kind="bernoulli", logits=logits)
"""
_CLASSES = """\
encoder, decoder = torch.nn.Linear(64, 8 * 10), torch.nn.Linear(8 * 10, 64)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
f = FunctionObjective(lambda z: (decoder(z.flatten(-2)) - x).square().sum(-1))  # z [samples, batch, variables, classes]
for step in range(50):
    logits = encoder(x).unflatten(-1, (8, 10))  # [batch, variables, classes]
    law = Distribution(kind="categorical", logits=logits)
"""
_LEARNED = """\
    if step == 0:
        state = method.init(law, noise)
    sample, state = method.adapt(law, f, noise.at(step), 1, state)  # the state is kept from step to step
"""
_TABLE = """\
encoder, decoder = torch.nn.Linear(64, 8), torch.nn.Linear(8, 64)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 8)  # all 256 states of 8 bits


def loss(z):
    return (decoder(z) - x).square().sum(-1)  # z [samples, batch, variables] -> [samples, batch]


def table():
    return Enumeration(states=states, values=loss(states.unsqueeze(1)).unsqueeze(-1))


f = FunctionObjective(loss, table=table)
"""
_BOUND = """\
encoder = torch.nn.Linear(64, 8)
optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
target = x[:, :8]


class Bound:
    samples = 4  # log-mean-exp of as many weights

    def log_weights(self, z):  # z [samples, batch, variables] -> log-weights, and their gradient at fixed z
        return -(z - target).square().sum(-1), torch.zeros_like(z)


f = Bound()
"""
_NORMAL = """\
for step in range(50):
    mu = encoder(x)  # [batch, variables]
    law = Gaussian(mu=mu, sigma=torch.ones_like(mu))
    sample = method.estimate(law, f, noise.at(step), repeats=1)  # other draws at every step
    optimizer.zero_grad()
    sample.surrogate(law.parameters).mean().backward()  # encoder and decoder
    optimizer.step()
"""
_GAMMA = """\
for step in range(50):
    shape = torch.nn.functional.softplus(encoder(x)) + 0.1  # [batch, variables]
    sample = method.estimate(Gamma(shape=shape), f, noise.at(step), repeats=1)  # other draws at every step
    optimizer.zero_grad()
    sample.surrogate(shape).mean().backward()  # encoder and decoder
    optimizer.step()
"""


def _start(*names: str) -> str:
    return _START.format(names=", ".join(sorted(names)))


_TO_LOGITS = _UPDATE.format(parameters="logits")
_DISCRETE = _start("Distribution", "FunctionObjective")
LOOPS = (
    Loop(words=frozenset({"multi-sample"}), code=_start("Distribution") + _BOUND + _BITS + _STEP + _TO_LOGITS),
    Loop(words=frozenset({"gaussian"}), code=_start("FunctionObjective", "Gaussian") + _AUTOENCODER + _NORMAL),
    Loop(words=frozenset({"gamma"}), code=_start("FunctionObjective", "Gamma") + _AUTOENCODER + _GAMMA),
    Loop(
        words=frozenset({"enumerable"}),
        code=_start("Distribution", "Enumeration", "FunctionObjective") + _TABLE + _BITS + _STEP + _TO_LOGITS,
    ),
    Loop(words=frozenset({"warmup"}), code=_DISCRETE + _AUTOENCODER + _BITS + _LEARNED + _TO_LOGITS),
    Loop(words=frozenset({"categorical"}), code=_DISCRETE + _CLASSES + _STEP + _TO_LOGITS),
    Loop(code=_DISCRETE + _AUTOENCODER + _BITS + _STEP + _TO_LOGITS),
)
"""The first one that fits a method is printed."""
