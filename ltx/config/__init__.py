"""gin files and the plugin registry; the only importers of gin.

Imports: core, pruning, evaluation, data, backends, study.
"""
