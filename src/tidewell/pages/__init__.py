"""Hosted pages: forms that a vendor's customers fill in, without anything loaded from elsewhere."""

from tidewell.pages.routes import router

__all__ = ["router"]
