"""What was used and what it cost: counted by calendar day, provider, model and user."""
