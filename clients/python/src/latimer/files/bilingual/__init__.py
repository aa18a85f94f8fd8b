"""Files that hold a text beside its translation: XLIFF, TMX and Qt's .ts."""
