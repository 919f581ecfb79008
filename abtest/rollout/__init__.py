"""What is deployed, and what a change makes of it."""
