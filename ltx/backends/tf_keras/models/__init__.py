"""The models that are built by name, and those of the user by dotted path.

Imports: core.
"""
