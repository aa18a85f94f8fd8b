"""Models: the catalogue of available models, their sources, their files on disk, and the pool of loaded models."""
