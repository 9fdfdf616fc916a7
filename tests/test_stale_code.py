"""Stale code: nothing that old code computed passes for what the code of today gives.

Each run is a process of its own, which imports a user's model and finder from files.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ltx import Store
from ltx.store.event_log import Trained

pytestmark = pytest.mark.slow

FILES = {
    "my_net/__init__.py": "",
    "my_net/layers.py": """
        import tensorflow as tf
        import tf_keras

        class Scaled(tf_keras.layers.Layer):
            def call(self, x):
                return x * 1.0
        """,
    "my_net/models.py": """
        import tensorflow as tf
        import tf_keras
        from my_net.layers import Scaled

        class Net(tf_keras.Model):
            def __init__(self, classes):
                super().__init__()
                self.flat, self.scaled = tf_keras.layers.Flatten(), Scaled()
                self.body = tf_keras.layers.Dense(8, name="body")
                self.head = tf_keras.layers.Dense(classes, name="head")

            def call(self, x):
                return self.head(tf.nn.relu(self.scaled(self.body(self.flat(x)))))

        def net(input_shape, classes):
            return Net(classes)
        """,
    "my_finder/__init__.py": """
        import dataclasses
        import numpy as np
        import ltx

        @dataclasses.dataclass(frozen=True)
        class Mine(ltx.Finder):
            def find(self, lab):
                ticket = ltx.Ticket.of(lab, lab.dense(), lab.init())
                yield ticket
                trained = lab.train(ticket.state, ticket.mask).state
                rng = lab.rng("mask")
                keep = {w.name: rng.random(w.shape) < 0.5 for w in lab.prunable}
                yield ticket.child(lab, ltx.Mask(keep))
        """,
}
RUN = """
import json, sys
import ltx
from my_finder import Mine

recipe = ltx.Recipe(batch_size=50, length="20it", eval_every="20it")
task = ltx.Task(model=sys.argv[1], recipe=recipe)
found = ltx.run(ltx.Study({"mine": Mine()}, tasks=(task,), seeds=1), store="store")
rows = found.record.rows
print(json.dumps({
    "study": found.id,
    "tickets": [row.trial.ticket for row in rows],
    "trials": [row.trial.id for row in rows],
    "losses": [row.trial.test.loss for row in rows],
}))
"""


class Runs:
    """Runs of one study over one store, between which files are edited."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder, self.model, self.stderr = folder, model, ""
        for name, text in FILES.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n".join(line[8:] for line in text.splitlines()) + "\n")

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def run(self) -> dict[str, list]:
        result = subprocess.run(
            [sys.executable, "-B", "-c", RUN, self.model],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            check=False,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        self.stderr = result.stderr
        return json.loads(result.stdout.splitlines()[-1])

    @property
    def steps(self) -> int:
        """The steps trained so far, by all runs."""
        events = Store(self.folder / "store").events()
        return sum(event.steps for event in events if isinstance(event, Trained))

    @property
    def superseded(self) -> dict[str, str]:
        manifests = Store(self.folder / "store").manifests()
        return {m["id"]: m["superseded"] for m in manifests if m.get("superseded")}


def test_an_edited_model_is_trained_again_and_a_comment_changes_nothing(tmp_path: Path) -> None:
    runs = Runs(tmp_path, "my_net.models.net")
    first, steps = runs.run(), runs.steps
    runs.edit("my_net/models.py", "import tf_keras\n", "import tf_keras  # the framework\n")
    assert runs.run() == first
    assert runs.steps == steps
    before = first
    edits = [("models.py", "tf.nn.relu", "tf.nn.sigmoid"), ("layers.py", "x * 1.0", "x * 3.0")]
    for count, (name, old, new) in enumerate(edits, 2):
        runs.edit(f"my_net/{name}", old, new)
        edited = runs.run()
        assert runs.steps == count * steps
        assert set(before["trials"]).isdisjoint(edited["trials"])
        pairs = zip(before["losses"], edited["losses"], strict=True)
        assert all(one != two for one, two in pairs)
        # Masks and initial weights depend on neither, so the tickets are the same.
        assert edited["tickets"] == first["tickets"]
        before = edited
    for name, old, new in edits:
        runs.edit(f"my_net/{name}", new, old)
    assert runs.run() == first
    assert runs.steps == 3 * steps


def test_a_finder_whose_code_changed_supersedes_its_tickets(tmp_path: Path) -> None:
    runs = Runs(tmp_path, "lenet_300_100")
    first, steps = runs.run(), runs.steps
    runs.edit("my_finder/__init__.py", "< 0.5", "< 0.4")
    second = runs.run()
    # The dense training is the one of before; only the new ticket's trial is trained.
    assert runs.steps == steps + 20
    assert first["tickets"][0] == second["tickets"][0]
    old, new = first["tickets"][1], second["tickets"][1]
    assert old != new
    text = runs.superseded[old]
    assert text.startswith(f"by {new}: the code of my_finder changed from sha256-")
    assert runs.superseded.keys() == {old}
    [line] = [line for line in runs.stderr.splitlines() if "superseded" in line]
    assert f"mine on digits/lenet_300_100, seed 0, level 1: ticket {old} is superseded" in line
    assert second["study"] == first["study"]


def test_a_finder_that_draws_from_numpy_is_said_to_be_random(tmp_path: Path) -> None:
    runs = Runs(tmp_path, "lenet_300_100")
    runs.edit("my_finder/__init__.py", 'lab.rng("mask")', "np.random")
    first, second = runs.run(), runs.run()
    old, new = first["tickets"][1], second["tickets"][1]
    assert runs.superseded.keys() == {old}
    assert runs.superseded[old].startswith(f"by {new}: same code: the finder is not deterministic")
    assert "it draws from something outside lab" in runs.stderr
