"""The CSV data sets of Tardis.

`kinds` tells from its name and columns what a file holds, `files` reads one, `books` rebuilds the
book from its changes, and `download` fetches files through Tardis's own client.
"""
