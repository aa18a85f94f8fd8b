"""The use case of summaries: ranking and extraction of sentences, generation by a model, composition."""
