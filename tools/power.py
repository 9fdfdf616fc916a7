"""Error rates and power of verdicts, from simulated studies with known effects.

    python tools/power.py [--studies=1000]

Prints the two tables of docs/verdicts.md. The noise is that of gin_configs/studies/first_ticket.gin
as measured: 360 test examples; between the arms of one seed, differences with a standard deviation
of 0.4 points in accuracy and of 300 steps in early stop, seen every 50 steps; and a dense network
that early stopping leaves at 98.8 % after 1250 steps. All levels share its seeds.
"""

import argparse
import dataclasses
import gc
from collections.abc import Sequence

import numpy as np

from ltx.analysis import paired_tests
from ltx.core.identity import generator
from ltx.core.objectives.metric import ACCURACY

LEVELS = 7
SEEDS = (2, 3, 5, 10)


@dataclasses.dataclass(frozen=True)
class World:
    """The true effects at a level: accuracy above dense and above its control, in points; steps
    that the early stop comes sooner."""

    gain: float = 0.0
    lead: float = 0.0
    sooner: float = 0.0

    @property
    def winning(self) -> bool:
        return self.gain > -100 * ACCURACY.margin and self.lead > 0 and self.sooner >= 0


NO_EFFECT = {
    "ticket, control and dense all alike": World(),
    "no better than its control, else perfect": World(gain=2, sooner=900),
    "loses just the margin, else perfect": World(gain=-100 * ACCURACY.margin, lead=9, sooner=900),
    "later by a hair, else perfect": World(gain=2, lead=9, sooner=-1e-9),
}
WINNERS = {
    "1 point above its control, 600 steps sooner": World(gain=0.2, lead=1, sooner=600),
    "2 points above its control, 600 steps sooner": World(gain=0.5, lead=2, sooner=600),
    "3 points above its control, 900 steps sooner": World(gain=1, lead=3, sooner=900),
}


@dataclasses.dataclass(frozen=True)
class Simulated:
    """Accuracies as shares and early stops in steps, float [studies, levels, seeds].

    Those of dense are [studies, 1, seeds].
    """

    dense: np.ndarray
    ticket: np.ndarray
    control: np.ndarray
    dense_stop: np.ndarray
    ticket_stop: np.ndarray

    @property
    def winning(self) -> np.ndarray:
        """p of "winning" before correction, [studies, levels]: the largest of its parts'."""
        parts = (
            paired_tests.above(self.ticket - self.dense, -ACCURACY.margin),
            paired_tests.at_most(self.ticket_stop - self.dense_stop, 0),
            paired_tests.above(self.ticket - self.control, 0),
        )
        return np.maximum.reduce(parts)


def simulate(worlds: Sequence[World], seeds: int, studies: int, stream: str) -> Simulated:
    """Studies of one finder with one control, at a level for each of the worlds."""
    draw = generator(0, stream, seeds)
    shape = (studies, len(worlds), seeds)
    gain, lead, sooner = np.array([dataclasses.astuple(w) for w in worlds]).T[:, None, :, None]
    dense = draw.normal(98.8, 0.15, (studies, 1, seeds))  # the effect of a seed on all its arms

    def accuracy(offset: np.ndarray | float, shape: tuple[int, ...]) -> np.ndarray:
        share = (dense + offset + draw.normal(0, 0.4 / 2**0.5, shape)) / 100
        return np.round(share * 360) / 360

    def stop(offset: np.ndarray | float, shape: tuple[int, ...]) -> np.ndarray:
        return np.round((1250 - offset + draw.normal(0, 300 / 2**0.5, shape)) / 50) * 50

    return Simulated(
        dense=accuracy(0.0, dense.shape),
        ticket=accuracy(gain, shape),
        control=accuracy(gain - lead, shape),
        dense_stop=stop(0.0, dense.shape),
        ticket_stop=stop(sooner, shape),
    )


def called(p: np.ndarray) -> np.ndarray:
    """Which levels are called winning, study by study."""
    return np.array(
        [np.array(paired_tests.holm(list(study))[0]) <= paired_tests.ALPHA for study in p]
    )


def false_alarms(world: World, seeds: int, studies: int) -> float:
    """The share of studies that call any level winning, where none is."""
    made = simulate([world] * LEVELS, seeds, studies, "no effect")
    return float(called(made.winning).any(axis=1).mean())


def mixed(seeds: int, studies: int) -> float:
    """The share of studies with a false "winning" where three levels win and four do not."""
    worlds = [*WINNERS.values(), *NO_EFFECT.values()]
    found = called(simulate(worlds, seeds, studies, "mixed").winning)
    return float(found[:, [not world.winning for world in worlds]].any(axis=1).mean())


def power(world: World, seeds: int, studies: int) -> float:
    """The share of levels called winning, where all are."""
    return float(called(simulate([world] * LEVELS, seeds, studies, "power").winning).mean())


def tables(studies: int) -> str:
    """Both tables in Markdown, in percent."""
    paired_tests.holm([1.0])
    gc.freeze()  # statsmodels collects garbage at each correction, which takes time for nothing
    head = [" seeds | ".join(map(str, SEEDS)), "|".join(["---", *("---:" for _ in SEEDS)])]
    lines = [f"| no level wins; called so anyway | {head[0]} seeds |", f"|{head[1]}|"]
    for name, world in NO_EFFECT.items():
        shares = [f"{false_alarms(world, n, studies):.1%}" for n in SEEDS]
        lines.append(f"| {name} | {' | '.join(shares)} |")
    lines.append(
        f"| these four beside three that win | "
        f"{' | '.join(f'{mixed(n, studies):.1%}' for n in SEEDS)} |"
    )
    lines += ["", f"| every level wins; called so | {head[0]} seeds |", f"|{head[1]}|"]
    for name, world in WINNERS.items():
        shares = [f"{power(world, n, studies):.0%}" for n in SEEDS]
        lines.append(f"| {name} | {' | '.join(shares)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=1000)
    print(tables(parser.parse_args().studies))
