"""Results: each rule says its word on planted data, and the page shows what is there, no more."""

import dataclasses
import re
import runpy
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import studied
from ltx_plugins.imp import IMP
from ltx_plugins.random_reinit import RandomReinit
from verdict_rows import DENSE, rows, shifted

from ltx import Store
from ltx.analysis.paired_tests import Paired
from ltx.config import gin_files
from ltx.core.identity import generator
from ltx.study.definition import Study
from ltx.study.record import StudyRecord
from ltx.study.results import TrialResult

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tools" / "results"))
import claims  # noqa: E402
import evidence  # noqa: E402
import page  # noqa: E402
import papers  # noqa: E402
import runs  # noqa: E402
from claims import Arms, Claim, Fact, Judged, Part  # noqa: E402

PAGE = ROOT / "docs" / "results.md"
NOISE = (0.001, -0.001, 0.002, -0.002, 0.0015, -0.0015)


def record(
    *given: list[TrialResult], seeds: int = len(DENSE), finished: bool = True
) -> StudyRecord:
    made = tuple(row for one in given for row in one)
    return StudyRecord(
        id="id",
        command="ltx run --gin_file=studies/mine.gin --store=/somewhere/else",
        config="",
        study={},
        engine={},
        versions={"ltx": "0"},
        plugins=[],
        tasks=tuple(dict.fromkeys(row.task for row in made)),
        finders={row.finder: row.control for row in made},
        seeds=tuple(range(seeds)),
        finished=finished,
        rows=made,
    )


def noisy(by: float) -> tuple[float, ...]:
    """Values by seed whose mean is `by`."""
    return tuple(by + n for n in NOISE)


def word(*parts: Part | Fact, others: int = 0) -> Judged:
    """What is said of these parts, on a page with as many other claims that show nothing."""
    arms = Arms(record(rows("imp", DENSE)))
    unsettled = Part("nothing", Paired((0.1, -0.1)), claimed=1.0)
    asked = [(Claim("", "", lambda _: parts), arms)]
    asked += [(Claim("", "", lambda _: [unsettled]), arms)] * others
    return claims.judge(asked)[0]


def part(by: float, **settings: object) -> Part:
    return Part("a part", Paired(noisy(by)), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("by", "said"),
    [(0.01, "reproduced"), (0.0, "open"), (-0.01, "not reproduced")],
)
def test_a_claim_without_a_number_asks_for_its_direction(by: float, said: str) -> None:
    assert word(part(by)).word == said


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (0.1, "reproduced"),
        (0.06, "reproduced"),
        (0.05, "in direction only"),
        (0.03, "in direction only"),
        (0.0, "not reproduced"),
        (-0.1, "not reproduced"),
    ],
)
def test_a_claim_with_a_number_asks_for_half_of_it(by: float, said: str) -> None:
    assert word(part(by, claimed=0.1)).word == said


@pytest.mark.parametrize(
    ("by", "said"),
    [(0.0, "reproduced"), (0.01, "reproduced"), (-0.003, "open"), (-0.01, "not reproduced")],
)
def test_as_good_as_allows_the_margin(by: float, said: str) -> None:
    assert word(part(by, bound=-0.003)).word == said


def test_at_least_the_bound_is_kept_by_a_tie_on_it() -> None:
    tied = Paired((0.0,) * 6)
    assert word(Part("in time", tied, reached=True)).word == "reproduced"
    assert word(Part("sooner", tied)).word == "open"


def test_all_parts_must_be_shown_and_one_refutes() -> None:
    assert word(part(0.01), part(0.01)).word == "reproduced"
    assert word(part(0.01), part(0.0)).word == "open"
    assert word(part(0.01), part(-0.01)).word == "not reproduced"


def test_facts_are_counted_beside_the_parts() -> None:
    assert word(Fact("so", True)).word == "reproduced"
    assert word(Fact("so", True), part(0.0)).word == "open"
    assert word(Fact("so", False), part(0.01)).word == "not reproduced"


def test_other_claims_on_the_page_make_it_harder() -> None:
    weak = part(0.0022)
    assert word(weak).word == "reproduced"
    crowded = word(weak, others=20)
    assert crowded.word == "open"
    assert crowded.p == pytest.approx(21 * weak.shown)
    assert 1 <= crowded.more < 100


def test_one_seed_or_none_shows_nothing() -> None:
    for values in ((), (0.5,)):
        found = word(Part("a part", Paired(values), claimed=0.1))
        assert found.word == "open"
        assert np.isnan(found.more)


def test_a_page_of_false_claims_seldom_says_one_of_them() -> None:
    draw, false = generator(0, "claims"), 0
    arms = Arms(record(rows("imp", DENSE)))
    for _ in range(100):
        made = [
            Claim("", "", lambda _, v=tuple(values): [Part("none", Paired(v))])
            for values in draw.normal(0, 1, (6, 5))
        ]
        found = claims.judge([(one, arms) for one in made])
        false += any(one.word == "reproduced" for one in found)
    assert 0 < false <= 0.05 * 100 + 5  # two standard deviations above what is allowed


def test_arms_are_paired_and_a_seed_that_lacks_is_missing() -> None:
    arms = Arms(
        record(
            rows("imp", DENSE, level=0, stop=40),
            rows("imp", shifted(DENSE, 0.002), level=1, stop=30),
            rows("reinit", DENSE[:-1], control=True),
        )
    )
    assert arms.lead("imp").values == pytest.approx([0.002] * 6)
    assert arms.stops("imp", 1) == dict.fromkeys(range(6), 30.0)
    with pytest.raises(claims.MissingError, match="reinit, level 1: no trial of 1 seeds"):
        arms.lead("imp", "reinit", level=1)
    with pytest.raises(claims.MissingError, match="no trial of 6 seeds"):
        arms.lead("imp", "elsewhere")
    claim = Claim("", "", lambda arms: [evidence.better(arms, "imp", "reinit", 1)])
    assert claims.judge([(claim, arms)])[0].word == "missing"


def test_a_study_that_did_not_end_or_did_not_run_is_missing() -> None:
    begun = Arms(record(rows("imp", DENSE), finished=False))
    claim = Claim("", "", lambda _: [Fact("so", True)])
    reasons = [one.reason for one in claims.judge([(claim, None), (claim, begun)])]
    assert reasons == ["not run", "the study is not finished"]


def fashion(stop: int = 20, fresh: int = 80, lead: float = 0.01) -> Arms:
    """Twelve rounds whose tickets stop at `stop`, dense at 40, fresh weights at `fresh`."""
    given = [rows("imp", DENSE, level=0, stop=40)]
    for level, density in enumerate(evidence.LADDER, 1):
        for name, values, at in (
            ("imp", shifted(DENSE, 0.004), stop),
            (
                "reinit",
                tuple(d + 0.004 - lead * level / 7 + n for d, n in zip(DENSE, NOISE, strict=True)),
                fresh,
            ),
        ):
            made = rows(name, values, level=level, stop=at, control=name == "reinit")
            given.append(
                [
                    dataclasses.replace(
                        row, trial=dataclasses.replace(row.trial, density=density / 100)
                    )
                    for row in made
                ]
            )
    return Arms(record(*given))


def test_early_stops_are_compared_as_the_paper_compares_them() -> None:
    (sooner,), (slower,) = evidence.sooner(fashion()), evidence.slower(fashion())
    assert sooner.values.mean == pytest.approx(0.5)
    assert slower.values.mean == pytest.approx(3.0)  # four times as many steps, less 1
    assert (sooner.claimed, slower.claimed) == (0.38, 1.51)


def test_the_ladder_is_exact() -> None:
    assert [fact.holds for fact in evidence.ladder(fashion())] == [True]
    off = fashion()
    for arm in off._arms["t", "imp"][5]:
        trial = off._arms["t", "imp"][5][arm]
        off._arms["t", "imp"][5][arm] = dataclasses.replace(trial, density=0.33)
    assert [fact.holds for fact in evidence.ladder(off)] == [False]


def test_a_gap_that_widens_has_a_slope() -> None:
    lead, late = evidence.widening(fashion(lead=0.014))
    assert lead.values.mean == pytest.approx(0.002)
    assert late.values.mean == pytest.approx(0)
    assert evidence.widening(fashion(lead=-0.014))[0].refuted == 0.5**6  # all seeds alike


def test_every_claim_of_the_fashion_study_is_answered() -> None:
    found = claims.judge([(one, fashion()) for one in papers.CLAIMS["lenet_fashion_mnist"]])
    assert "missing" not in {one.word for one in found}
    assert found[0].word == "reproduced"  # the ladder


def test_copies_are_read_by_place_and_by_the_last_level() -> None:
    def compared(seed: int, level: int, at: str, height: float, distance: float) -> object:
        found = SimpleNamespace(
            level=level,
            at=at,
            barrier=SimpleNamespace(height=height),
            to_order=SimpleNamespace(distance=distance),
        )
        return SimpleNamespace(finder="imp", seed=seed, instability=found)

    made = record(rows("imp", DENSE, level=0), rows("imp", DENSE))
    there = [
        compared(seed, level, at, 0.005 + n, (2.0 if at == "ticket" else 1.0) * (1 + n))
        for seed, n in enumerate(NOISE)
        for level in (0, 1)
        for at in ("ticket", "100it")
    ]
    arms = Arms(dataclasses.replace(made, compared=tuple(there)))  # type: ignore[arg-type]
    (below,), (nearer,) = evidence.stable(arms, "imp"), evidence.closer(arms, "imp", "100it")
    assert below.values.mean == pytest.approx(0.015)
    assert nearer.values.mean == pytest.approx(0.5)
    with pytest.raises(claims.MissingError, match="no copies of 6 seeds were compared"):
        arms.compared("imp", "25it")


def carried(names: tuple[str, ...], loss: float) -> Arms:
    """A matrix of tasks, where what is carried loses that much to native tickets."""
    given = []
    for target in names:
        given += [rows("native", shifted(DENSE, 0.1), level=n, task=target) for n in (0, 1)]
        for source in names:
            lost = loss if source != target else 0
            values = tuple(d - lost + n for d, n in zip(DENSE, NOISE, strict=True))
            given.append(rows(f"from {source} rewind", values, task=target))
    return Arms(record(*given))


def test_carried_tickets_are_held_against_native_ones() -> None:
    (mean,) = evidence.of_other_sources(carried(("digits", "low", "high"), 0.004))
    assert mean.values.mean == pytest.approx(-0.004)
    assert mean.what == "mean of 6 pairs"
    found = evidence.of_the_larger(carried(("digits", "low", "high"), 0), "digits")
    assert [one.what for one in found] == ["high over digits on low", "low over digits on high"]


# The page


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the shipped studies, tiny and on FakeLab, with the time that it took."""
    tmp_path, imp = tmp_path_factory.mktemp("stores"), IMP(levels=4)
    made = Study({"imp": imp, "reinit": RandomReinit(of=imp)}, tasks=(studied.TASK,), seeds=3)
    studied.run(made, Store(tmp_path / "first_ticket"))
    noted = "a warning\n\nreal\t9m9.9s\nuser\t1m30.500s\nsys\t0m5.500s\n"
    (tmp_path / "first_ticket.err").write_text(noted)
    return tmp_path


def section(text: str, name: str) -> str:
    return text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_the_page_shows_what_was_run(stores: Path) -> None:
    text = page.page([runs.read([stores], name) for name in runs.studies()])
    shown = section(text, "first_ticket")
    assert "Seeds 0 to 2. Processor time: 1.6 minutes. ltx 0.1.0" in shown
    assert shown.count("| reinit |") == 4  # levels that LEVELS names and that are there
    assert "| dense | 100.00 |" in shown
    claimed = [line for line in shown.splitlines() if "Frankle & Carbin (2019)](" in line]
    assert len(claimed) == len(papers.CLAIMS["first_ticket"])
    assert all("missing" not in line for line in claimed)


def test_the_page_shows_what_was_not_run_as_missing(stores: Path) -> None:
    text = page.page([runs.read([stores], name) for name in runs.studies()])
    shown = section(text, "controls")
    assert "Not run: there is no store of it." in shown
    assert shown.count("| not run |  |  | missing |") == len(papers.CLAIMS["controls"])
    assert "| [controls](#controls) |  |  |  |  | 3 |  |" in text


def test_the_command_is_shown_without_the_places_of_the_machine() -> None:
    shown = page._command(runs.Run("mine", record(rows("imp", DENSE))))
    assert shown == "ltx run --gin_file=studies/mine.gin"


def test_of_several_folders_the_last_finished_store_counts(stores: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    store = Store(more / "first_ticket")
    made = studied.run(Study({"imp": IMP(levels=1)}, tasks=(studied.TASK,), seeds=1), store)
    assert runs.read([stores, more], "first_ticket").record == made
    begun = dataclasses.replace(made, finished=False)
    store.put_study(begun.id, begun.document())
    found = runs.read([stores, more], "first_ticket")
    assert (found.record.seeds, found.seconds) == ((0, 1, 2), 96.0)
    assert runs.read([more], "first_ticket").record == begun


def test_values_are_shown_in_the_units_of_the_claim() -> None:
    values = Paired((1.5, 1.5, 1.5))
    assert page._part(Part("slower", values, claimed=1.51, unit="times")) == (
        "slower: 2.50 times, all seeds alike; paper 2.51, asked more than 1.75"
    )
    assert page._part(Part("lost", Paired((-0.00001, 0.00001)), bound=-0.003)).startswith(
        "lost: +0.00 [-0.01, +0.01] points; asked more than -0.30"
    )


def test_the_tool_writes_the_page(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["results", f"--stores={stores}", f"--out={out}"])
    runpy.run_path(str(ROOT / "tools" / "results"), run_name="__main__")
    assert out.read_text() == page.page([runs.read([stores], name) for name in runs.studies()])


def commands() -> list[str]:
    return re.findall(r"^```sh\n(.*?)\n```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_shipped_page_names_every_study_and_every_claim() -> None:
    text = PAGE.read_text()
    names = {path.stem for path in (ROOT / "gin_configs" / "studies").glob("*.gin")}
    assert set(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == names
    assert len(commands()) == len(names)
    every = [one for name in sorted(names) for one in papers.CLAIMS.get(name, ())]
    assert all(one.text in text for one in [*every, *papers.ELSEWHERE])


def test_every_command_of_the_shipped_page_is_one_of_a_study() -> None:
    for line in commands():
        words = shlex.split(line)
        assert words[:2] == ["ltx", "run"]
        given: dict[str, list[str]] = {}
        for flag in words[2:]:
            name, _, value = flag.partition("=")
            given.setdefault(name, []).append(value)
        assert given.keys() <= {"--gin_file", "--gin_param", "--seeds"}
        files = [str(ROOT / file) for file in given["--gin_file"]]
        assert gin_files.load(files, given.get("--gin_param", [])).study.finders


def test_the_shipped_page_has_the_words_that_its_claims_give() -> None:
    """The counts at its top are those of its tables."""
    text = PAGE.read_text()
    for line in text.splitlines():
        if found := re.match(r"\| \[(\w+)\]\(#\w+\) \|(.*)\|$", line):
            counts = [int(cell) if cell.strip() else 0 for cell in found[2].split("|")]
            lines = [row for row in section(text, found[1]).splitlines() if row.startswith("|")]
            said = [row.rstrip(" |").rpartition("| ")[2].partition(";")[0] for row in lines]
            assert counts == [said.count(one) for one in claims.WORDS]
