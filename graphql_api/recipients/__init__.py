"""Whom messages go to: phone numbers, email addresses, postal addresses and lists of them, as pure rules on text."""
