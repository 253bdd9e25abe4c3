"""The command ``reloads``."""
