"""Statements: a text of SQL cut into statements and words by DuckDB's own tokenizer, without its comments."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """One token that is not a comment, and where it begins and ends in the text, in bytes as DuckDB counts."""

    text: str
    begin: int
    end: int


def split_words(sql: str) -> list[Word]:
    """The words of a text, without comments and white space."""
    import duckdb

    text = sql.encode()
    words: list[Word] = []
    tokens = duckdb.tokenize(sql)
    ends = [*(begin for begin, _ in tokens), len(text)][1:]
    for (begin, kind), end in zip(tokens, ends, strict=False):
        if kind != duckdb.token_type.comment:
            word = text[begin:end].strip()
            words.append(Word(word.decode(), begin, begin + len(word)))
    return words


def split_statements(sql: str) -> list[str]:
    """The statements of a text, each from its first word to its last one, also those that do not parse."""
    text = sql.encode()
    statements: list[str] = []
    words: list[Word] = []
    for word in [*split_words(sql), Word(";", len(text), len(text))]:
        if word.text != ";":
            words.append(word)
        elif words:
            statements.append(text[words[0].begin : words[-1].end].decode())
            words = []
    return statements


def strip_end(sql: str) -> str:
    """The text without the semicolons and comments behind it, which cannot stand within another query."""
    words = split_words(sql)
    while words and words[-1].text == ";":
        words.pop()
    return sql.encode()[: words[-1].end].decode().strip() if words else ""


def normalize(sql: str) -> str:
    """The text without comments, and with one blank between its words: the same for texts that mean the same.

    Literals and quoted names keep every character.
    """
    return " ".join(word.text for word in split_words(sql))
