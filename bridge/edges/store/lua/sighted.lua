-- What the last comparison with Alertmanager saw, whole. ARGV: pairs fingerprint, json
redis.call('DEL', P .. 'sighted')
in_pieces('HSET', P .. 'sighted', ARGV)
return now
