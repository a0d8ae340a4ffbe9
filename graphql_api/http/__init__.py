"""GraphQL over HTTP: requests in, responses out, in every transport.

    endpoint              `/graphql` for HTTP: one request, one response
    requests              a request becomes an `Operation`
    persisted_documents   documents by id
    rejections            requests that never become an operation
    executor              runs operations, by the planner or by graphql-core, and measures them
    responses             results and errors become bytes
    disconnects           cancelling requests whose client has disconnected
    sse, websockets       results as server-sent events, and graphql-transport-ws
    open_connections      how many of these may be open, and when they are closed
    uploads               `/uploads`: lists of recipients
    status, explorer      `/_status` and `/metrics`; GraphiQL in development
    api_key_usage         what each API key calls, written every few seconds

It sends no SQL of its own, and does not import `planner`, `server`, `schema` or `app`.
"""
