"""The classes of ltx that gin files name as they are: settings, structures and scores."""

from ltx.core.engine import Engine
from ltx.core.recipe import Recipe
from ltx.core.task import Task
from ltx.evaluation.instability import Stability
from ltx.pruning.learned_masks import Bernoulli, EdgePopup
from ltx.pruning.patterns import Blocks, NofM
from ltx.pruning.round import Pruning
from ltx.pruning.schedules import PolynomialDecay
from ltx.pruning.scores import BatchNormScale, Criterion, Grasp, Magnitude, Random, Snip, Synflow
from ltx.pruning.structures import ByChannel, ByToken, Unstructured
from ltx.study.definition import Study
from ltx.study.grid import Grid

SCORES = (Magnitude, Criterion, Snip, Grasp, Synflow, BatchNormScale, Random)
_STRUCTURES = (Unstructured, ByChannel, ByToken, Blocks, NofM)
_CORE = (
    Study,
    Grid,
    Task,
    Recipe,
    Engine,
    Stability,
    Pruning,
    PolynomialDecay,
    *_STRUCTURES,
    *SCORES,
    EdgePopup,
    Bernoulli,
)
CORE = {cls.__name__: cls for cls in _CORE}
