"""Measures the faithfulness of HYBRID summaries to their source: texts, readers' verdicts, and the report."""
