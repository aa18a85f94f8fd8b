"""The catalogue: which models exist, with their languages, licences and sources."""
