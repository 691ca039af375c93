"""Loaders: one package per source, turning source bytes into raw segments of the lake.

A loader reads a source, checks it and lands it. It knows nothing of models, and it reaches the lake
only through `ticklake.lake`.
"""
