"""What the numbers are entitled to say: paired tests, multiple testing, verdicts, transfers and
curves.

Imports: core, evaluation, store, study.
"""
