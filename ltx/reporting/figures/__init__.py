"""The figures of a report, drawn with matplotlib.

Imports: core, evaluation, store, study, analysis.
"""
