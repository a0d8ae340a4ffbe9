"""Content of messages: placeholders, text messages, emails and letters, as pure functions of text.

    characters                             zero-width characters and their removal
    placeholders                           ((placeholders)) of a text, and filling them with values
    values                                 checks of personalisation
    problems                               a problem of a text or a value, as data
    sms                                    normalisation, encoding and fragments of text messages
    markup, typography, emails, letters    markup as blocks, quotes and dashes, HTML and plain text
    messages                               templates rendered with values, and checks of templates and messages
    names                                  names as parts of email addresses and API keys

It imports only `enums`: no database, no `models`, no GraphQL.
"""
