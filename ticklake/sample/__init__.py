"""Sample source files that look like those of the real sources.

Same seed, same bytes. A price path an asset (`prices`) moves the books and trades of every listing
(`listings`, `simulation`); one module a source format writes them down, with the faults that the
real files have. Hyperliquid fills come from a market of their own on the same paths (`market`,
`archive`).
"""
