"""What is measured of a loaded model: metrics, derivatives, BatchNorm statistics, signal paths.

Imports: core, data.
"""
