"""ticklake: a SQL-first dbt and DuckDB lakehouse for market microstructure data."""
