"""Report: one page in one file that shows what a study found, and the same as data and figures."""

import base64
import dataclasses
import functools
import hashlib
import html
import os
import re
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from ltx.analysis import curves, instability_curves, mask_similarity, transfer, verdict
from ltx.analysis.grouping import group
from ltx.analysis.paired_tests import Interval
from ltx.analysis.verdict import LevelVerdict
from ltx.core.errors import UsageError
from ltx.reporting import format
from ltx.reporting import tables as export
from ltx.reporting.figures import by_density, cost, instability, layers, masks, transfers
from ltx.reporting.figures import style as plot
from ltx.reporting.figures.style import Plot
from ltx.store.store import Store
from ltx.study.record import StudyRecord

# What the figures' colours are called in the page, which has others for the dark.
_COLOURS = {
    plot.INK: "ink",
    plot.FAINT: "line",
    plot.PAPER: "paper",
    **{colour: f"c{place}" for place, colour in enumerate(plot.COLOURS)},
    **{colour: f"t{place}" for place, colour in enumerate(plot.TEXTS)},
}
_MARKS = dict(zip(plot.MARKERS, "\u25cf\u25a0\u25c6\u25b2\u25bc\u271a", strict=True))


class Report:
    """What the page, the tables and the figures of one study are made from."""

    def __init__(self, record: StudyRecord, store: Store) -> None:
        self.record = record
        self.levels = verdict.levels(
            record.rows,
            margin=record.margin,
            seeds=record.seeds,
            controls=[name for name, control in record.finders.items() if control],
        )
        self.curves = curves.curves(record.rows, list(record.finders), record.timings)
        self.manifests = export.manifests(record, store)
        self.trials = export.trials(record, self.manifests)
        self.layers = export.layers(record, self.manifests)
        self.strands = instability_curves.stability_curves(record.compared, list(record.finders))
        self.stability = export.stability(record)
        self.carried = transfer.transfer_results(record, store)
        self.likenesses = list(mask_similarity.similarities(record, store))
        self.plots = dict(self._plots())

    def page(self) -> str:
        """The whole page; the same study gives the same bytes."""
        folder = resources.files("ltx.reporting")
        style, script = (folder.joinpath(f"page.{kind}").read_text() for kind in ("css", "js"))
        environment = jinja2.Environment(
            autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
        )
        environment.filters.update(
            percent=format.percent,
            difference=format.difference,
            steps=format.steps,
            more_seeds=format.more_seeds,
            p_value=format.brief_p_value,
            number=format.number,
            mean=_mean,
            share=functools.partial(format.share, unit=""),
            svg=_svg,
        )
        template = environment.from_string(folder.joinpath("page.html").read_text())
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        return template.render(
            record=self.record,
            groups=self._groups(),
            counts=self._counts(),
            plots=self.plots,
            key=self._key(),
            carried=self.carried,
            carried_sentence=transfer.sentence(self.carried) if self.carried else "",
            trials=self.trials,
            strands=self.strands,
            uncompared=[line for line in self.stability if "missing" in line],
            likenesses=self.likenesses,
            missing=sum("missing" in line for line in self.trials),
            untimed=sum(line.get("seconds", 0) is None for line in self.trials),
            style=Markup(style),
            script=Markup(script),
            digest=digest,
        )

    def write_data(self, folder: str | os.PathLike[str]) -> list[Path]:
        """All numbers of the page as CSV and Parquet; where they are."""
        tables = {
            "trials": (self.trials, export.TRIALS),
            "levels": (export.levels(self.levels), export.LEVELS),
            "comparisons": (export.comparisons(self.levels), export.COMPARISONS),
            "layers": (self.layers, export.LAYERS),
            "stability": (self.stability, export.STABILITY),
            "transfers": (export.transfers(self.carried), export.TRANSFERS),
            "overlaps": (export.overlaps(self.likenesses), export.OVERLAPS),
        }
        return [p for name, table in tables.items() for p in export.write(folder, name, *table)]

    def write_figures(self, folder: str | os.PathLike[str]) -> list[Path]:
        """All plots of the page as SVG and PDF; where they are."""
        names: set[str] = set()
        paths: list[Path] = []
        for one in (one for plots in self.plots.values() for one in plots):
            name, count = one.name, 1
            while name in names:  # two finders may differ in what no file's name may hold
                name, count = f"{one.name}-{count + 1}", count + 1
            names.add(name)
            paths += dataclasses.replace(one, name=name).write(folder)
        return paths

    def _key(self) -> list[tuple[str, str, str, bool]]:
        """Each finder with the name of its colour, its mark, and whether it is a control."""
        looks = [plot.style_of(place) for place in range(len(self.record.finders))]
        return [
            (name, _COLOURS[colour], _MARKS[marker], control)
            for (name, control), (colour, marker) in zip(
                self.record.finders.items(), looks, strict=True
            )
        ]

    def _groups(self) -> list[tuple[str, list[LevelVerdict], list[str]]]:
        """The levels of each finder on each task under their sentence, with their controls."""
        groups = group(self.levels, lambda level: (level.task, level.finder))
        return [
            (verdict.sentence(found), found, sorted({c for level in found for c in level.controls}))
            for found in groups.values()
        ]

    def _counts(self) -> list[tuple[str, int]]:
        words = [level.verdict for level in self.levels if level.level > 0]
        return [(word, words.count(word)) for word in verdict.VERDICTS]

    def _plots(self) -> Iterable[tuple[str, list[Plot]]]:
        by_task = group(self.curves, lambda curve: curve.task)
        yield "cost", [p for task, own in by_task.items() for p in cost.costs(task, own)]
        yield "accuracy", [by_density.accuracies(task, own) for task, own in by_task.items()]
        stops = [by_density.early_stops(task, own) for task, own in by_task.items()]
        yield "early stop", [p for p in stops if p]
        yield "layers", self._layer_plots(layers.densities)
        shares = [masks.effective(t, own, self.trials) for t, own in by_task.items()]
        yield "effective", [p for p in shares if p]
        yield "dead units", self._layer_plots(layers.dead_units)
        shared = [masks.overlaps(task, self.likenesses) for task in by_task]
        yield "overlaps", [p for p in shared if p]
        yield "sources and targets", transfers.maps(self.carried)
        yield from self._stability_plots()

    def _layer_plots(self, draw: Callable[..., Plot | None]) -> list[Plot]:
        own = (line for line in self.layers if not line["control"])
        groups = group(own, lambda line: (line["task"], line["finder"]))
        return [plot for arm, lines in groups.items() if (plot := draw(*arm, lines))]

    def _stability_plots(self) -> Iterable[tuple[str, list[Plot]]]:
        by_task = group(self.strands, lambda curve: curve.task)
        by_origin = group(self.strands, lambda curve: (curve.task, curve.origin))
        # The first place stands for all where there are too many plots to look at.
        first = {
            task: [one for one in own if one.origin == own[0].origin]
            for task, own in by_task.items()
        }
        yield (
            "barriers",
            [instability.barriers(task, own) for (task, _), own in by_origin.items()],
        )
        trails = {task: instability_curves.rewind_curves(own) for task, own in by_task.items()}
        yield (
            "rewinds",
            [
                instability.barriers_by_rewind(task, own, by_task[task][0].split)
                for task, own in trails.items()
                if own
            ],
        )
        yield "between copies", [instability.errors(one) for own in first.values() for one in own]
        yield "apart", [p for task, own in first.items() for p in instability.distances(task, own)]


def write(
    store: Store,
    out: str | os.PathLike[str],
    *,
    study: str = "",
    figures: str | None = None,
    data: str | None = None,
) -> list[Path]:
    """Write the page of a study, and its figures and data where folders are given for them."""
    made = Report(StudyRecord.read(store, study), store)
    path = Path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made.page(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another --out") from error
    more_paths = made.write_figures(figures) if figures else []
    return [path, *more_paths, *(made.write_data(data) if data else [])]


def _mean(interval: Interval, form: str) -> str:
    return format.mean(interval, lambda value: format.number(value, form))


def _svg(one: Plot, place: str) -> Markup:
    """A figure made fit to stand in a page: named, scaled by its frame, in the page's colours."""
    text = one.svg()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", text, flags=re.S)
    # Definitions need names of their own among all figures; groups need none.
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)
    text = re.sub(r'(id="|#)([a-z]\w*?[0-9a-f]{10})\b', rf"\1{place}-\2", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    for colour, name in _COLOURS.items():
        text = text.replace(f": {colour}", f": var(--{name})")
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None
    title, words = html.escape(one.title), html.escape(one.text)
    head = f'<svg viewBox="{box[1]}" role="img" aria-labelledby="{place}-t {place}-d">'
    head += f'<title id="{place}-t">{title}</title><desc id="{place}-d">{words}</desc>'
    return Markup(re.sub(r"\s*\n\s*", "\n", head + text[text.index(">") + 1 :]))
