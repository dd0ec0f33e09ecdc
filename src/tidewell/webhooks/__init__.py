"""Webhooks: what happened is told to an address of the customer's, signed, at least once."""
