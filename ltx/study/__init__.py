"""From a definition to results: the loop over cells, its plan, its record and its status.

Imports: core, pruning, evaluation, store.
"""
