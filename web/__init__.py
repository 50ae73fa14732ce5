"""The HTTP server: the resources of commands and of queries, who may ask, the page. Above all rooms but the front door."""
