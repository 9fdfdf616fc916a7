"""What can be read off a built tf_keras model: its layers, channels, constants and smaller
equivalents.

Imports: core, pruning.
"""
