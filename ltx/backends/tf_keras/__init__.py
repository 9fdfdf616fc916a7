"""The engine on tf_keras and TF-MOT: compiled training of masked models.

Imports: core, pruning, data.
"""

from ltx.core import environment

environment.prepare_tensorflow()
