"""How results are shown: the page, tables, figures and TensorBoard.

Imports: core, evaluation, store, study, analysis.
"""
