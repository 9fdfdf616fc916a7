"""Data sets that come with ltx: generated, taken from a dependency, or read from Debian's files."""
