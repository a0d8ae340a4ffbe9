"""What messages cost, and the days by which that is counted."""
