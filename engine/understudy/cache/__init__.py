"""The response cache: answers that were given before, for requests that ask for the same.

How it fits together, from the inside out:

- `shelf` is the pure machine: entries by key, least recently used last, within bounds of number,
  bytes and time. It reads no clock and knows no answer, only bytes.
- `codec` turns an answer into those bytes and back, compressed if that pays.
- `worth` says which answers are kept at all: whole ones of a real provider, nothing else.
- `cache` ties them to requests: whose entry a request may be given, and what is told about it.

The engine asks it once, after a request was accepted and before anybody is asked for it; and hands
it each answer once. It belongs to one engine, lives in its process, and every call is synchronous.
"""
