"""The Jobs pages: what is fresh, what failed and why, and how to mend it."""
