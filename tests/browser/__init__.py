"""The Warehouse page in a browser: a package, because only then fixtures of its scope end with its last test."""
