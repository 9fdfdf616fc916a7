"""Tables of what was analysed: levels and their verdicts, controls, transfers and overlaps."""

import math
from collections.abc import Iterable

from ltx.analysis.mask_similarity import MaskSimilarity
from ltx.analysis.transfer import TransferResult
from ltx.analysis.verdict import LevelVerdict
from ltx.reporting.tables.columns import COUNT, NUMBER, TEXT, Lines, ends, fields, named

LEVELS = {
    **{"task": TEXT, "finder": TEXT, "level": COUNT, "density": NUMBER, "seeds": COUNT},
    **{
        f"{what}{end}": NUMBER
        for what in ("accuracy", "early_stop", "gain", "delay")
        for end in ("", "_low", "_high")
    },
    **{"verdict": TEXT, "reason": TEXT, "p": NUMBER, "more_seeds": NUMBER},
    **{"missing_seeds": COUNT, "margin": NUMBER, "own_controls": TEXT},
}
COMPARISONS = {
    **{"task": TEXT, "finder": TEXT, "level": COUNT, "control": TEXT},
    "control_density": NUMBER,
    **{f"{what}{end}": NUMBER for what in ("accuracy", "lead") for end in ("", "_low", "_high")},
}


def levels(verdicts: Iterable[LevelVerdict]) -> Lines:
    """A line for each level of each finder that is no control, with its verdict.

    `gain` in the metric and `delay` in early stop are over dense, paired by seed; their intervals
    are corrected as `p` is. A gain is positive where the finder is better. `more_seeds` is
    infinite where no number of seeds would suffice. `own_controls` are the labels of the finder's
    controls, with commas between; none is missing.
    """
    return [
        {
            **fields(level, "task", "finder", "level", "density", "seeds"),
            **named(level.metric, ends("accuracy", level.value)),
            **ends("early_stop", level.early_stop),
            **ends("gain", level.gain),
            **ends("delay", level.delay),
            "verdict": level.verdict or None,
            "reason": level.reason or None,
            "p": level.decisive_p,
            "more_seeds": None if math.isnan(level.more_seeds) else level.more_seeds,
            "missing_seeds": len(level.missing),
            "margin": level.margin,
            "own_controls": ", ".join(level.own_controls) or None,
        }
        for level in verdicts
    ]


def comparisons(verdicts: Iterable[LevelVerdict]) -> Lines:
    """A line for each level and control of the finder's own that has a ticket made from its.

    `lead` is the finder's over it, paired by seed.
    """
    return [
        {
            **fields(level, "task", "finder", "level"),
            "control": control,
            "control_density": level.control_densities[control],
            **named(level.metric, ends("accuracy", value)),
            **ends("lead", level.leads.get(control)),
        }
        for level in verdicts
        for control, value in level.controls.items()
    ]


TRANSFERS = {
    **{"task": TEXT, "finder": TEXT, "source": TEXT, "carry": TEXT, "level": COUNT},
    **{"density": NUMBER, "seeds": COUNT},
    **{f"accuracy{end}": NUMBER for end in ("", "_low", "_high")},
    **{"native": TEXT, "native_head": TEXT, "native_density": NUMBER},
    "native_stem": TEXT,
    **{
        f"{what}{end}": NUMBER
        for what in ("native_accuracy", "dense_accuracy", "gap")
        for end in ("", "_low", "_high")
    },
    **{"word": TEXT, "reason": TEXT, "p": NUMBER, "more_seeds": NUMBER},
    **{"missing_seeds": COUNT, "margin": NUMBER},
}


def transfers(results: Iterable[TransferResult]) -> Lines:
    """A line for each level of what each finder carried to each task.

    `gap` is by how much it is better than the `native` finder, paired by seed, with an interval
    corrected as `p` is. `native_head` is the new head of both, missing where heads are their own,
    and `native_stem` their new stem.
    """
    return [
        {
            **fields(one, "task", "finder", "source", "carry", "level", "density", "seeds"),
            **named(one.metric, ends("accuracy", one.value)),
            "native": one.native or None,
            "native_head": one.native_head or None,
            "native_density": one.native_density,
            "native_stem": one.native_stem or None,
            **named(one.metric, ends("native_accuracy", one.native_value)),
            **named(one.metric, ends("dense_accuracy", one.dense_value)),
            **ends("gap", one.gap),
            "word": one.verdict,
            "reason": one.reason,
            "p": one.decisive_p,
            "more_seeds": None if math.isnan(one.more_seeds) else one.more_seeds,
            "missing_seeds": len(one.missing),
            "margin": one.margin,
        }
        for one in results
    ]


OVERLAPS = {
    **{"task": TEXT, "finder": TEXT, "other": TEXT, "level": COUNT, "other_level": COUNT},
    **{"density": NUMBER, "other_density": NUMBER, "layer": TEXT, "pairs": COUNT},
    **{"shared": NUMBER, "chance_shared": NUMBER, "chance_spread": NUMBER},
    **{"jaccard": NUMBER, "chance_jaccard": NUMBER},
}


def overlaps(similarities: Iterable[MaskSimilarity]) -> Lines:
    """A line for each layer of each overlap, and one without a layer for the whole mask.

    Where `other` is the finder itself, the overlap is between its tickets of different seeds.
    """
    return [
        {
            **fields(one, "task", "finder", "other", "level", "other_level"),
            **fields(one, "density", "other_density"),
            "layer": layer,
            **vars(overlap),
        }
        for one in similarities
        for layer, overlap in [(None, one.whole), *one.layers.items()]
    ]
