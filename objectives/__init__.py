"""What one trial does and costs."""
