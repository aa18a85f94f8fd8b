"""Scores how typical the n-grams of a text are of each of sixty languages; `text/detection.py` decides.

The algorithm and the table of n-grams are those of eldc 0.4 (Nito T.M., Apache-2.0; see NOTICE).
`benchmarks/quality/ngram_table.py` makes `data/table.npz` from its source. docs/decisions/0063 says why it is here.
"""
