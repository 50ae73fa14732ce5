"""The contract: .avsc files, catalog, codec, envelope, positions and the root error. Imports no other room."""
