"""The log itself: looked at as it grows, saved to files, and restored from them."""
