-- A page of a stream, as `dump` gives entries. ARGV: 1 name without the namespace, 2 first id, 3 how many at most.
return redis.call('XRANGE', P .. ARGV[1], ARGV[2], '+', 'COUNT', ARGV[3])
