"""The checks of what finders rely on in every lab: training, evaluation and their purity.

Each takes `make_lab(seed, sealed=...)`, which opens a lab of a training of a few dozen steps whose
validation loss falls, evaluated several times on the way.
"""

import contextlib
import dataclasses
import random
from collections.abc import Callable, Iterator

import numpy as np

from ltx.core.errors import DivergedError, LtxError, UsageError
from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.core.run import History, Metrics
from ltx.core.state import State
from ltx.testing.harness import generators, require

MakeLab = Callable[..., Lab]


def sparse(lab: Lab, density: float = 0.3) -> Mask:
    """A mask with about this density, the same for each seed."""
    dense = lab.dense()
    return Mask({n: lab.rng("sparse", n).random(keep.shape) < density for n, keep in dense.items()})


def trained(lab: Lab, share: float = 0.35) -> State:
    """The dense network after this share of the training."""
    return lab.train(lab.init(), lab.dense(), f"{round(share * lab.steps())}it").state


def evaluated_steps(lab: Lab) -> tuple[int, ...]:
    """The steps that the curve of a whole training has."""
    every, end = lab.steps(lab.task.recipe.eval_every), lab.steps()
    return tuple(sorted({*range(every, end + 1, every), end}))


@contextlib.contextmanager
def refused(what: str, word: str, expected: type[LtxError] = UsageError) -> Iterator[None]:
    """Fail the check unless the block raises the expected error with `word` in its text."""
    name = expected.__name__
    try:
        yield
    except expected as error:
        require(word in str(error), f"{what}: refused without naming {word!r}: {error}")
        return
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}, expected {name}") from error
    raise AssertionError(f"{what}: accepted, expected {name}")


def check_same_seed(make_lab: MakeLab) -> None:
    """Two labs of one seed have one fingerprint and train to the same bytes and curve."""
    labs = [make_lab(seed=1) for _ in range(2)]
    one, two = (lab.train(lab.init(), sparse(lab)) for lab in labs)
    require(one == two, "two trainings from one seed and stream differ")
    require(labs[0].fingerprint == labs[1].fingerprint, "one task has two fingerprints")


def check_other_seed(make_lab: MakeLab) -> None:
    """Another seed or stream gives other initial weights and another order of the data."""
    lab, other = make_lab(seed=0), make_lab(seed=1)
    require(len({lab.init(), other.init(), lab.init("b")}) == 3, "inits ignore seed or stream")
    start, mask = lab.init(), lab.dense()
    ends = {
        lab.train(start, mask, "5it").state,
        lab.train(start, mask, "5it", stream="second").state,
        other.train(start, mask, "5it").state,
    }
    require(len(ends) == 3, "the order of the data ignores seed or stream")


def check_init(make_lab: MakeLab) -> None:
    """A fresh state is at step 0 and holds every weight, in its shape, head and stem."""
    lab = make_lab()
    state = lab.init()
    require(state.step == 0, f"a fresh state is at step {state.step}")
    for weight in lab.prunable:
        held = state.weights.get(weight.name)
        require(held is not None and held.shape == weight.shape, f"{weight.name}: other shape")
    require(set(lab.head) <= state.weights.keys(), "head names weights that no state has")
    require(set(lab.stem) <= state.weights.keys(), "stem names weights that no state has")
    outputs = {weight.name for weight in lab.prunable if weight.is_output}
    require(outputs <= set(lab.head), "head lacks the prunable weights of the output layer")


def check_segments(make_lab: MakeLab) -> None:
    """Training in segments, wherever it is cut, equals one run in bytes and curve."""
    lab = make_lab()
    mask, end = sparse(lab), lab.steps()
    whole = lab.train(lab.init(), mask)
    evaluated = whole.history.steps[0]
    for cuts in ((1,), (evaluated,), (7, 8, end // 2 + 3), (end - 1,), whole.history.steps[:-1]):
        state, history = lab.init(), History()
        for until in (*(f"{cut}it" for cut in cuts), None):
            run = lab.train(state, mask, until)
            state, history = run.state, history + run.history
        require(state.id == whole.state.id, f"cut at {cuts}, training ends in other bytes")
        require(history == whole.history, f"cut at {cuts}, training has another curve")


def check_curve(make_lab: MakeLab) -> None:
    """The curve has every `Recipe.eval_every` and the end, where it equals an evaluation."""
    lab = make_lab()
    mask, end = lab.dense(), lab.steps()
    run = lab.train(lab.init(), mask)
    expected = evaluated_steps(lab)
    require(run.history.steps == expected, f"steps {run.history.steps}, expected {expected}")
    require(run.state.step == end, f"ends at step {run.state.step}, expected {end}")
    last = lab.evaluate(run.state, mask)
    same = run.history.last == Metrics(last.loss, last.value)
    require(same, "its last point is no evaluation")
    before = lab.evaluate(lab.init(), mask)
    require(run.history.last.loss < before.loss, "training does not lower the validation loss")


def check_pruned_weights(make_lab: MakeLab) -> None:
    """Pruned weights are exactly zero at every step, even with momentum from dense training."""
    lab = make_lab()
    mask, warm = sparse(lab), trained(lab)
    for start in (lab.init(), warm):
        for until in (start.step, start.step + 1, start.step + 13, lab.steps()):
            state = lab.train(start, mask, f"{until}it").state
            for name, keep in mask.items():
                array = state.weights[name]
                require(not array[~keep].any(), f"step {until}: {name} has pruned weights")
                require(array[keep].any(), f"step {until}: {name} lost its survivors as well")


def check_pruned_values(make_lab: MakeLab) -> None:
    """The values of pruned weights, and of their slots, change no training or evaluation."""
    lab = make_lab()
    mask, state = sparse(lab), trained(lab)
    until = f"{state.step + 20}it"
    same = lab.train(state, mask, until) == lab.train(state.masked(mask), mask, until)
    require(same, "a training depends on pruned values")
    same = lab.evaluate(state, mask) == lab.evaluate(state.masked(mask), mask)
    require(same, "an evaluation depends on pruned values")


def check_one_weight(make_lab: MakeLab) -> None:
    """A mask that keeps a single weight can be trained."""
    lab = make_lab()
    arrays = {name: np.zeros(keep.shape, np.bool_) for name, keep in lab.dense().items()}
    arrays[lab.prunable[0].name].flat[0] = True
    state = lab.train(lab.init(), Mask(arrays), "5it").state
    for name, keep in arrays.items():
        require(not state.weights[name][~keep].any(), f"{name} has pruned weights")


def check_fresh_optimizer(make_lab: MakeLab) -> None:
    """A state without slots trains with a fresh optimizer."""
    lab = make_lab()
    mask, state = lab.dense(), trained(lab)
    until = f"{state.step + 10}it"
    fresh = lab.train(state.replace(slots={}), mask, until)
    require(fresh == lab.train(state.replace(slots={}), mask, until), "two fresh starts differ")
    if any(slot.any() for slot in state.slots.values()):
        require(fresh.state != lab.train(state, mask, until).state, "slots make no difference")


def check_sealed(make_lab: MakeLab) -> None:
    """A sealed lab and its siblings refuse the test split; an unsealed one evaluates it."""
    lab = make_lab()
    state, mask = lab.init(), lab.dense()
    for sealed in (lab, lab.on(data=lab.task.data)):
        with refused("the test split", "test split"):
            sealed.evaluate(state, mask, "test")
        with refused("to be unsealed", "stays"):
            sealed.sealed = False
    require(make_lab(sealed=False).evaluate(state, mask, "test").loss > 0, "the test loss is 0")


def check_splits(make_lab: MakeLab) -> None:
    """Train, validation and test differ; other splits are refused."""
    lab = make_lab(sealed=False)
    state, mask = trained(lab, 0.5), lab.dense()
    losses = {lab.evaluate(state, mask, s).loss for s in ("train", "validation", "test")}
    require(len(losses) == 3, "two splits have the same loss")
    with refused("split 'valid'", "'valid'"):
        lab.evaluate(state, mask, "valid")


def check_purity(make_lab: MakeLab) -> None:
    """Evaluating other states, or opening siblings, changes no later result."""
    lab = make_lab()
    mask, state = sparse(lab), trained(lab)
    until = f"{state.step + 20}it"
    once, metrics = lab.train(state, mask, until), lab.evaluate(state, lab.dense())
    lab.evaluate(lab.init("other"), mask, "train")
    sibling = lab.on(recipe=dataclasses.replace(lab.task.recipe, length="5it"))
    sibling.train(sibling.init("other"), sibling.dense())
    require(lab.train(state, mask, until) == once, "a training depends on what was done before")
    require(lab.evaluate(state, lab.dense()) == metrics, "an evaluation depends on what was done")


def check_inputs(make_lab: MakeLab) -> None:
    """States and masks that a lab is given keep their bytes."""
    lab = make_lab()
    state, mask = trained(lab, 0.2), sparse(lab)
    arrays = {name: array.copy() for name, array in {**state.arrays(), **mask}.items()}
    lab.train(state, mask)
    lab.evaluate(state, mask)
    for name, array in {**state.arrays(), **mask}.items():
        require(np.array_equal(array, arrays[name]), f"{name} was changed")


def check_siblings(make_lab: MakeLab) -> None:
    """A sibling has the seed, the ledger and the weights of its lab, and its own task."""
    lab = make_lab(seed=3)
    recipe = dataclasses.replace(lab.task.recipe, length="20it")
    sibling = lab.on(recipe=recipe)
    expected = dataclasses.replace(lab.task, recipe=recipe)
    require((sibling.seed, sibling.task) == (3, expected), "other seed or task than asked for")
    require(sibling.init() == lab.init(), "other initial weights for the same model and seed")
    require(sibling.steps() == 20, f"{sibling.steps()} steps, expected 20")
    require(sibling.fingerprint != lab.fingerprint, "the fingerprint ignores the recipe")
    sibling.train(sibling.init(), sibling.dense(), "5it")
    require(lab.spent.steps == 5 == sibling.spent.steps, "the two do not share one ledger")
    with refused("a sibling with a field that no task has", "no 'dataset'"):
        lab.on(dataset="mnist")


def check_durations(make_lab: MakeLab) -> None:
    """Durations count from step 0, in steps, epochs or percent, and no training goes back."""
    lab = make_lab()
    end = lab.task.recipe.steps(lab.epoch)
    got = (lab.steps(), lab.steps("50%"), lab.steps("7it"), lab.steps("1ep"))
    require(got == (end, round(end / 2), 7, lab.epoch), f"steps of durations: {got}")
    state = lab.train(lab.init(), lab.dense(), "10%").state
    require(state.step == round(end / 10), f"10% of {end} steps ended at step {state.step}")
    with refused("training back to step 1", f"has reached step {state.step}"):
        lab.train(state, lab.dense(), "1it")
    require(lab.train(state, lab.dense(), "10%").state.step == state.step, "no steps are steps")
    require(lab.spent.steps == state.step, f"{lab.spent.steps} steps charged, not {state.step}")


def check_masks(make_lab: MakeLab) -> None:
    """A mask of other weights, or without a survivor, is refused before anything trains."""
    lab = make_lab()
    nothing = Mask({name: np.zeros(keep.shape) for name, keep in lab.dense().items()})
    for wrong in (Mask({}), nothing):
        with refused("a mask that does not fit", "mask"):
            lab.train(lab.init(), wrong)
        with refused("a mask that does not fit", "mask"):
            lab.evaluate(lab.init(), wrong)
    require(lab.spent.steps == 0, "steps were charged")


def check_generators(make_lab: MakeLab) -> None:
    """Python's and NumPy's global generators are not used; `rng` depends on seed and stream."""
    lab = make_lab()
    states = []
    for seed in (7, 8):
        random.seed(seed)
        np.random.seed(seed)
        before = generators()
        states.append(lab.train(lab.init("fresh"), lab.dense(), "5it").state)
        lab.evaluate(states[-1], lab.dense())
        after = generators()
        # A backend may use its own framework's generator; these belong to everybody.
        drew = [name for name in ("random", "numpy.random") if after[name] != before[name]]
        require(not drew, f"drew from, or seeded, {', '.join(drew)}")
        for other in ("one", "two", "three"):
            lab.init(other)  # a lab may keep its last initial states
    require(states[0] == states[1], "results depend on a global generator")
    draws = [make_lab(seed=s).rng(*stream).random() for s, *stream in ((0, "a", 1), (0, "a", 1))]
    require(draws[0] == draws[1], "one seed and stream give two draws")
    draws += [make_lab(seed=1).rng("a", 1).random(), make_lab(seed=0).rng("a", 2).random()]
    require(len(set(draws)) == 3, "another seed or stream gives the same draws")


def check_divergence(make_lab: MakeLab) -> None:
    """What is not finite raises DivergedError: in a training, a state, a curve, an evaluation."""
    lab = make_lab()
    mask, state = lab.dense(), trained(lab, 0.2)
    wild = lab.on(
        recipe=dataclasses.replace(lab.task.recipe, learning_rate=3e38, schedule="constant")
    )
    with refused("a training at learning rate 3e38", "not finite", DivergedError):
        wild.train(wild.init(), wild.dense())
    name = lab.prunable[0].name
    for value in (np.nan, np.inf):
        broken = np.array(state.weights[name])
        broken.flat[0] = value
        other = state.replace(weights={**state.weights, name: broken})
        for until in (f"{state.step}it", f"{state.step + 1}it", None):
            with refused(
                f"a training to {until or 'the end'} from a weight {value}",
                "not finite",
                DivergedError,
            ):
                lab.train(other, mask, until)
        with refused(f"an evaluation with a weight {value}", "not finite", DivergedError):
            lab.evaluate(other, mask)
    curve = History((1, 2, 3), (np.nan, 0.5, -np.inf), (0.5,) * 3)
    require(curve.early_stop == 2, "a loss that is not finite becomes an early stop")
