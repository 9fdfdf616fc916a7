"""The models that ltx builds by name, and those of the user by dotted path.

Imports: core.
"""
