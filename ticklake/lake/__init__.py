"""The lake: where bytes live, what is in it, and how a partition gets there."""
