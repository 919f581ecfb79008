"""A/B traffic between model versions behind an AWS Application Load Balancer."""
