"""What the operator sees and says: progress, rewards, learning curve."""
