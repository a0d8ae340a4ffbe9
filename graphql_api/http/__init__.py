"""GraphQL over HTTP: requests in, responses out, in every transport."""
