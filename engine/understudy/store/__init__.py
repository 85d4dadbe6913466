"""What outlives the process: the port, and the databases that production binds it to."""
