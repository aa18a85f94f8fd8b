"""Evidence: checks that generated sentences are supported by their source (compression, context, claims)."""
