"""Rebuilding read models: the next generation beside the live one, compared with it, and then live."""
