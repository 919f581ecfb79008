"""What a change of a stack file does, once it is deployed: to traffic, and besides."""
