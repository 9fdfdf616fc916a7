"""A study from its definition to its results: cells, loop, listeners, plan, record, status.

Imports: core, pruning, evaluation, store.
"""
