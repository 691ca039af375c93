"""WebSocket captures of Binance: JSON lines as they were received.

`captures` says which objects to land, `fields` what an event is made of. `records` reads a line
exactly, `shapes` reads lines that are written like ones read before, fast, and `lines` uses both.
`tables` turns what they found into columns, and `reading` reads a whole capture, with a book for
each symbol.
"""
