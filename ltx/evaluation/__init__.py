"""What is measured of one ticket: its trial, effective sparsity, instability and the linear mode
connectivity behind it, mask overlap, and whether a control is one.

Imports: core, pruning.
"""
