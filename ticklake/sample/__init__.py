"""Sample source files that look like those of the Hyperliquid archive.

Same seed, same bytes. They hold all that makes the real files hard: see `archive` and `market`.
"""
