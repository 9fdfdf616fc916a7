"""Data sets as arrays, and which examples a training sees in which order.

Imports: core.
"""
