"""Train an energy on a two-dimensional density and draw it: points, samples of a chain, and exp(-E) / Z on a grid.

    python examples/energy_2d.py --data rings --steps 2500 --method score-matching --out rings.png

Without matplotlib, or without --out, the picture is printed as characters.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from kexue_bench.lab.noise import Noise
from kexue_energy import Criterion, Denoising, Mala, Mlp, Nce, Pcd, ScoreMatching, log_z
from kexue_energy.energy import densities

METHODS: dict[str, Criterion] = {
    "score-matching": ScoreMatching(),
    "denoising": Denoising(sigma=0.15),
    "nce": Nce(),
    "pcd": Pcd(k=20, h=0.01),
}
SHADES = " .:-=+*#%@"
SIDE = 5.0


def train(name: str, criterion: Criterion, *, steps: int, width: int) -> Mlp:
    """An energy after `steps` steps of Adam on fresh batches of 256 points."""
    source, noise = Noise.seeded(1), Noise.seeded(2)
    energy = Mlp.drawn(Noise.seeded(0), dim=2, width=width)
    optimizer = torch.optim.Adam(energy.parameters(), lr=8e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=steps)
    state = criterion.init(densities.draw(name, source.at(-1), 256), noise.at(-1))
    for step in range(steps):
        batch = densities.draw(name, source.at(step), 256)
        loss, state = criterion.loss(energy, batch, state, noise.at(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % max(1, steps // 10) == 0:
            print(f"step {step:5d}  loss {loss.item():.3f}")
    return energy


def samples(energy: Mlp, start: Tensor, steps: int) -> Tensor:
    """Chains of the Metropolis-adjusted Langevin algorithm after `steps` steps."""
    sampler, potential, noise = Mala(h=0.02), energy.potential(), Noise.seeded(5)
    state = sampler.init(start, potential, noise)
    for step in range(steps):
        state, _ = sampler.step(state, potential, noise.at(step))
    return sampler.position(state)


def density(energy: Mlp, cells: int) -> Tensor:
    """exp(-E) / Z on a grid of cells by cells over [-5, 5]^2, rows from top to bottom."""
    axis = torch.linspace(-SIDE, SIDE, cells)
    y, x = torch.meshgrid(axis.flip(0), axis, indexing="ij")
    rows = torch.stack([x, y], dim=-1).reshape(-1, 2)
    with torch.no_grad():
        return (-energy(rows) - log_z(energy, rows, 401, 6.0)).exp().view(cells, cells)


def draw(energy: Mlp, points: Tensor, drawn: Tensor, out: str) -> None:
    """Write the picture to a file, or print it as characters if matplotlib is missing."""
    grid = density(energy, 200 if out else 48)
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        out = ""
    if not out:
        shades = (grid[::2] / grid.max() * (len(SHADES) - 1)).round().long()
        print("\n".join("".join(SHADES[i] for i in row) for row in shades.tolist()))
        return
    figure, panels = plt.subplots(1, 3, figsize=(12, 4))
    for panel, title, rows in zip(panels, ("data", "samples"), (points, drawn), strict=False):
        panel.scatter(*rows.T.tolist(), s=1)
        panel.set(title=title, xlim=(-SIDE, SIDE), ylim=(-SIDE, SIDE), aspect="equal")
    panels[2].imshow(grid.tolist(), extent=(-SIDE, SIDE, -SIDE, SIDE))
    panels[2].set(title="density")
    figure.savefig(out)


def main() -> None:
    """Read the options, train, score and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=densities.NAMES, default="rings")
    parser.add_argument("--method", choices=sorted(METHODS), default="score-matching")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--out", default="", metavar="FILE")
    options = parser.parse_args()
    # The matrices are 64 x 64: two threads would mostly wait for each other.
    torch.set_num_threads(1)
    energy = train(options.data, METHODS[options.method], steps=options.steps, width=options.width)
    test = densities.draw(options.data, Noise.seeded(3), 5000)
    with torch.no_grad():
        gaps = densities.log_density(options.data, test) + energy(test) + log_z(energy, test, 401, 6.0)
    error = gaps.std().item() / len(gaps) ** 0.5
    print(f"divergence from the data {gaps.mean().item():.3f} +- {2 * error:.3f} nats")
    draw(energy, test[:2000], samples(energy, test[:2000], options.steps), options.out)


if __name__ == "__main__":
    main()
