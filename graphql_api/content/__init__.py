"""What messages say: placeholders, text messages, emails and letters, as pure rules on text."""
