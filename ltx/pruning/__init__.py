"""From scores to masks, in exact counts: scores, structures, allocation among layers, schedules and
learned masks.

Imports: core.
"""
