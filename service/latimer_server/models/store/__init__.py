"""The model store: model files on disk, verified by their SHA-256 digests."""
