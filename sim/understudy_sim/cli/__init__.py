"""The verbs that this package brings to the command line, one file a verb.

They are found by their entry points, so importing one of these modules must stay cheap.
"""
