"""Texts of others as we can take them, without the weight of a validator."""


def without_nul(text: str) -> str:
    """A text as PostgreSQL can hold it: what others say may have a NUL in it."""
    return text.replace("\0", "\ufffd")


def whole_number(text: str, least: int, most: int) -> int | None:
    """A number that is written in ASCII digits and lies between two others, else None.

    However many digits there are: Python's own `int` gives up beyond some thousands.
    """
    if not text.isascii() or not text.isdigit() or len(text.lstrip("0")) > len(str(most)):
        return None
    number = int(text.lstrip("0") or "0")
    return number if least <= number <= most else None
