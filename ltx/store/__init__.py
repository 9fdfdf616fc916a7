"""What is stored, verified and looked up: atomic files, manifests, provenance, the event log,
liveness, and the memo that makes every training happen once.

Imports: core, pruning, evaluation.
"""
