"""S3 in tests: a real server, a proxy that breaks connections, and the tests that need them."""
