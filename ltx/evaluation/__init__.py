"""What is measured of one ticket: its trial, effective sparsity, mask overlap, control checks and
linear mode connectivity.

Imports: core, pruning.
"""
