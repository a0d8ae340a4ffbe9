"""Recipients of messages: phone numbers, email addresses, postal addresses and lists, as pure functions of text.

    errors                         `RecipientError`
    phone_numbers, sms_rates       parsing, normalising and rates of phone numbers
    email_addresses                parsing and normalising of email addresses
    postal_addresses, countries    parsing of postal addresses, and their postage
    csv_files                      records of a CSV file
    lists                          a list of recipients, checked row by row for a template

It imports only `content` and `enums`: no database, no `models`, no GraphQL.
"""
