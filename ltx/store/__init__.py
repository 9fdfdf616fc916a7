"""What is kept, checked and found again: atomic files, manifests, provenance, the event log,
liveness and the memo.

Imports: core, pruning, evaluation.
"""
