"""Tables as csv, json, md, latex or parquet: the tidy frame of a run, or the rows of a comparison.

A table is a pandas DataFrame or a sequence of mappings. Texts come out harmless for the program that opens them.
"""
