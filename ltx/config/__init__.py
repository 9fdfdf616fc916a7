"""gin files and the plugin registry; the only importers of gin.

Imports: core, pruning, evaluation, backends, study.
"""
