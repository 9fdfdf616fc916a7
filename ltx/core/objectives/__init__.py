"""How outputs and targets become a loss and a metric, for any array library.

Imports: no other room.
"""
