"""Latimer's server: open translation and summarization models behind one gRPC contract."""

__version__ = "0.1.0"
