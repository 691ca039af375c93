"""Binance's public files: one CSV in a ZIP for each symbol and day or month.

`archive` says what there is and where, `request` chooses among daily and monthly files, `landing`
lands them and makes a second choice if that is not enough. `layouts` knows the columns, `rows`
reads lines into them, `channels` turns those into raw rows, and `files` opens and checks an object.
"""
