"""Numbers of things as people write them."""


def counted(count: int, one: str, more: str = "") -> str:
    """`1 row`, `3 rows`; with `row has` and `rows have` the verb comes along."""
    return f"{count} {one}" if count == 1 else f"{count} {more or one + 's'}"
