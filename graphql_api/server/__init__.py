"""uvicorn's protocols, with load shedding and protection against slow clients.

    slow_clients          limits of connections, heads, and times for both sides
    http_protocol         load shedding, and cancelling requests whose client has disconnected
    websocket_protocol    WebSockets that abort for a client that does not read

It knows no routes and no GraphQL; of `http` it uses rejections, error responses and `disconnects`.
"""
