"""A request's way through: validation, the request loop, attempts, and what is told of them."""
