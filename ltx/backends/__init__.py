"""The engines behind the Lab contract, one folder each.

Imports: core, pruning, data.
"""
