"""Measures the quality of the output: fidelity, faithfulness, language detection, rounding, checks."""
