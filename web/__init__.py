"""What both sides share to be served over HTTP."""
