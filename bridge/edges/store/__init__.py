"""The durable store: Redis or Valkey, given or embedded, and what is kept in it. Nothing else knows its keys."""
