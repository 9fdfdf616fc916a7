"""The checks of what a lab charges: steps, examples, FLOPs and seconds.

They take what `lab_checks` takes.
"""

from ltx.core.lab import Lab
from ltx.core.mask import Mask
from ltx.testing.harness import require
from ltx.testing.lab_checks import MakeLab, sparse


def require_spent(what: str, lab: Lab, *expected: int) -> None:
    """Require that the lab has spent these steps, examples, dense FLOPs and FLOPs."""
    got = tuple(vars(lab.spent).values())
    require(got == expected, f"{what}: spent {got}, expected {expected}")


def counts(lab: Lab, mask: Mask) -> tuple[int, int]:
    """The multiplications for one example in the dense and in the masked network."""
    kept = sum(int(mask[weight.name].sum()) * weight.uses for weight in lab.prunable)
    return sum(weight.size * weight.uses for weight in lab.prunable), kept


def check_cost(make_lab: MakeLab) -> None:
    """A training is charged 6 FLOPs a weight, use and example; an evaluation nothing."""
    lab = make_lab()
    mask = sparse(lab)
    lab.train(lab.init(), mask, "10it")
    lab.evaluate(lab.init(), mask)
    examples = 10 * lab.task.recipe.batch_size
    dense, kept = counts(lab, mask)
    require_spent("10 steps", lab, 10, examples, 6 * examples * dense, 6 * examples * kept)


def check_seconds(make_lab: MakeLab) -> None:
    """A training has its seconds, which the lab's own include; an evaluation adds none."""
    lab = make_lab()
    require(lab.seconds == 0, f"a new lab starts at {lab.seconds} seconds")
    run = lab.train(lab.init(), lab.dense(), "10it")
    seconds = lab.seconds
    require(0 < run.seconds <= seconds, f"a run of {run.seconds} s, the lab's {seconds} s")
    lab.evaluate(run.state, lab.dense())
    require(lab.seconds == seconds, "an evaluation outside a training is charged seconds")


def check_gradient_cost(make_lab: MakeLab) -> None:
    """Of a gradient's 6 FLOPs a weight, 2 are charged for pruned weights as well."""
    lab, other = make_lab(), make_lab()
    mask, examples = sparse(lab), 2 * lab.task.recipe.batch_size
    dense, kept = counts(lab, mask)
    lab.gradients(lab.init(), mask, 2)
    # Forward and back to the inputs through survivors, 4; every weight's own gradient, 2.
    flops = examples * (4 * kept + 2 * dense)
    require_spent("gradients", lab, 2, examples, 6 * examples * dense, flops)
    other.hessian_gradient(lab.init(), mask, 2)
    # Four passes as dear as a gradient; of their 24 FLOPs 4 reach every weight.
    flops = examples * (20 * kept + 4 * dense)
    require_spent("hessian_gradient", other, 8, 4 * examples, 24 * examples * dense, flops)


def check_path_cost(make_lab: MakeLab) -> None:
    """Synaptic flow and effective weights are charged one example's passes, and no step."""
    lab, other = make_lab(), make_lab()
    mask = sparse(lab)
    dense, kept = counts(lab, mask)
    lab.synaptic_flow(lab.init(), mask)
    require_spent("synaptic_flow", lab, 0, 0, 6 * dense, 4 * kept + 2 * dense)
    other.effective(mask)
    require_spent("effective", other, 0, 0, 6 * dense, 4 * kept + 2 * dense)
