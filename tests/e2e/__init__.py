"""The stack without containers: a package, because only then fixtures of its scope end with its last test."""
