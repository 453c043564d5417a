"""How a component talks to the API server: HTTP client, informer, work queue, events, leader lease."""
