"""Variables of other dtypes than float32 are trained, stored and read back."""

from pathlib import Path

import ml_dtypes

from ltx import Recipe, Store, Task, Ticket
from ltx.backends.tf_keras.lab import KerasLab
from ltx.core.engine import Engine
from ltx.store.memo import MemoLab


def test_bfloat16_statistics_survive_the_memo_and_the_store(tmp_path: Path) -> None:
    recipe = Recipe(batch_size=30, length="8it", eval_every="4it")
    task, store = Task(model="tiny.normalized", recipe=recipe), Store(tmp_path)
    for _ in range(2):  # trained, then read
        lab = MemoLab(KerasLab(task, 0, engine=Engine(precision="bfloat16")), store)
        middle = lab.train(lab.init(), lab.dense(), "4it").state
        end = lab.train(middle, lab.dense()).state
        assert end.statistics["scale/mean"].dtype == ml_dtypes.bfloat16
        assert end == lab.inner.train(middle, lab.dense()).state
        assert lab.evaluate(end, lab.dense()).is_finite
    ticket = Ticket.of(lab, lab.dense(), middle)
    store.put_ticket(ticket, task, None, "dense")
    assert store.ticket(ticket.id).state == middle
