"""Backends of Hugging Face checkpoints: CTranslate2, and transformers where CTranslate2 cannot load a model."""
