-- Give a message back: done for good (delay < 0), or due again after a delay. Frees the claim in the same step.
-- ARGV: 1 group, 2 message id, 3 incident, 4 claim or '', 5 delay ms (-1: done)
redis.call('XACK', P .. 'work', ARGV[1], ARGV[2])
redis.call('XDEL', P .. 'work', ARGV[2])
local key, delay = incident_key(ARGV[3]), N(ARGV[5])
if delay > 0 and redis.call('HDEL', key, 'woken') == 1 then delay = 0 end -- there was news while it was held
-- Another turn of the same incident (a call that ran twice, a slow worker) must not put the look off.
if delay >= 0 then redis.call('ZADD', P .. 'later', 'LT', now + delay, ARGV[3]) end
if ARGV[4] ~= '' and redis.call('HGET', key, 'claim') == ARGV[4] then redis.call('HSET', key, 'lease', 0) end
return now
