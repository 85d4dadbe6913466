"""What callers may rely on, path by path, and the OpenAPI document that says so.

entry       what is said of one path; each stands beside the code that serves it
openai, anthropic, responses
            the forms of answers in each format, for the document and the tests: wires write plain
            dictionaries, and are held to these
document    all entries as one OpenAPI 3.1 document
"""
