"""Devices: which devices of this machine an engine runs on, singly or as replicas."""

import functools

import tensorflow as tf

from ltx.core.engine import Engine
from ltx.core.errors import UsageError


def devices() -> list[tuple[str, str]]:
    """The kind and the name of every device that TensorFlow can use."""
    rows = []
    for device in tf.config.list_physical_devices():
        details = tf.config.experimental.get_device_details(device)
        rows.append((device.device_type, details.get("device_name", device.name)))
    tf.config.list_logical_devices()
    return rows


def kind(engine: Engine) -> str:
    """The kind of device that programs run on, CPU or GPU."""
    if engine.device == "auto":
        return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    kind = engine.device.upper()
    if not tf.config.list_logical_devices(kind):
        raise UsageError(
            f"Engine.device: no {engine.device} is here; `ltx doctor` lists what TensorFlow sees"
        )
    return kind


@functools.cache
def strategy(engine: Engine) -> tf.distribute.Strategy | None:
    """The distribution strategy of an engine; None for one device.

    One object per process: collective operations of several would interfere.
    """
    if engine.strategy == "mirrored":
        devices = tf.config.list_logical_devices(kind(engine))
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if engine.strategy == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect("")
        except ValueError as error:
            raise UsageError(f"Engine.strategy: no TPU can be reached: {error}") from error
        return tf.distribute.TPUStrategy(resolver)
    return None


def use_xla(engine: Engine, convolves: bool, pools: bool) -> bool:
    """Whether XLA compiles whole training loops; UsageError where it cannot but must."""
    unsupported = pools and engine.deterministic
    if engine.compile == "xla":
        if unsupported:
            raise UsageError(
                "Engine.compile: XLA has no deterministic gradient of max pooling; set"
                " Engine.deterministic = False or Engine.compile = 'graph'"
            )
        if engine.strategy == "mirrored":
            raise UsageError("Engine.compile: XLA cannot compile mirrored replicas; use 'graph'")
        return True
    if engine.compile == "graph" or engine.strategy != "one" or unsupported:
        return False
    # On a CPU XLA makes convolutions inside a loop a hundred times slower than the graph does.
    return not (convolves and kind(engine) == "CPU")
