"""Models: the catalogue of those that exist, their sources, their files on disk, and the pool of loaded ones."""
