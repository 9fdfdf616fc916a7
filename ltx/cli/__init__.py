"""Flags, commands, progress, trackers and `ltx.run`: the only room that knows all others.

Imports: every room.
"""
