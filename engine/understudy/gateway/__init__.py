"""The engine as an HTTP service that official SDKs of others can talk to.

    wires/      what callers of each format send, and how answers look to them: pure
    problem     what went wrong, as a status and a code
    overrides   what a caller may say about how its request is routed

`create_app` makes the application; it uses the embedding API and nothing else.
"""
