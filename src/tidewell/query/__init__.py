"""SQL over everything: read a statement, find its tables, and run it where they are.

    statement ──reading──> one SELECT ──naming──> its tables ──binding──> columns, filters, limits
       all cached ──> the customer's PostgreSQL        otherwise ──> DuckDB over Arrow readers

The Query API runs it in processes of its own (`processes`, `child`), scheduled queries inside the
process of their run (`tidewell.runs`).
"""
