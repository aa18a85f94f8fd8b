"""Tells how frequent a word is in English and in Portuguese, and which words these languages do not have.

The frequencies are those of wordfreq 3.1.1 (Robyn Speer; CC BY-SA 4.0, see NOTICE). `benchmarks/quality/word_table.py`
makes `data/words.npz` from its wheel. docs/decisions/0099 says why it is here.
"""
