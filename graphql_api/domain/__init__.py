"""The domain: rules and writes, as functions `(tx, actor, *, ...) -> row` that check everything, then write.

    checks, versions, conflicting_rows                 checks, history rows and look-ups of taken values
    transactions                                       a type: the function that opens transactions
    database_clock, domain_errors                      the database's time in SQL; conversions of domain errors
    idempotency, notify_compatibility                  repeated calls; whether Notify uses the same database
    users, members, sessions, challenges, passwords    people, their memberships and their sign-in
    credentials                                        the rows that authentication writes
    platform_messages                                  messages of the platform to its users
    organisations, email_domains, brandings            organisations and what follows from them
    services, service_states, allowances               services
    billing_details                                    columns of organisations and services
    templates, api_keys, api_key_usage                 what services own
    sends, audiences, senders, sending_limits          preparation of a send
    notifications, notification_rows                   single sends
    recipients, recipient_sources, uploads, jobs       lists of recipients, and the jobs made of them
    job_runs, deliveries                               what the worker writes while it processes jobs and messages
    facts, retention, search_entries, health           what the worker writes on a schedule

It knows no GraphQL and no HTTP, and imports no loaders. Only the database package commits.
"""
