-- Give a message back: done for good (delay < 0), or due again after a delay. Frees the claim in the same step.
-- ARGV: 1 group, 2 message id, 3 incident, 4 claim or '', 5 delay ms (-1: done)
redis.call('XACK', P .. 'work', ARGV[1], ARGV[2])
redis.call('XDEL', P .. 'work', ARGV[2])
if N(ARGV[5]) >= 0 then redis.call('ZADD', P .. 'later', now + N(ARGV[5]), ARGV[3]) end
local key = incident_key(ARGV[3])
if ARGV[4] ~= '' and redis.call('HGET', key, 'claim') == ARGV[4] then redis.call('HSET', key, 'lease', 0) end
return now
