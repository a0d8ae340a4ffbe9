"""Who is asking, what they may do, and which rows they can see."""
