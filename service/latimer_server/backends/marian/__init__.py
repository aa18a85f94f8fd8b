"""The backend of Marian students, such as the Firefox translation models: file formats, engines, greedy search and
beam search.
"""
