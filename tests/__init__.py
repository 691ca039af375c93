"""The test suite. A package, so that its servers are importable however pytest is started."""
