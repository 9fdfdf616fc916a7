"""Flags, commands and progress: the only room that knows all others.

Imports: every room.
"""
