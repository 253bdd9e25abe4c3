"""Names and texts as SQL, where no parameter can stand."""


def quote_name(name: str) -> str:
    """An identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A string for SQL."""
    return "'" + text.replace("'", "''") + "'"
