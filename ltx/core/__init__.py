"""The vocabulary of ltx: values, the contracts of Lab and Finder, identity, validation and errors;
no framework, no disk.

Imports: no other room.
"""
