"""The catalogue: the available models with their languages, licences and sources."""
