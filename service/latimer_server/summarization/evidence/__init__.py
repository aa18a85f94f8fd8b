"""Evidence: checks sentences of summaries against their source.

`compression` and `claim_support` decide whether the source supports a sentence that a model wrote. `context` decides
whether a sentence of the source can be understood without the sentences before it.
"""
