"""ltx: find lottery tickets, hold them against honest controls, carry them to other data sets.

How data flows, one way:

    gin, flags -> Task -> Lab -> Finder -> Tickets -> Trials -> Store -> Verdict and table

A Task (data set, model, Recipe) is what is trained. A Lab trains it: states and masks go in,
states and curves come out, and it alone touches a Keras variable. A Finder is a loop over a lab
that yields Tickets: a Mask and the State to train from. A Trial is one ticket trained to the end
and measured. The Store keeps all of it, and a lab wrapped by it (MemoLab) trains nothing twice.
A Study is tasks x finders x seeds, a Verdict what it is entitled to say.

This module holds what an author of finders needs; importing it loads no TensorFlow. The plugin
`imp` is the finder to read first.
"""

import importlib
import warnings
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ltx.core.cost import Cost
from ltx.core.duration import Duration
from ltx.core.engine import Engine
from ltx.core.environment import DISTRIBUTION
from ltx.core.errors import ControlError, DivergedError, LtxError, UsageError
from ltx.core.finder import Finder, require_finder
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.objectives.classification import Classification
from ltx.core.objectives.metric import Metric
from ltx.core.objectives.multi_label import MultiLabel
from ltx.core.objectives.next_token import NextToken
from ltx.core.objectives.objective import Objective, Targets
from ltx.core.objectives.ordinal import Ordinal
from ltx.core.objectives.regression import Regression
from ltx.core.prunable import Weight
from ltx.core.recipe import Recipe
from ltx.core.run import History, Metrics, Run
from ltx.core.state import State
from ltx.core.task import Task
from ltx.core.ticket import Ticket
from ltx.core.validation import (
    check_choice,
    check_count,
    check_duration,
    check_number,
    check_score,
    check_type,
)
from ltx.evaluation.adjacency import Adjacency, adjacency
from ltx.evaluation.control_checks import check_control, check_corrupted
from ltx.evaluation.instability import Stability
from ltx.evaluation.mode_connectivity import Barrier, barrier, copies
from ltx.evaluation.trial import Trial
from ltx.pruning.learned_masks import Bernoulli, EdgePopup, learned_mask
from ltx.pruning.patterns import Blocks, NofM
from ltx.pruning.round import Pruning
from ltx.pruning.schedules import PolynomialDecay
from ltx.pruning.scores import (
    BatchNormScale,
    Criterion,
    Grasp,
    Magnitude,
    Random,
    Score,
    Snip,
    Synflow,
)
from ltx.pruning.structures import ByChannel, ByToken, Structure, Unstructured
from ltx.store.store import Store
from ltx.study.definition import Study
from ltx.study.grid import Grid
from ltx.study.listener import StudyListener

if TYPE_CHECKING:
    from ltx.backends.tf_keras.graph.compaction import compact
    from ltx.backends.tf_keras.lab import KerasLab
    from ltx.backends.tf_keras.models.builder import build as build_model
    from ltx.cli.python import run
    from ltx.data.arrays import Arrays
    from ltx.data.loading import load as load_data
    from ltx.reporting.results import Results

__version__ = metadata.version(DISTRIBUTION)

__all__ = [
    "Adjacency",
    "Arrays",
    "Barrier",
    "BatchNormScale",
    "Bernoulli",
    "Blocks",
    "ByChannel",
    "ByToken",
    "Classification",
    "ControlError",
    "Cost",
    "Criterion",
    "DivergedError",
    "Duration",
    "EdgePopup",
    "Engine",
    "Finder",
    "Grasp",
    "Grid",
    "History",
    "KerasLab",
    "Lab",
    "LtxError",
    "Magnitude",
    "Mask",
    "Metric",
    "Metrics",
    "MultiLabel",
    "NextToken",
    "NofM",
    "Objective",
    "Ordinal",
    "PolynomialDecay",
    "Pruning",
    "Random",
    "Recipe",
    "Regression",
    "Results",
    "Run",
    "Score",
    "Snip",
    "Stability",
    "State",
    "Store",
    "Structure",
    "Study",
    "StudyListener",
    "Synflow",
    "Targets",
    "Task",
    "Ticket",
    "Trial",
    "Unstructured",
    "UsageError",
    "Weight",
    "adjacency",
    "barrier",
    "build_model",
    "check_choice",
    "check_control",
    "check_corrupted",
    "check_count",
    "check_duration",
    "check_number",
    "check_score",
    "check_type",
    "compact",
    "copies",
    "learned_mask",
    "load_data",
    "require_finder",
    "run",
]

# Imported at first use, so that `import ltx` stays light.
_LAZY = {
    "Results": ("ltx.reporting.results", "Results"),
    "run": ("ltx.cli.python", "run"),
    "KerasLab": ("ltx.backends.tf_keras.lab", "KerasLab"),
    "build_model": ("ltx.backends.tf_keras.models.builder", "build"),
    "compact": ("ltx.backends.tf_keras.graph.compaction", "compact"),
    "Arrays": ("ltx.data.arrays", "Arrays"),
    "load_data": ("ltx.data.loading", "load"),
}

_RENAMED = {"inner": "require_finder"}


def __getattr__(name: str) -> Any:
    if new := _RENAMED.get(name):
        warnings.warn(f"ltx.{name} is now ltx.{new}", DeprecationWarning, stacklevel=2)
        return globals()[new]
    if name not in _LAZY:
        raise AttributeError(f"module 'ltx' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
