"""docs/results.md as text: each study's command, levels and claims, and a count of all verdicts."""

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from claims import PERCENT, TIMES, UNTESTABLE, WORDS, Arms, Judged, Part, judge
from papers import CLAIMS, ELSEWHERE
from runs import STUDIES, Run

from ltx.analysis import curves, verdict
from ltx.analysis.curves import Point
from ltx.analysis.multiple_testing import span
from ltx.analysis.paired_tests import MOST
from ltx.core.objectives.metric import Metric
from ltx.reporting import format
from ltx.study.record import StudyRecord

# The levels that the page shows of each finder of a study; without an entry, the sparsest.
LEVELS: dict[str, tuple[int, ...]] = {
    "first_ticket": (1, 2, 3, 4, 5, 6, 7),
    "lenet_fashion_mnist": (1, 4, 7, 9, 10, 12),
    "controls": (3, 5),
    "few_data": (3, 5),
    "channels": (1, 2, 3),
    "transfer_fashion_to_digits": (7, 10, 12),
}

INTRO = """\
# Results

The studies of `gin_configs/studies/` as they were run, beside what the papers say.
`python tools/results --stores=DIR` makes this page from their stores; nothing in it was written
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


def page(runs: Sequence[Run]) -> str:
    """The whole page."""
    claims = [(one, claim) for one in runs for claim in CLAIMS.get(one.name, ())]
    judged = judge([(claim, one.arms) for one, claim in claims])
    by_study: dict[str, list[Judged]] = {}
    for (one, _), answer in zip(claims, judged, strict=True):
        by_study.setdefault(one.name, []).append(answer)
    elsewhere = judge([(claim, None) for claim in ELSEWHERE])
    lines = [INTRO, "## In short", ""]
    counted = {**by_study, ELSEWHERE_TITLE: elsewhere}
    lines += _table(["study", *WORDS], list(_counts(counted)))
    for one in runs:
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


def _section(one: Run, judged: Sequence[Judged]) -> list[str]:
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
    """The description and the paper in the head of a study's gin file."""
    head = path.read_text().partition("\ninclude")[0]
    text = " ".join(line.removeprefix("#").strip() for line in head.splitlines())
    about, _, rest = text.partition(" Paper: ")
    return about, re.sub(r"(https?://[^\s,;)]+)", r"<\1>", rest.partition(" Command: ")[0])


def _command(one: Run) -> str:
    """The command of the record, without the paths of its store and data."""
    if one.record is None:
        return f"ltx run --gin_file=gin_configs/studies/{one.name}.gin"
    words = shlex.split(one.record.command)
    return shlex.join(w for w in words if not w.startswith(("--store=", "--data_dir=")))


def _provenance(one: Run, record: StudyRecord) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    first, last = min(record.seeds), max(record.seeds)
    is_range = len(record.seeds) > 2 and set(record.seeds) == set(range(first, last + 1))
    seeds = f"{first} to {last}" if is_range else ", ".join(map(str, record.seeds))
    time = "not noted" if one.seconds is None else f"{one.seconds / 60:.1f} minutes"
    gaps = list(record.gaps())
    lacking = f" {len(gaps)} trials are missing." if gaps else ""
    state = "" if record.finished else " **Not finished.**"
    return f"Seeds {seeds}. Processor time: {time}. {versions}.{state}{lacking}"


def _levels(name: str, record: StudyRecord) -> list[str]:
    """A row for each finder at each level shown, below the dense network of its task."""
    judged = verdict.levels(
        record.rows, margin=record.margin, seeds=record.seeds, controls=record.controls
    )
    words = {(level.task, level.finder, level.level): level.verdict for level in judged}
    search, rows, tasks = Arms(record).search, [], []
    for arm in curves.curves(record.rows, list(record.finders)):
        points = {point.level: point for point in arm.points}
        if arm.task not in tasks and 0 in points:
            tasks.append(arm.task)
            rows.append([arm.task, "dense", *_measured(points[0], record, arm.metric), "", ""])
        last = max(points)
        for level in [level for level in LEVELS.get(name, ()) if level in points] or [last]:
            if level:
                word = "control" if arm.control else words[arm.task, arm.finder, level]
                cost = _search(search(arm.finder, level, arm.task))
                rows.append(
                    [
                        arm.task,
                        arm.finder,
                        *_measured(points[level], record, arm.metric),
                        cost,
                        word,
                    ]
                )
    labels = dict.fromkeys(row.trial.metric.label for row in record.rows)
    head = ["task", "finder", "density, %", " or ".join(labels), "early stop, steps", "seeds"]
    head += ["search", "verdict"]
    shown = slice(0 if len(record.tasks) > 1 else 1, None)
    return [*_table(head[shown], [row[shown] for row in rows]), "", NOTE]


def _measured(point: Point, record: StudyRecord, metric: Metric) -> list[str]:
    untrained = math.isnan(point.early_stop.mean)
    return [
        f"{100 * point.density:.2f}",
        format.measure(point.value, metric),
        "untrained" if untrained else format.steps(point.early_stop),
        f"{point.seeds} of {len(record.seeds)}",
    ]


def _search(costs: Sequence[float]) -> str:
    return format.number(sum(costs) / len(costs), ".3g") if costs else "missing"


def _claims(judged: Sequence[Judged]) -> list[str]:
    rows = []
    for one in judged:
        ours = one.claim.here if one.word != UNTESTABLE else ""
        here = f" Here: {ours}." if ours else ""
        seen = [_part(part) for part in one.parts] + [fact.what for fact in one.facts]
        counts = {part.values.count for part in one.parts}
        rows.append(
            [
                f"{one.claim.text} ({one.claim.source}){here}",
                "<br>".join(seen) or one.reason,
                span(counts) if counts else "",
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
    """A mean with its own interval, in the unit of the claim, and the bound it must reach."""
    interval = part.values.interval(0.025, 0.025)
    ends = ""
    if not math.isnan(interval.low):
        ends = f" [{_value(interval.low, part)}, {_value(interval.high, part)}]"
    tied = ", all seeds alike" if part.values.tied else ""
    bound = f"asked {'' if part.reached else 'more than '}{_value(part.size, part)}"
    paper = "" if part.claimed is None else f"paper {_value(part.claimed, part)}, "
    return f"{part.what}: {_value(interval.mean, part)}{ends} {part.unit}{tied}; {paper}{bound}"


def _value(value: float, part: Part) -> str:
    if math.isnan(value):
        return "missing"
    if part.unit == TIMES:
        return f"{1 + value:.2f}"
    return f"{100 * value:+z.{0 if part.unit == PERCENT else 2}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
