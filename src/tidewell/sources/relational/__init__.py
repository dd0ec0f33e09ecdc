"""What sources have in common that answer SELECTs: the statement of a request, and its reading."""
