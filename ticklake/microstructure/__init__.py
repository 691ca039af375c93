"""Pure kernels over Arrow and NumPy: no dbt, no I/O, no clock."""
