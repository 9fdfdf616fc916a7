"""Power: planted winners are found, other arms seldom, and the documents say how often."""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
from verdict_rows import CONTROLS, rows

from ltx.analysis import paired_tests, verdict

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tool() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "power.py")))


@pytest.mark.parametrize("seeds", [2, 5])
def test_the_tool_judges_as_verdicts_do(tool: SimpleNamespace, seeds: int) -> None:
    worlds = [*tool.WINNERS.values(), *tool.NO_EFFECT.values()]
    made = tool.simulate(worlds, seeds, 5, "test")
    for study, p in enumerate(made.winning):
        given_rows = []
        for name, control, accuracies, stops, first in (
            ("imp", False, made.dense, made.dense_stop, 0),
            ("imp", False, made.ticket, made.ticket_stop, 1),
            ("reinit", True, made.control, made.ticket_stop, 1),
        ):
            for level, values in enumerate(accuracies[study], first):
                for seed, accuracy in enumerate(values):
                    stop = int(stops[study, level - first, seed])
                    given_rows += rows(
                        name, {seed: accuracy}, level=level, stop=stop, control=control
                    )
        found = verdict.levels(given_rows, controls=CONTROLS)[1:]
        assert [lv.p["winning"] for lv in found] == pytest.approx(paired_tests.holm(list(p))[0])
        assert [lv.verdict == "winning" for lv in found] == tool.called(p[None])[0].tolist()


@pytest.mark.slow
def test_the_documents_tables_are_the_tools_and_hold_the_rate(tool: SimpleNamespace) -> None:
    studies = 1000
    shown = tool.tables(studies)
    assert shown in (ROOT / "docs" / "verdicts.md").read_text()
    alarms, power = shown.split("\n\n")
    shares = [float(s) / 100 for s in re.findall(r" ([\d.]+)%", alarms)]
    assert len(shares) == 5 * len(tool.SEEDS)
    # Of 20 rates that are all 5 %, hardly one goes beyond this by chance.
    assert max(shares) <= scipy.stats.binom.ppf(0.9995, studies, paired_tests.ALPHA) / studies
    powers = np.array(re.findall(r" (\d+)%", power), dtype=int).reshape(-1, len(tool.SEEDS))
    assert (np.diff(powers, axis=1) >= 0).all()
    assert (np.diff(powers, axis=0) >= 0).all()
    assert powers[-1, -1] >= 99
