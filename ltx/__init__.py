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

from importlib import metadata

from ltx.checks import check_choice, check_count, check_number, check_score, check_type
from ltx.control import check_control, check_corrupted
from ltx.cost import Cost
from ltx.duration import Duration
from ltx.errors import ControlError, DivergedError, LtxError, UsageError
from ltx.finder import Finder, inner
from ltx.history import History, Metrics
from ltx.lab import Lab
from ltx.learned import Bernoulli, EdgePopup, learned_mask
from ltx.mask import Mask
from ltx.pruning import Pruning
from ltx.recipe import Recipe
from ltx.run import Run
from ltx.schedule import PolynomialDecay
from ltx.scores import BatchNormScale, Criterion, Grasp, Magnitude, Random, Score, Snip, Synflow
from ltx.stability import Barrier, barrier, copies
from ltx.state import State
from ltx.store import Store
from ltx.structures import Blocks, ByChannel, NofM, Structure, Unstructured
from ltx.task import Task
from ltx.ticket import Ticket
from ltx.trial import Trial
from ltx.weight import Weight

__version__ = metadata.version("ltx")

__all__ = [
    "Barrier",
    "BatchNormScale",
    "Bernoulli",
    "Blocks",
    "ByChannel",
    "ControlError",
    "Cost",
    "Criterion",
    "DivergedError",
    "Duration",
    "EdgePopup",
    "Finder",
    "Grasp",
    "History",
    "Lab",
    "LtxError",
    "Magnitude",
    "Mask",
    "Metrics",
    "NofM",
    "PolynomialDecay",
    "Pruning",
    "Random",
    "Recipe",
    "Run",
    "Score",
    "Snip",
    "State",
    "Store",
    "Structure",
    "Synflow",
    "Task",
    "Ticket",
    "Trial",
    "Unstructured",
    "UsageError",
    "Weight",
    "barrier",
    "check_choice",
    "check_control",
    "check_corrupted",
    "check_count",
    "check_number",
    "check_score",
    "check_type",
    "copies",
    "inner",
    "learned_mask",
]
