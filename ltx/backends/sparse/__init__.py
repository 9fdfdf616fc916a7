"""Training in numba at the cost of the surviving weights: networks of Dense layers, on one core.

Imports: core.
"""
