"""What the shop decides with."""
