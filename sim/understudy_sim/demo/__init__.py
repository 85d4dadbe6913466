"""The demo: seven scenarios of failure, played against mock providers on real sockets."""
