"""Long-running agents: tasks that are done once, whatever becomes of the process."""
