"""The MCP server at `/mcp`: what an assistant may see and do, with the tokens of the API."""

from tidewell.mcp.endpoint import serve_mcp

__all__ = ["serve_mcp"]
