"""Protected spans: parts of a text that come out of a translation unchanged or as glossary terms.

`builtin` and `syntaxes` find such spans by their form, `rules` and `glossary` by what the request asks for. `masking`
hides them from the model and puts them back; `figures` protects numbers. Pure functions.
"""
