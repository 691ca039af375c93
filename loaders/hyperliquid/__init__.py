"""Fills of Hyperliquid, from the hourly files that its nodes write.

`archive` says which objects there are, `decode` turns an object into whole lines, `records` and
`batches` turn lines into rows, `landing` lands one object and `run` a range of days.
"""
