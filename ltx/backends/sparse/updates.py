"""Updates: the steps of the optimizers over the surviving parameters, by tf_keras' formulas."""

import numpy as np

from ltx.backends.sparse.rows import compiled
from ltx.core.recipe import Recipe

F32 = np.float32
MOMENTUM, NESTEROV, ADAM = 0, 1, 2
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # tf_keras' defaults, which ltx uses

# The columns of the settings of an update, float32.
KIND, FRACTION, L2, DECOUPLED, CLIP, SMOOTHING = range(6)


def settings(recipe: Recipe) -> np.ndarray:
    """The settings of a recipe's updates, float32: see the columns above.

    SGD is momentum with a fraction of 0, as in tf_keras, whose SGD has slots in either case.
    """
    kinds = {"nesterov": NESTEROV, "adam": ADAM, "adamw": ADAM}
    momentum = recipe.momentum if recipe.optimizer in ("momentum", "nesterov") else 0.0
    decoupled = recipe.optimizer == "adamw"
    decay = recipe.weight_decay
    return np.array(
        [
            kinds.get(recipe.optimizer, MOMENTUM),
            momentum,
            0 if decoupled else decay,
            decay if decoupled else 0,
            recipe.clip_norm,
            recipe.label_smoothing,
        ],
        np.float32,
    )


def slot_names(recipe: Recipe) -> tuple[str, ...]:
    """The slots of a recipe's optimizer, as tf_keras names them, in the order of `update`."""
    adaptive = recipe.optimizer in ("adam", "adamw")
    return ("momentums", "velocities") if adaptive else ("momentums",)


def corrected(rates: np.ndarray, done: int, optimizer: str) -> np.ndarray:
    """The rates of steps after `done` updates, with Adam's bias correction, in float32."""
    if optimizer not in ("adam", "adamw"):
        return rates
    one, count = F32(1), np.arange(done + 1, done + 1 + len(rates)).astype(np.float32)
    first, second = np.power(F32(BETA_1), count), np.power(F32(BETA_2), count)
    result: np.ndarray = rates * np.sqrt(one - second) / (one - first)
    return result


@compiled
def regularise(values, gradients, weights, settings):  # type: ignore[no-untyped-def]
    """Add L2 to the gradients of the first `weights` parameters, and bound the norm of all."""
    decay, clip = settings[L2], settings[CLIP]
    if decay > F32(0):
        for k in range(weights):
            gradients[k] += decay * values[k]
    if clip > F32(0):
        total = 0.0
        for k in range(gradients.shape[0]):
            total += np.float64(gradients[k]) * np.float64(gradients[k])
        norm = F32(np.sqrt(total))
        # A norm that is not finite makes all gradients so, and the training ends as diverged.
        scale = clip * min(F32(1) / norm, F32(1) / clip) if norm < F32(np.inf) else F32(np.nan)
        for k in range(gradients.shape[0]):
            gradients[k] *= scale


@compiled
def update(values, gradients, momentums, velocities, weights, rates, settings):  # type: ignore[no-untyped-def]
    """One step of all parameters, by the rate and the rate with Adam's bias correction.

    The first `weights` parameters decay where the decay is decoupled.
    """
    rate, alpha = rates
    fraction, decay = settings[FRACTION], settings[DECOUPLED]
    if settings[KIND] == F32(ADAM):
        if decay > F32(0):
            for k in range(weights):
                values[k] -= values[k] * decay * rate
        _adam(values, gradients, momentums, velocities, alpha)
        return
    nesterov = settings[KIND] == F32(NESTEROV)
    for k in range(values.shape[0]):
        step = gradients[k] * rate
        momentums[k] = momentums[k] * fraction - step
        values[k] += momentums[k] * fraction - step if nesterov else momentums[k]


@compiled
def _adam(values, gradients, momentums, velocities, alpha):  # type: ignore[no-untyped-def]
    for k in range(values.shape[0]):
        gradient = gradients[k]
        momentum = momentums[k] + (gradient - momentums[k]) * F32(1 - BETA_1)
        velocity = velocities[k] + (gradient * gradient - velocities[k]) * F32(1 - BETA_2)
        momentums[k], velocities[k] = momentum, velocity
        values[k] -= momentum * alpha / (np.sqrt(velocity) + F32(EPSILON))
