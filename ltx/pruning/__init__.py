"""What of a mask goes, in exact counts: scores, structures, allocation among layers, schedules and
learned masks.

Imports: core.
"""
