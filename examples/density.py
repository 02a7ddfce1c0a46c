"""Train a residual flow on a two-dimensional density and draw it: points, samples, and the density on a grid.

    python examples/density.py --data two-moons --steps 3000 --method exact --out two-moons.png

Without matplotlib, or without --out, the picture is printed as characters.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from kexue_bench.lab.noise import Noise
from kexue_logdet import Exact, InvertibleResNet, LogdetMethod, NeumannRoulette, PowerSeries, densities

METHODS: dict[str, LogdetMethod] = {
    "exact": Exact(),
    "neumann": NeumannRoulette(probes=1),
    "series": PowerSeries(degree=10, probes=1),
}
SHADES = " .:-=+*#%@"
SIDE = 5.0


def train(name: str, method: LogdetMethod, *, steps: int, blocks: int) -> InvertibleResNet:
    """A flow after `steps` steps of Adam on fresh batches of 256 points."""
    source = Noise.seeded(1)
    flow = InvertibleResNet.drawn(Noise.seeded(0), dim=2, blocks=blocks)
    flow.fit_(densities.draw(name, 2000, source.at(-1)))
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for step in range(steps):
        loss = -flow.log_prob(densities.draw(name, 256, source.at(step)), method, source.at(step)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % max(1, steps // 10) == 0:
            print(f"step {step:5d}  {loss.item():.3f} nats")
    return flow


def density(flow: InvertibleResNet, cells: int) -> Tensor:
    """The density on a grid of cells by cells over [-5, 5]^2, rows from top to bottom."""
    axis = torch.linspace(-SIDE, SIDE, cells)
    y, x = torch.meshgrid(axis.flip(0), axis, indexing="ij")
    rows = torch.stack([x, y], dim=-1).reshape(-1, 2)
    with torch.no_grad():
        return flow.log_prob(rows, Exact(), Noise.seeded(0)).exp().view(cells, cells)


def draw(flow: InvertibleResNet, points: Tensor, out: str) -> None:
    """Write the picture to a file, or print it as characters if matplotlib is missing."""
    grid = density(flow, 200 if out else 48)
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        out = ""
    if not out:
        shades = (grid[::2] / grid.max() * (len(SHADES) - 1)).round().long()
        print("\n".join("".join(SHADES[i] for i in row) for row in shades.tolist()))
        return
    figure, panels = plt.subplots(1, 3, figsize=(12, 4))
    samples = flow.sample(len(points), Noise.seeded(5))
    for panel, title, rows in zip(panels, ("data", "samples"), (points, samples), strict=False):
        panel.scatter(*rows.T.tolist(), s=1)
        panel.set(title=title, xlim=(-SIDE, SIDE), ylim=(-SIDE, SIDE), aspect="equal")
    panels[2].imshow(grid.tolist(), extent=(-SIDE, SIDE, -SIDE, SIDE))
    panels[2].set(title="density")
    figure.savefig(out)


def main() -> None:
    """Read the options, train, score and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(densities.ENTROPY), default="two-moons")
    parser.add_argument("--method", choices=sorted(METHODS), default="exact")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--out", default="", metavar="FILE")
    options = parser.parse_args()
    # The matrices are 64 x 64: two threads would mostly wait for each other.
    torch.set_num_threads(1)
    flow = train(options.data, METHODS[options.method], steps=options.steps, blocks=options.blocks)
    test = densities.draw(options.data, 5000, Noise.seeded(2))
    with torch.no_grad():
        nll = -flow.log_prob(test, Exact(), Noise.seeded(0)).mean().item()
        error = (flow.inverse(flow(test)) - test).abs().max().item()
    print(f"{nll:.3f} nats, entropy {densities.ENTROPY[options.data]:.3f}; largest error of decoding {error:.1e}")
    print(f"largest true norm of a block {max(flow.norms()):.4f}, cap 0.9")
    draw(flow, test[:2000], options.out)


if __name__ == "__main__":
    main()
