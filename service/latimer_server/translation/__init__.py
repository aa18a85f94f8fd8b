"""The use case of translations: from texts to segments, through models, to checked and assembled translations."""
