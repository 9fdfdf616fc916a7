"""Program: every mode computes the same training; masks, noise and precision hold in each."""

import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny

import ltx
from ltx.backends.tf_keras.input_pipeline import augment, stream
from ltx.backends.tf_keras.lab import KerasLab
from ltx.backends.tf_keras.program import Program, arrays
from ltx.backends.tf_keras.programs import RecentlyUsed
from ltx.core import seal
from ltx.core.engine import Engine
from ltx.core.errors import DivergedError, GuardError, UsageError
from ltx.core.recipe import OPTIMIZERS
from ltx.data import loading, sampling
from ltx.store.memo import MemoLab, Training

SHORT = {"batch_size": 30, "length": "24it", "eval_every": "8it"}


def lab(model="tiny.dense", engine=Engine(), seed=0, **recipe):  # noqa: B008
    task = ltx.Task(model=model, recipe=ltx.Recipe(**{**SHORT, **recipe}))
    return KerasLab(task, seed, engine=engine)


def half(lab):
    """A mask that keeps about half of every weight."""
    return ltx.Mask({w.name: lab.rng("half", w.name).random(w.shape) < 0.5 for w in lab.prunable})


def difference(one, other):
    return max(np.abs(one.weights[name] - other.weights[name]).max() for name in one.weights)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_equals_masking_by_hand_and_cut_anywhere_ends_alike(optimizer):
    decay = 0.01 if optimizer == "adamw" else 0.001
    made = lab(optimizer=optimizer, weight_decay=decay, clip_norm=1.0, learning_rate=0.01)
    mask = half(made)
    whole = made.train(made.init(), mask).state
    for name, keep in mask.items():
        assert not whole.weights[name][~keep].any()
        assert (whole.weights[name][keep] != 0).mean() > 0.9
    for slot, array in whole.slots.items():
        if (weight := slot.partition(":")[2]) in mask:
            assert not array[~mask[weight]].any()
    middle = made.train(made.init(), mask, until="11it").state
    assert made.train(middle, mask).state == whole


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        ("tiny.dropout", {}),
        ("tiny.convnet", {"augment": "crop_flip", "optimizer": "nesterov", "label_smoothing": 0.1}),
        ("tiny.dense", {"schedule": "cosine", "warmup": "5it"}),
    ],
)
def test_segments_equal_one_run_with_noise_statistics_and_schedules(model, recipe):
    made = lab(model, **recipe)
    start, mask = made.init(), half(made)
    whole = made.train(start, mask)
    for cut in ("1it", "8it", "23it"):
        first = made.train(start, mask, until=cut)
        second = made.train(first.state, mask)
        assert second.state == whole.state
        assert first.history + second.history == whole.history


SCALES = ("norm_1/gamma", "norm_2/gamma")


def test_a_penalty_on_scales_pulls_each_by_its_sign_and_nothing_else_in_one_step():
    sgd = {"optimizer": "sgd", "learning_rate": 0.1, "clip_norm": 0.0}
    plain, pulled = lab("tiny.convnet", **sgd), lab("tiny.convnet", **sgd, scale_l1=0.02)
    start, mask = plain.init(), half(plain)
    signs = np.array([1, -1, 1, 1, -1, 1, 1, 0], np.float32)
    weights = {**start.weights, "norm_1/gamma": signs, "norm_2/gamma": -signs}
    start = start.replace(weights=weights)
    one, other = (made.train(start, mask, until="1it").state for made in (plain, pulled))
    for name in one.weights:
        moved = other.weights[name] - one.weights[name]
        expected = -0.1 * 0.02 * np.sign(start.weights[name]) if name in SCALES else 0 * moved
        np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_a_penalty_drives_scales_towards_zero_in_segments_as_in_one_run():
    pulled = lab("tiny.convnet", optimizer="momentum", learning_rate=0.05, scale_l1=0.1)
    plain = lab("tiny.convnet", optimizer="momentum", learning_rate=0.05)
    whole, free = (made.train(made.init(), made.dense()).state for made in (pulled, plain))
    for name in SCALES:
        assert np.abs(whole.weights[name]).sum() < 0.7 * np.abs(free.weights[name]).sum()
    first = pulled.train(pulled.init(), pulled.dense(), until="11it").state
    assert pulled.train(first, pulled.dense()).state == whole


def test_dropout_draws_anew_at_every_step_and_for_every_seed():
    made = lab("tiny.dropout", optimizer="sgd", learning_rate=0.1)
    start = made.init()
    fixed = lab("tiny.dropout", optimizer="sgd", learning_rate=0.1, seed=1)
    assert made.train(start, made.dense()).state != fixed.train(start, made.dense()).state
    generator = made._program.masked.generators[0]
    seen = set()
    for step in range(3):
        made._program.loss.seed_layers(tf.constant([0, step], tf.int32))
        seen.add(tuple(generator.state.numpy()))
    assert len(seen) == 3


def test_batch_statistics_move_in_training_and_rest_in_measuring():
    made = lab("tiny.convnet")
    start = made.init()
    trained = made.train(start, made.dense()).state
    assert all((trained.statistics[n] != start.statistics[n]).any() for n in start.statistics)
    before = made.evaluate(trained, made.dense())
    made.gradients(trained, made.dense(), batches=2)
    assert made.evaluate(trained, made.dense()) == before


@pytest.mark.parametrize("model", ["tiny.dense", "tiny.convnet"])
def test_streamed_data_train_to_the_bytes_of_resident_data(model):
    resident = lab(model, Engine(compile="graph"))
    streamed = lab(model, Engine(compile="graph", resident_mb=0))
    assert (resident._program.mode, streamed._program.mode) == ("graph-loop", "graph-stream")
    mask = half(resident)
    one, other = (made.train(made.init(), mask) for made in (resident, streamed))
    assert one.state == other.state
    np.testing.assert_allclose(one.history.loss, other.history.loss, rtol=1e-5)
    assert one.history.value == other.history.value


@pytest.mark.parametrize(
    "options",
    [
        {"corrupt": "random_labels", "subset": 0.2, "classes": (3, 5, 8)},
        {"corrupt": "shuffled_pixels", "subset": 100},
    ],
)
def test_parts_and_spoilt_data_are_the_same_resident_and_streamed(options):
    task = dataclasses.replace(lab().task, **options)
    engines = Engine(compile="graph"), Engine(compile="graph", resident_mb=0)
    one, other = (KerasLab(task, 0, engine=engine) for engine in engines)
    runs = [made.train(made.init(), half(one)) for made in (one, other)]
    assert runs[0].state == runs[1].state
    for split in ("train", "validation"):
        losses = [made.evaluate(runs[0].state, half(one), split).loss for made in (one, other)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_xla_and_graph_agree_and_the_rule_chooses_by_convolution():
    fast, plain = lab(), lab(engine=Engine(compile="graph"))
    assert (fast._program.mode, plain._program.mode) == ("xla-loop", "graph-loop")
    assert lab("tiny.convnet")._program.mode == "graph-loop"
    assert fast.fingerprint != plain.fingerprint
    mask = half(fast)
    assert (
        difference(fast.train(fast.init(), mask).state, plain.train(plain.init(), mask).state)
        < 1e-4
    )


def test_xla_with_deterministic_max_pooling_is_refused():
    with pytest.raises(UsageError, match="max pooling"):
        lab("tiny.convnet", Engine(compile="xla"))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("model", ["tiny.dense", "tiny.convnet"])
def test_half_precision_trains_masked_float32_weights(model, precision):
    made = lab(model, Engine(precision=precision))
    exact = lab(model)
    mask = half(made)
    start = made.init()
    trained = made.train(start, mask)
    assert trained.state.weights["logits/kernel"].dtype == np.float32
    assert difference(trained.state, exact.train(start, mask).state) < 0.05
    assert difference(trained.state, start.masked(mask)) > 0
    middle = made.train(start, mask, until="11it").state
    assert made.train(middle, mask).state == trained.state


def test_clipping_sees_only_surviving_gradients():
    made = lab(optimizer="sgd", learning_rate=1.0, clip_norm=1e-3, length="1it", eval_every="1it")
    start, mask = made.init(), half(made)
    moved = made.train(start, mask).state
    squares = sum(
        np.square(moved.weights[n] - start.masked(mask).weights[n]).sum() for n in moved.weights
    )
    assert np.sqrt(squares) == pytest.approx(1e-3, rel=1e-3)


def test_learning_rates_reach_the_optimizer():
    made = lab(optimizer="sgd", schedule="step", drops=("12it",), drop_factor=1e-6)
    start, mask = made.init(), made.dense()
    at_drop = made.train(start, mask, until="12it").state
    end = made.train(at_drop, mask).state
    assert difference(end, at_drop) < 1e-6 < difference(at_drop, start)


def test_divergence_names_the_weight_and_the_remedy():
    made = lab(optimizer="sgd", learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"hidden/.*not finite.*learning_rate"):
        made.train(made.init(), made.dense())


def test_the_guard_notices_a_weight_that_grew_back_and_a_mask_that_changed():
    made = lab()
    program, mask = made._program, half(made)
    rates = made.task.recipe.learning_rates(0, 2, made.epoch)
    table = sampling.batch_table(0, "order", len(program.data.train), 30, 0, 2)
    program.load(made.init(), mask)
    program.weights["hidden/kernel"].assign_add(tf.ones_like(program.weights["hidden/kernel"]))
    with pytest.raises(GuardError, match=r"hidden/kernel has .* pruned weights that are not zero"):
        program.run(table, rates, 0, np.zeros(2, np.int32), 8)
    program.load(made.init(), mask)
    program.masks["logits/kernel"].assign(tf.ones_like(program.masks["logits/kernel"]))
    with pytest.raises(GuardError, match="the mask of logits/kernel changed"):
        program.read(0)


def test_a_state_of_another_model_is_refused_by_name():
    one, other = lab(), lab("tiny.convnet")
    with pytest.raises(UsageError, match="another model or optimizer"):
        one.train(other.init(), one.dense())
    momentum = lab(optimizer="momentum")
    begun = momentum.train(momentum.init(), one.dense(), until="2it").state
    with pytest.raises(UsageError, match="another model or optimizer"):
        one.train(begun, one.dense())


def test_measuring_leaves_the_optimizer_alone_and_training_as_it_was():
    made, momentum = lab(), lab(optimizer="momentum")
    mask, program = half(made), made._program
    begun = made.train(made.init(), mask, until="4it").state
    whole = made.train(begun, mask).state
    slots = arrays(program.slots)
    assert any(array.any() for array in slots.values())
    # What another optimizer left is measured as well as anything, and trained by nobody.
    for state in (begun, momentum.train(made.init(), mask, until="2it").state):
        made.gradients(state, mask)
        made.hessian_gradient(state, mask)
        made.synaptic_flow(state, mask)
        made.recalibrated(state, mask, 1)
        assert made.evaluate(state, mask) == momentum.evaluate(state, mask)
        for name, array in arrays(program.slots).items():
            np.testing.assert_array_equal(array, slots[name])
    assert made.train(begun, mask).state == whole
    with pytest.raises(UsageError, match="another model or optimizer"):
        made.gradients(lab("tiny.convnet").init(), mask)


def test_gradients_are_those_of_finite_differences():
    made = lab()
    start, mask = made.init(), half(made)
    gradients = made.gradients(start, mask, batches=1)["logits/kernel"]
    program = made._program
    rows = sampling.batch_table(0, "gradients", len(program.data.train), 30, 0, 1)[0]
    images, labels = program.data.train.take(rows)

    def loss(state):
        program.load(state, mask)
        outputs = program.loss.outputs(program.loss.scaled(images), training=True)
        return float(tf.reduce_mean(program.loss.losses(outputs, labels)))

    keep = tuple(np.argwhere(mask["logits/kernel"])[0])
    moved = []
    for shift in (1e-2, -1e-2):
        weights = dict(start.weights)
        weights["logits/kernel"] = weights["logits/kernel"].copy()
        weights["logits/kernel"][keep] += shift
        moved.append(loss(start.replace(weights=weights)))
    assert gradients[keep] == pytest.approx((moved[0] - moved[1]) / 2e-2, abs=2e-3)


def test_augmentation_crops_and_mirrors_each_image_by_its_own_draw():
    images = np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype(np.float32)
    out = augment(tf.constant(images), "crop_flip", tf.constant([1, 2])).numpy()
    assert out.shape == images.shape
    padded = np.pad(images, [(0, 0), (4, 4), (4, 4), (0, 0)])
    crops = 0
    for one, source in zip(out, padded, strict=True):
        windows = [source[r : r + 8, c : c + 8] for r in range(9) for c in range(9)]
        found = any((one == w).all() or (one == w[:, ::-1]).all() for w in windows)
        crops += found
    assert crops == 64
    assert len({one.tobytes() for one in out}) > 60


def test_the_stream_gives_the_rows_of_the_table_in_order():
    split = loading.load("digits").train
    table = np.array([[3, 1, 4], [1, 5, 9]], np.int32)
    for rows, (images, labels) in zip(table, stream(split, table), strict=True):
        want_images, want_labels = split.take(rows)
        assert (images.numpy() == want_images).all()
        assert (labels.numpy() == want_labels).all()


def test_evaluation_counts_every_example_once(monkeypatch):
    made = lab()
    state, mask = made.init(), made.dense()
    before = made.evaluate(state, mask, "train")
    monkeypatch.setattr("ltx.backends.tf_keras.measurement.evaluator.EVAL_BATCH", 7)
    other = KerasLab(ltx.Task(model="tiny.dense", recipe=ltx.Recipe(length="99it")), 0)
    after = other.evaluate(state, mask, "train")
    assert after.value == before.value
    assert after.loss == pytest.approx(before.loss, rel=1e-5)


def test_labs_of_one_task_share_a_compiled_program():
    assert lab(seed=0)._program is lab(seed=1)._program
    assert lab()._program is not lab(learning_rate=0.5)._program


def test_the_program_that_was_not_used_longest_is_given_up(monkeypatch):
    monkeypatch.setattr("ltx.backends.tf_keras.programs._programs", RecentlyUsed(2))
    popular = lab()._program
    rare = lab(learning_rate=0.5)._program
    assert lab()._program is popular
    assert lab(learning_rate=0.25)._program is not rare
    assert lab()._program is popular
    assert lab(learning_rate=0.5)._program is not rare


def test_what_an_engine_cannot_do_is_said_before_training():
    with pytest.raises(UsageError, match="no gpu is here"):
        lab(engine=Engine(device="gpu"))
    with pytest.raises(UsageError, match="no TPU can be reached"):
        lab(engine=Engine(strategy="tpu"))


def test_a_program_holds_no_more_than_the_data_it_was_given():
    made = lab()
    assert isinstance(made._program, Program)
    assert set(made._program.resident.held) <= {"train", "validation", "test"}


@pytest.mark.slow
def test_two_mirrored_replicas_train_like_one_device():
    script = """
        import os
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import numpy as np, tensorflow as tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        half = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [half, half])
        import ltx
        from ltx.core.engine import Engine
        from ltx.core.errors import UsageError
        from ltx.backends.tf_keras.lab import KerasLab
        short = dict(length="24it", eval_every="8it", clip_norm=1.0, learning_rate=.02)
        for model in ("tiny.dense", "tiny.convnet"):
            recipe = ltx.Recipe(optimizer="momentum", batch_size=30, **short)
            task = ltx.Task(model=model, recipe=recipe)
            two = KerasLab(task, 0, engine=Engine(strategy="mirrored"))
            one = KerasLab(task, 0, engine=Engine(compile="graph"))
            assert two._program.replicas == 2
            mask = ltx.Mask({w.name: two.rng(w.name).random(w.shape) < .5 for w in two.prunable})
            a, b = (lab.train(lab.init(), mask) for lab in (one, two))
            for name, keep in mask.items():
                assert not b.state.weights[name][~keep].any()
            if model == "tiny.dense":  # BatchNorm normalises by each replica's share of the batch
                one_w, two_w = a.state.weights, b.state.weights
                gap = max(abs(one_w[n] - two_w[n]).max() for n in one_w)
                assert gap < 1e-5, gap
            c, d = (lab.recalibrated(a.state, mask, 3).statistics for lab in (one, two))
            for name in c:
                assert np.allclose(c[name], d[name], rtol=1e-4, atol=1e-5), name
            thin = ltx.Mask({n: two.rng(n, 2).random(k.shape) < .05 for n, k in mask.items()})
            assert one.effective(thin) == two.effective(thin) != thin
            middle = two.train(two.init(), mask, until="11it").state
            assert two.train(middle, mask).state == b.state
        try:
            odd = ltx.Task(model="tiny.dense", recipe=ltx.Recipe(batch_size=31, length="9it"))
            KerasLab(odd, 0, engine=Engine(strategy="mirrored"))
        except UsageError as error:
            assert "multiple of the 2 replicas" in str(error)
        else:
            raise AssertionError("an odd batch was accepted")
    """
    tests = Path(__file__).parents[2]  # where tiny.py is
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, cwd=tests, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_initial_state_that_several_finders_ask_for_is_drawn_once(monkeypatch):
    made, built, build = lab(), [], Program.build
    monkeypatch.setattr(Program, "build", lambda s, seed: built.append(seed) or build(s, seed))
    first, control = made.init("first"), made.init("control")
    assert first != control
    assert made.init("first") == first
    assert made.init("control") == control
    assert len(built) == 2
    made.init("third")
    assert made.init("first") == first
    assert len(built) == 4  # few are kept: a state is as large as its network


def test_programs_hold_no_test_data_and_a_sealed_lab_evaluates_none() -> None:
    made = lab()
    assert made._program.data.held_out is None
    whole = loading.load("digits")
    assert whole.nbytes == 1797 * 64  # the test split counts: it decides what stays on the device
    with pytest.raises(UsageError, match="test split"):
        made.run_evaluation(made.init(), made.dense(), "test")
    judge = KerasLab(made.task, 0, sealed=False)
    found = judge.evaluate(judge.init(), judge.dense(), "test")
    assert found.value * 360 == pytest.approx(round(found.value * 360))
    with seal.closed(), pytest.raises(UsageError, match="test data"):
        KerasLab(made.task, 0, sealed=False)


# Of models that ltx builds, on the data set digits on a CPU, with the version of TensorFlow fixed.
GOLDEN = {
    "lenet_300_100": ("db511db3201d3e8f", "b8e6f30d19015589"),
    "conv_2": ("c858926555b0f65d", "a7629a30e83c9b41"),
    "resnet_20": ("1fc6e0b2fda9ed34", "06234fcbeff37527"),
}


@pytest.mark.parametrize("model", GOLDEN)
def test_fingerprints_and_memo_keys_of_named_models_are_pinned(model, tmp_path, monkeypatch):
    monkeypatch.setattr("ltx.backends.tf_keras.lab.versions", lambda: {"tensorflow": "2.0"})
    made = KerasLab(ltx.Task(model=model), 0, engine=Engine(device="cpu"))
    key = MemoLab(made, ltx.Store(tmp_path))._key(Training("t", 0, "s", "m"))
    assert (made.fingerprint, key) == GOLDEN[model]


def test_code_is_part_of_the_fingerprint_of_a_model_of_the_user(monkeypatch):
    made, named = lab(), lab(model="lenet_300_100")
    before = made.fingerprint, made.origin, named.fingerprint
    assert made.origin["model"] != named.origin["model"]
    monkeypatch.setattr("ltx.backends.tf_keras.programs._programs", RecentlyUsed(2))
    monkeypatch.setattr("ltx.backends.tf_keras.program.model_code", lambda *args: "other code")
    made, named = lab(), lab(model="lenet_300_100")
    assert made.fingerprint != before[0]
    changed = {name for name in made.origin if made.origin[name] != before[1][name]}
    assert changed == {"model"}
    assert named.fingerprint == before[2]


def test_a_function_that_was_defined_again_has_a_program_of_its_own(monkeypatch):
    before = lab()
    monkeypatch.setattr(tiny, "dense", tiny.dropout)
    assert lab().fingerprint != before.fingerprint
    assert lab(model="tiny.dropout").prunable == before.prunable
