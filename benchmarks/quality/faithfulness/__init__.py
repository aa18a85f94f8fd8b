"""Whether HYBRID summaries hold to their source: texts, outputs, readers' verdicts, and the command that joins them."""
