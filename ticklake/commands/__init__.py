"""The commands of `ticklake`, one module each.

A module imports what is heavy inside its command: every worker process of a landing imports the
command line as well.
"""
