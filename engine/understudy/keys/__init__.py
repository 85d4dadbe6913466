"""Virtual keys: how they are made, proved and kept, and what each of them may do."""
