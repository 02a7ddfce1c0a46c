"""Text from plugins and third-party results, made harmless before it reaches a terminal or a file."""

from __future__ import annotations

# Printable by their category, but invisible: joiners, fillers and variation selectors.
_UNSEEN = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


def visible(text: str, *, keep_newlines: bool = False) -> str:
    r"""`text` with every character that is invisible or affects its surroundings replaced by its escape (`\x1b`).

    Escaped are control characters (newline and tab too), bidirectional overrides, zero-width and unassigned characters,
    lone surrogates, and every blank but the plain one, so that the result is one line that a terminal prints unchanged.

    Args:
        keep_newlines: keep `\n`, for texts of several lines (a traceback).
    """
    if keep_newlines:
        return "\n".join(visible(line) for line in text.split("\n"))
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and c not in _UNSEEN else _escape(ord(c)) for c in text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
