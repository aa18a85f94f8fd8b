"""The store: model files on disk, verified by their digests."""
