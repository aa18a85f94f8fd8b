"""The Latimer server: serves open translation and summarization models over gRPC."""

__version__ = "0.1.0"
