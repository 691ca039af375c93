"""One row per fill: one side of one execution, as the venue reported it to one user."""

from ticklake.fills.merging import merged


def model(dbt, session):
    segments = dbt.source("raw", "fills")
    return segments.named(merged(segments.files(), segments.folder))
