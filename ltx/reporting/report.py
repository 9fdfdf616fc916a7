"""A report: the analyses, tables and plots of one study."""

import dataclasses
import os
from pathlib import Path

from ltx.analysis import curves, instability_curves, mask_similarity, transfer, verdict
from ltx.reporting.figures import sections, style, transfers
from ltx.reporting.tables import analyses, columns, measurements
from ltx.store.store import Store
from ltx.study.record import StudyRecord


class Report:
    """Everything that the page, the data files and the figure files of a study show.

    `positions` holds the finders by position, which decides a finder's colour and marker in all
    plots; `plots` holds the plots of each section of the page; `trials`, `layers` and `stability`
    are lines of tables.
    """

    def __init__(self, record: StudyRecord, store: Store) -> None:
        self.record = record
        self.positions = style.positions(record.finders, record.controls)
        self.levels = verdict.levels(
            record.rows,
            margin=record.margin,
            seeds=record.seeds,
            controls=record.controls,
        )
        self.curves = curves.curves(record.rows, self.positions, record.timings)
        manifests = measurements.manifests(record, store)
        self.trials = measurements.trials(record, manifests)
        self.layers = measurements.layers(record, manifests)
        self.stability = measurements.stability(record)
        self.stability_curves = instability_curves.stability_curves(record.compared, self.positions)
        self.transfers = transfer.transfer_results(record, store)
        self.similarities = list(mask_similarity.similarities(record, store))
        self.plots = {
            **dict(sections.of_curves(self.curves)),
            **dict(sections.of_layers(self.layers)),
            **dict(sections.of_wiring(self.levels, record.rows, store)),
            **dict(sections.of_masks(self.curves, self.trials, self.similarities)),
            "sources and targets": transfers.maps(self.transfers),
            **dict(sections.of_stability(self.stability_curves)),
        }

    def write_data(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write all numbers of the page as CSV and Parquet; return the paths."""
        tables = {
            "trials": (self.trials, measurements.TRIALS),
            "levels": (analyses.levels(self.levels), analyses.LEVELS),
            "comparisons": (analyses.comparisons(self.levels), analyses.COMPARISONS),
            "layers": (self.layers, measurements.LAYERS),
            "stability": (self.stability, measurements.STABILITY),
            "transfers": (analyses.transfers(self.transfers), analyses.TRANSFERS),
            "overlaps": (analyses.overlaps(self.similarities), analyses.OVERLAPS),
        }
        return [p for name, table in tables.items() for p in columns.write(folder, name, *table)]

    def write_figures(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write all plots of the page as SVG and PDF; return the paths."""
        names: set[str] = set()
        paths: list[Path] = []
        for plot in (plot for plots in self.plots.values() for plot in plots):
            name, count = plot.name, 1
            while name in names:  # names of finders may differ in what file names cannot hold
                name, count = f"{plot.name}-{count + 1}", count + 1
            names.add(name)
            paths += dataclasses.replace(plot, name=name).write(folder)
        return paths
