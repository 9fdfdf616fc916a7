"""Masking: TF-MOT's wrappers mask every kind of layer, share its variables and report coverage."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_kinds import KINDS, Prunable, Scaled, Subclassed, around

from ltx import NofM, PolynomialDecay
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.models import builder
from ltx.backends.tf_keras.tfmot import FixedMask, PruneLowMagnitude, step_callback
from ltx.core.errors import UsageError

import tensorflow as tf  # isort: skip
import tensorflow_model_optimization as tfmot  # isort: skip
import tf_keras  # isort: skip

L = tf_keras.layers


GRAPH = [kind for kind in KINDS if kind not in ("bidirectional", "time distributed", "composite")]


@pytest.fixture(autouse=True)
def _fresh_names():
    tf_keras.backend.reset_uids()


def random_masks(masked, seed=0, density=0.5):
    rng = np.random.default_rng(seed)
    return {weight.name: rng.random(weight.shape) < density for weight in masked.prunable}


def inputs(model, count=4):
    shape = [size or count for size in model.input_shape]
    values = np.random.default_rng(1).random(shape).astype("float32")
    return (values * 9).astype("int32") if model.inputs[0].dtype == tf.int32 else values


def assert_masked(masked, masks):
    for name, mask in masks.items():
        values = masked.weights[name].numpy()
        assert not values[~mask].any(), name
        assert mask.size == 0 or values[mask].any() or not mask.any(), name


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer(kind):
    make, expected, category = KINDS[kind]
    masked = MaskedModel(make())
    found = {weight.name: weight for weight in masked.prunable}
    calls = 2 if kind == "shared" else 1
    assert {name: found[name].uses for name in expected} == {
        name: calls * uses for name, uses in expected.items()
    }
    assert {found[name].kind for name in expected} <= {category}
    assert set(found) == {*expected, "logits/kernel"}
    assert [weight.name for weight in masked.prunable if weight.is_output] == ["logits/kernel"]
    assert masked.has_convolution is (category == "conv")
    assert masked.unprunable == {}
    for weight in masked.prunable:
        assert tuple(masked.masks[weight.name].shape) == weight.shape
        assert masked.masks[weight.name].dtype == tf.float32
    assert len(masked.weights) == len(masked.model.trainable_variables)
    assert len(masked.statistics) == len(masked.model.non_trainable_variables)

    masks = random_masks(masked)
    masked.set_masks(masks)
    masked.apply()
    assert_masked(masked, masks)
    assert all(np.array_equal(masked.get_masks()[name], masks[name]) for name in masks)


@pytest.mark.parametrize("kind", GRAPH)
def test_wrapped_model_computes_what_the_bare_one_does(kind):
    model = KINDS[kind][0]()
    masked = MaskedModel(model)
    masked.set_masks(random_masks(masked))
    x = inputs(model)
    # The wrapped model masks the shared variables itself: no apply() before it.
    wrapped = masked.wrapped()
    got = wrapped(x, training=False).numpy()
    assert np.array_equal(got, model(x, training=False).numpy())
    assert_masked(masked, random_masks(masked))
    # TF-MOT's own assertion on the step count must not need a callback.
    assert np.isfinite(wrapped(x, training=True).numpy()).all()


@pytest.mark.parametrize(
    "name", ["lenet_300_100", "conv_2", pytest.param("resnet_20", marks=pytest.mark.slow)]
)
def test_fit_on_the_wrapped_model_keeps_masks_and_zeros(name):
    model = builder.build(name, (8, 8, 3), 3)
    masked = MaskedModel(model)
    masks = random_masks(masked)
    masked.set_masks(masks)
    before = {key: variable.numpy() for key, variable in masked.weights.items()}
    wrapped = masked.wrapped()
    wrapped.compile("adam", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.random.default_rng(0).random((16, 8, 8, 3)), np.arange(16) % 3
    callbacks = [step_callback()]
    wrapped.fit(x, y, batch_size=8, epochs=2, callbacks=callbacks, verbose=0)
    assert all(np.array_equal(masked.get_masks()[key], masks[key]) for key in masks)
    assert_masked(masked, masks)
    assert all((masked.weights[key].numpy() != before[key]).any() for key in masks)


def groups_of(masked):
    """2 of 4 by TF-MOT's own hand, and the schedule that asked for it."""
    schedule = PolynomialDecay(0.5, begin=0, end=1, structure=NofM(2, 4))
    return masked.scheduled(schedule, 0)


def fit(wrapped, classes):
    x = inputs(wrapped, 16)
    y = np.arange(16) % classes
    wrapped.compile("sgd", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    wrapped.fit(x, y, batch_size=8, epochs=2, callbacks=[step_callback()], verbose=0)


@pytest.mark.parametrize("name", ["lenet_300_100", "conv_2"])
def test_a_saved_wrapped_model_comes_back_with_its_groups_and_keeps_them(name, tmp_path):
    """TF-MOT's config forgets sparsity_m_by_n; here the mask is an array, the schedule fixed."""
    masked = MaskedModel(builder.build(name, (8, 8, 4), 4))
    masks = groups_of(masked)
    masked.set_masks(masks)
    wrapped = masked.wrapped()
    x = inputs(wrapped)
    expected = wrapped(x, training=False).numpy()
    wrapped.save(tmp_path / "wrapped.keras")
    with tfmot.sparsity.keras.prune_scope():
        loaded = tf_keras.models.load_model(tmp_path / "wrapped.keras")
    assert np.array_equal(loaded(x, training=False).numpy(), expected)
    before = {layer.name: layer.get_weights() for layer in loaded.layers}
    fit(loaded, 4)
    held = [layer for layer in loaded.layers if getattr(layer, "pruning_vars", None)]
    assert len(held) == len(masks)
    for layer in held:
        weight, mask, _ = layer.pruning_vars[0]
        assert np.array_equal(mask.numpy() != 0, masks[f"{layer.layer.name}/kernel"])
        assert not weight.numpy()[mask.numpy() == 0].any()
        assert (weight.numpy() != before[layer.name][0]).any()
    # Its variables are its own: what it learned is not in the model that was saved.
    assert np.array_equal(wrapped(x, training=False).numpy(), expected)


def test_what_tfmot_would_have_lost(tmp_path):
    """The reason for the test above: its own wrapper comes back without its groups."""
    options = {"sparsity_m_by_n": (2, 4)}
    base = tf_keras.Sequential([L.Input((8,)), L.Dense(4, name="dense")])
    theirs = tfmot.sparsity.keras.prune_low_magnitude(base, **options)
    theirs.save(tmp_path / "theirs.keras")
    with tfmot.sparsity.keras.prune_scope():
        loaded = tf_keras.models.load_model(tmp_path / "theirs.keras")
    assert theirs.layers[-1].sparsity_m_by_n == (2, 4)
    assert loaded.layers[-1].sparsity_m_by_n is None


def test_a_clone_of_a_wrapped_model_is_fresh_and_takes_masks_with_weights():
    """A clone has neither weights nor masks of its model, as Keras has it; both are set at once."""
    masked = MaskedModel(builder.build("lenet_300_100", (8, 8, 4), 4))
    masks = groups_of(masked)
    masked.set_masks(masks)
    wrapped = masked.wrapped()
    x = inputs(wrapped)
    expected = wrapped(x, training=False).numpy()
    clone = tf_keras.models.clone_model(wrapped)
    held = [layer for layer in clone.layers if getattr(layer, "pruning_vars", None)]
    assert all(layer.pruning_vars[0][1].numpy().all() for layer in held)
    clone.set_weights(wrapped.get_weights())
    assert np.array_equal(clone(x, training=False).numpy(), expected)
    fit(clone, 4)
    for layer in held:
        weight, mask, _ = layer.pruning_vars[0]
        assert np.array_equal(mask.numpy() != 0, masks[f"{layer.layer.name}/kernel"])
        assert not weight.numpy()[mask.numpy() == 0].any()


def test_a_scheduled_mask_leaves_the_masks_in_force_alone():
    masked = MaskedModel(builder.build("conv_2", (8, 8, 4), 4))
    masks = random_masks(masked)
    masked.set_masks(masks)
    before = {name: variable.numpy() for name, variable in masked.weights.items()}
    made = masked.scheduled(PolynomialDecay(0.1, begin=0, end=10, every=10), 10)
    assert {n: k.shape for n, k in made.items()} == {w.name: w.shape for w in masked.prunable}
    for name, keep in made.items():
        assert keep.sum() == round(0.1 * keep.size)
        assert np.array_equal(masked.get_masks()[name], masks[name])
    for name, variable in masked.weights.items():
        assert np.array_equal(variable.numpy(), before[name])


@pytest.mark.parametrize("kind", ["bidirectional", "time distributed", "composite"])
def test_wrapped_refuses_what_clone_model_cannot_reach(kind):
    with pytest.raises(UsageError, match=r"inner layers .+; use apply\(\)"):
        MaskedModel(KINDS[kind][0]()).wrapped()


@pytest.mark.parametrize("jit", [False, True])
def test_apply_inside_a_compiled_loop(jit):
    masked = MaskedModel(builder.build("lenet_300_100", (4, 4, 1), 3))
    masks = random_masks(masked)
    masked.set_masks(masks)

    @tf.function(jit_compile=jit)
    def loop():
        for _ in tf.range(2):
            for variable in masked.weights.values():
                variable.assign_add(tf.ones(variable.shape))
        masked.apply()

    loop()
    assert_masked(masked, masks)
    # Masks are read when the program runs: one compilation serves every mask.
    other = random_masks(masked, seed=1)
    masked.set_masks(other)
    loop()
    assert_masked(masked, other)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), density=st.floats(0, 1))
def test_masks_come_back_as_set_and_apply_changes_nothing_else(seed, density):
    masked = small()
    for variable in masked.weights.values():
        variable.assign(tf.ones(variable.shape) * 3)
    masks = random_masks(masked, seed, density)
    masked.set_masks(masks)
    masked.apply()
    assert all(np.array_equal(masked.get_masks()[name], masks[name]) for name in masks)
    for name, variable in masked.weights.items():
        assert np.array_equal(variable.numpy(), 3 * masks.get(name, np.ones(variable.shape)))


SMALL: list[MaskedModel] = []


def small():
    if not SMALL:
        SMALL.append(MaskedModel(builder.build("lenet_300_100", (2, 2, 1), 3)))
    return SMALL[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.pop("logits/kernel"), "missing logits/kernel; not prunable here none"),
        (lambda m: m.update({"logits/bias": np.ones(3)}), "not prunable here logits/bias"),
        (lambda m: m.update({"logits/kernel": np.ones((3, 100))}), "expected shape (100, 3)"),
        (lambda m: m.update({"logits/kernel": np.full((100, 3), 0.5)}), "expected only 0 and 1"),
    ],
)
def test_masks_that_do_not_fit_are_refused_whole(change, text):
    masked = small()
    masked.set_masks(random_masks(masked))
    before = masked.get_masks()
    masks = {name: ~mask for name, mask in before.items()}
    change(masks)
    with pytest.raises(UsageError) as caught:
        masked.set_masks(masks)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert all(np.array_equal(masked.get_masks()[name], before[name]) for name in before)


def test_variables_are_the_models_own_in_model_order():
    model = builder.build("resnet_20", (8, 8, 3), 10)
    masked = MaskedModel(model)
    assert all(
        a is b for a, b in zip(masked.weights.values(), model.trainable_variables, strict=True)
    )
    assert list(masked.masks) == [name for name in masked.weights if name in masked.masks]
    assert next(iter(masked.masks)) == "conv/kernel"
    assert list(masked.masks)[-1] == "logits/kernel"
    assert set(masked.statistics) == {
        name.replace("gamma", statistic)
        for name in masked.weights
        if name.endswith("gamma")
        for statistic in ("moving_mean", "moving_variance")
    }
    assert sum(weight.size for weight in masked.prunable) == 270_896
    assert masked.coverage().startswith("99.4% of 272,")
    assert all(variable.trainable is False for variable in masked.masks.values())


def test_subclassed_model():
    model = Subclassed()
    model.build((None, 8, 8, 1))
    masked = MaskedModel(model)
    assert {w.name: (w.uses, w.kind) for w in masked.prunable} == {
        "c/kernel": (16, "conv"),
        "d/depthwise_kernel": (4, "conv"),
        "head/kernel": (1, "dense"),
    }
    assert [w.name for w in masked.prunable if w.is_output] == ["head/kernel"]
    assert set(masked.statistics) == {"norm/moving_mean", "norm/moving_variance"}
    assert "shift" in masked.weights
    masked.set_masks(random_masks(masked))
    masked.apply()
    assert_masked(masked, random_masks(masked))
    with pytest.raises(UsageError, match="functional or Sequential"):
        masked.wrapped()


def test_what_no_wrapper_takes_is_reported_with_its_share():
    masked = MaskedModel(around(Scaled(name="x"), (5,)))
    assert masked.unprunable == {"x/kernel": 15}
    total = 15 + 3 + 6 + 2
    assert [weight.name for weight in masked.prunable] == ["logits/kernel"]
    assert f"{6 / total:.1%} of {total} trainable" in masked.coverage()
    assert f"x/kernel ({15 / total:.1%})" in masked.coverage()
    assert masked.coverage().count("\n") == 0


def test_a_tied_weight_has_one_name_and_one_mask():
    class Tied(Prunable):
        def build(self, shape):
            self.kernel, self.scale = first.kernel, first.scale

    first = Prunable(name="first")
    first.build((None, 3))
    x = tf_keras.Input((3,))
    model = tf_keras.Model(x, Tied(name="second")(first(first(x))))
    masked = MaskedModel(model)
    assert len(masked.prunable) == len(masked.masks) == 1
    masked.set_masks(random_masks(masked))
    masked.apply()
    assert_masked(masked, random_masks(masked))


def test_the_schedule_survives_a_round_trip_through_its_config():
    masked = MaskedModel(builder.build("lenet_300_100", (2, 2, 1), 3))
    for layer in masked.wrapped().layers:
        if isinstance(layer, PruneLowMagnitude):
            copy = PruneLowMagnitude.from_config(layer.get_config())
            assert isinstance(copy.pruning_schedule, FixedMask)
            return
    pytest.fail("no layer was wrapped")


def test_mixed_precision_masks_are_float32_and_honoured():
    model = builder.build("conv_2", (4, 4, 1), 3, precision="bfloat16")
    masked = MaskedModel(model)
    assert {mask.dtype for mask in masked.masks.values()} == {tf.float32}
    masked.set_masks(random_masks(masked))
    x = inputs(model)
    got = masked.wrapped()(x, training=False)
    assert got.dtype == tf.float32
    assert np.array_equal(got, model(x, training=False))
    assert_masked(masked, random_masks(masked))


def test_an_unbuilt_or_foreign_model_is_refused():
    with pytest.raises(UsageError, match=r"got Sequential \(built: False\)"):
        MaskedModel(tf_keras.Sequential([L.Dense(2)]))
    with pytest.raises(UsageError, match="expects a built tf_keras model, got Dense"):
        MaskedModel(L.Dense(2))


MIRRORED = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from ltx.backends.tf_keras.masking import MaskedModel
from ltx.backends.tf_keras.models import builder
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = builder.build("resnet_20", (8, 8, 1), 3)
masked = MaskedModel(model)
masks = {w.name: np.random.default_rng(0).random(w.shape) < 0.5 for w in masked.prunable}
masked.set_masks(masks)

def bump():
    for variable in model.trainable_variables:
        variable.assign_add(tf.ones(variable.shape))

def check():
    for name, mask in masks.items():
        for copy in strategy.experimental_local_results(masked.weights[name]):
            assert not copy.numpy()[~mask].any() and copy.numpy()[mask].any(), name
        assert len(strategy.experimental_local_results(masked.masks[name])) == 2

@tf.function
def step():
    def replica():
        bump()
        masked.apply()
    strategy.run(replica)

step()
check()
with strategy.scope():
    bump()
masked.apply()
check()
assert all((masked.get_masks()[name] == masks[name]).all() for name in masks)
print("honoured")
"""


@pytest.mark.slow
def test_under_a_mirrored_strategy_on_two_devices():
    command = [sys.executable, "-c", MIRRORED]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout.split()[-1:] == ["honoured"], run.stderr[-2000:]


def test_sizes_agree_with_the_variables():
    masked = small()
    for weight in masked.prunable:
        assert weight.size == math.prod(masked.weights[weight.name].shape)
