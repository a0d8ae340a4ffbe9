"""What a request may cost, and how much each caller and the process take on."""
