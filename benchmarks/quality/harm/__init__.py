"""Harm report: ordinary sentences by the whole path beside the bare engine, and the rules that make the difference."""
