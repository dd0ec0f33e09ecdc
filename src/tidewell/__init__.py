"""Tidewell: the Job API that keeps copies of customers' tables fresh in their own PostgreSQL."""

__version__ = "0.1.0"
