"""Results: docs/results.md, made from the stores of the studies that were run.

    python tools/results.py --stores=DIR [--stores=MORE] [--out=docs/results.md]

DIR has a store for each study of gin_configs/studies/, named as its file; a study without one is
shown as not run, and of several folders the last with a finished one counts. DIR/NAME.err, where
it is there, holds what `time` said of the run of NAME. The claims stand in tools/papers.py, what
they come to in trials in tools/readings.py, and how they are judged in tools/claims.py.
"""

import argparse
import dataclasses
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from claims import (
    PERCENT,
    TIMES,
    UNTESTABLE,
    WORDS,
    Arms,
    Judged,
    Part,
    judge,
)
from papers import CLAIMS, ELSEWHERE, LEVELS

from ltx.analysis import curves, verdict
from ltx.analysis.curves import Point
from ltx.analysis.paired_tests import MOST
from ltx.reporting import format
from ltx.store.store import Store
from ltx.study.record import StudyRecord

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "gin_configs" / "studies"
ORDER = ("lenet_fashion_mnist", "first_ticket", "controls", "sanity_checks", "cheap_tickets")
INTRO = """\
# Results

The studies of `gin_configs/studies/` as they were run, beside what the papers say.
`python tools/results.py --stores=DIR` makes this page from their stores; nothing in it was written
by hand after the runs.

None of these studies is on the data of its paper: Fashion-MNIST and scikit-learn's 1797 digits
stand in for MNIST and CIFAR, with fewer steps. A word here is one about a statement on these data,
not about a paper.

| word | what was shown |
|---|---|
| reproduced | the effect, and, where the paper has a number, at least half of it |
| in direction only | an effect of the paper's sign, but not half of its number |
| not reproduced | less than that: the opposite, no effect, or one of less than half the number |
| open | none of these; beside it stands how many more seeds may tell |
| missing | the study has not been run to its end |
| not testable here | wants data or a machine that we do not have |

"As good as" means a loss of less than the study's margin, 0.3 points of test accuracy, and is
refuted by a loss shown to be more. A claim of several parts is shown where all of them are, refuted
where one of them is. Half the paper's number is a bound of ours. Where a paper names no density
that we have, the study's sparsest level decides, whichever way that goes. Claims and bounds were
written from the papers and not changed for what came out.

Every test is a one-sided t-test on differences paired by seed, the sign test where all seeds differ
alike (three seeds then never show anything: p is 1/8); p-values are corrected by Holm over all
claims of this page, for each word. The chance that the page says a word even once where it is false
is at most 5 %. Printed p-values are the corrected ones; ± and brackets are 95 % intervals of one
mean by itself, which decide nothing. What was counted exactly has no p.
[verdicts.md](verdicts.md) has the rest.

What papers say is from their abstracts, numbers from their authors' code and data; those of
Frankle & Carbin's sections are from transcriptions by others.

Where a study's seeds are not those of its file, they were drawn after its claims were written, for
what the file's seeds show had been seen by then.

Processor time is what a run took on all cores together, user and system; the machine was shared
with other work, so that no time by the clock is given.
"""
ELSEWHERE_TITLE = "Not testable here"
NOTE = "Search: what finding took, in dense trainings. Verdict: that of `ltx run`."


@dataclasses.dataclass(frozen=True)
class Ran:
    """A study's gin file, and its record if there is a store of it."""

    name: str
    record: StudyRecord | None = None
    seconds: float | None = None

    @property
    def finished(self) -> bool:
        return self.record is not None and self.record.finished

    @property
    def arms(self) -> Arms | None:
        return None if self.record is None else Arms(self.record)


def studies() -> list[str]:
    """All shipped ones, in the order of the page."""
    names = [path.stem for path in STUDIES.glob("*.gin")]
    return sorted(names, key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n))


def read(folders: Sequence[Path], name: str) -> Ran:
    """What the last finished store of that name holds, or else the last one."""
    found = Ran(name)
    for folder in folders:
        if Store.occupied(folder / name):
            store = Store(folder / name, create=False)
            if store.studies():
                one = Ran(name, StudyRecord.read(store), _noted(folder / f"{name}.err"))
                found = found if found.finished and not one.finished else one
    return found


def _noted(path: Path) -> float | None:
    """User and system seconds in what bash's `time` wrote; None where nothing was written."""
    text = path.read_text() if path.is_file() else ""
    took = re.findall(r"^(?:user|sys)\s+(\d+)m([\d.]+)s$", text, re.MULTILINE)
    return sum(60 * int(m) + float(s) for m, s in took) if took else None


def page(ran: Sequence[Ran]) -> str:
    asked = [(one, claim) for one in ran for claim in CLAIMS.get(one.name, ())]
    judged = judge([(claim, one.arms) for one, claim in asked])
    by_study: dict[str, list[Judged]] = {}
    for (one, _), answer in zip(asked, judged, strict=True):
        by_study.setdefault(one.name, []).append(answer)
    elsewhere = judge([(claim, None) for claim in ELSEWHERE])
    lines = [INTRO, "## In short", ""]
    counted = {**by_study, ELSEWHERE_TITLE: elsewhere}
    lines += _table(["study", *WORDS], list(_counts(counted)))
    for one in ran:
        lines += ["", f"## {one.name}", "", *_section(one, by_study.get(one.name, []))]
    lines += ["", f"## {ELSEWHERE_TITLE}", ""]
    rows = [[f"{j.claim.text} ({j.claim.source})", j.claim.here, j.word] for j in elsewhere]
    lines += _table(["what the paper says", "why not", "verdict"], rows)
    return "\n".join(lines) + "\n"


def _counts(by_study: Mapping[str, Sequence[Judged]]) -> Iterator[list[str]]:
    everything = [one for answers in by_study.values() for one in answers]
    for name, answers in [*by_study.items(), ("all", everything)]:
        words = [answer.word for answer in answers]
        anchor = name.lower().replace(" ", "-")
        shown = name if name == "all" else f"[{name}](#{anchor})"
        yield [shown, *(str(words.count(word) or "") for word in WORDS)]


def _section(one: Ran, judged: Sequence[Judged]) -> list[str]:
    about, paper = _head(STUDIES / f"{one.name}.gin")
    lines = [about, "", f"Paper: {paper}", "", "```sh", _command(one), "```", ""]
    if one.record is None:
        lines.append("Not run: there is no store of it.")
    else:
        lines += [_provenance(one, one.record), "", *_levels(one.name, one.record)]
    if judged:
        lines += ["", *_claims(judged)]
    return lines


def _head(path: Path) -> tuple[str, str]:
    """What a study's file says of itself, and of its paper."""
    head = path.read_text().partition("\ninclude")[0]
    text = " ".join(line.removeprefix("#").strip() for line in head.splitlines())
    about, _, rest = text.partition(" Paper: ")
    return about, re.sub(r"(https?://[^\s,;)]+)", r"<\1>", rest.partition(" Command: ")[0])


def _command(one: Ran) -> str:
    """The command of the record, but for where its store and its data lay."""
    if one.record is None:
        return f"ltx run --gin_file=gin_configs/studies/{one.name}.gin"
    words = shlex.split(one.record.command)
    return shlex.join(w for w in words if not w.startswith(("--store=", "--data_dir=")))


def _provenance(one: Ran, record: StudyRecord) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    first, last = min(record.seeds), max(record.seeds)
    run = len(record.seeds) > 2 and set(record.seeds) == set(range(first, last + 1))
    seeds = f"{first} to {last}" if run else ", ".join(map(str, record.seeds))
    took = "not noted" if one.seconds is None else f"{one.seconds / 60:.1f} minutes"
    gaps = list(record.gaps())
    lacking = f" {len(gaps)} trials are missing." if gaps else ""
    state = "" if record.finished else " **Not finished.**"
    return f"Seeds {seeds}. Processor time: {took}. {versions}.{state}{lacking}"


def _levels(name: str, record: StudyRecord) -> list[str]:
    """A row for each finder at each level that is shown, below the dense network of its task."""
    controls = [label for label, control in record.finders.items() if control]
    judged = verdict.levels(
        record.rows, margin=record.margin, seeds=record.seeds, controls=controls
    )
    words = {(level.task, level.finder, level.level): level.verdict for level in judged}
    search, rows, tasks = Arms(record).search, [], []
    for arm in curves.curves(record.rows, list(record.finders)):
        points = {point.level: point for point in arm.points}
        if arm.task not in tasks and 0 in points:
            tasks.append(arm.task)
            rows.append([arm.task, "dense", *_measured(points[0], record), "", ""])
        last = max(points)
        for level in [level for level in LEVELS.get(name, ()) if level in points] or [last]:
            if level:
                word = "control" if arm.control else words[arm.task, arm.finder, level]
                took = _search(search(arm.finder, level, arm.task))
                rows.append([arm.task, arm.finder, *_measured(points[level], record), took, word])
    head = ["task", "finder", "density, %", "accuracy, %", "early stop, steps", "seeds"]
    head += ["search", "verdict"]
    shown = slice(0 if len(record.tasks) > 1 else 1, None)
    return [*_table(head[shown], [row[shown] for row in rows]), "", NOTE]


def _measured(point: Point, record: StudyRecord) -> list[str]:
    untrained = math.isnan(point.early_stop.mean)
    return [
        f"{100 * point.density:.2f}",
        format.percent(point.accuracy),
        "untrained" if untrained else format.steps(point.early_stop),
        f"{point.seeds} of {len(record.seeds)}",
    ]


def _search(took: Sequence[float]) -> str:
    return format.number(sum(took) / len(took), ".3g") if took else "missing"


def _claims(judged: Sequence[Judged]) -> list[str]:
    rows = []
    for one in judged:
        ours = one.claim.here if one.word != UNTESTABLE else ""
        here = f" Here: {ours}." if ours else ""
        seen = [_part(part) for part in one.parts] + [fact.what for fact in one.facts]
        counts = sorted({part.values.count for part in one.parts})
        rows.append(
            [
                f"{one.claim.text} ({one.claim.source}){here}",
                "<br>".join(seen) or one.reason,
                " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "",
                "" if math.isnan(one.p) else format.p_value(one.p),
                one.word + _more(one),
            ]
        )
    return _table(["what the paper says", "what we saw", "seeds", "p", "verdict"], rows)


def _more(one: Judged) -> str:
    if one.word != "open":
        return ""
    if math.isnan(one.more):
        return "; too few seeds to say how many more"
    if math.isinf(one.more) or one.more > MOST:
        return f"; more than {MOST} seeds more"
    return f"; {one.more:.0f} seeds more"


def _part(part: Part) -> str:
    """A mean with its own interval, in the unit of the claim, and what it is held against."""
    found = part.values.interval(0.025, 0.025)
    ends = ""
    if not math.isnan(found.low):
        ends = f" [{_value(found.low, part)}, {_value(found.high, part)}]"
    alike = ", all seeds alike" if part.values.tied else ""
    asked = f"asked {'' if part.reached else 'more than '}{_value(part.size, part)}"
    paper = "" if part.claimed is None else f"paper {_value(part.claimed, part)}, "
    return f"{part.what}: {_value(found.mean, part)}{ends} {part.unit}{alike}; {paper}{asked}"


def _value(value: float, part: Part) -> str:
    if math.isnan(value):
        return "missing"
    if part.unit == TIMES:
        return f"{1 + value:.2f}"
    return format.points(value, 0 if part.unit == PERCENT else 2)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stores", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results.md")
    flags = parser.parse_args()
    flags.out.write_text(page([read(flags.stores, name) for name in studies()]))


if __name__ == "__main__":
    main()
