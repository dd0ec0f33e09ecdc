"""What a source has: asked in a process beside the node, for as long as somebody asks.

Drivers are heavy (DuckDB, Arrow, a vendor's SDK), they block, and some run code in C. So a node
never opens a source itself: it stays small, and answers whatever a source does.
"""
