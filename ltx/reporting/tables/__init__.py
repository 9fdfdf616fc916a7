"""A study as tables of plain columns, for CSV and Parquet.

Imports: core, store, study, analysis.
"""
