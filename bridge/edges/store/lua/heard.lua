-- What a webhook shows of the way it came. ARGV: 1 the receiver's name in it or '', 2 '1' if the alert that always fires
-- was in it
local key, MOST, TWINS_MS = P .. 'heard', 50, 30000
if ARGV[1] ~= '' then
  local field = 'receiver:' .. ARGV[1]
  if redis.call('HEXISTS', key, field) == 1 or redis.call('HLEN', key) < MOST then redis.call('HSET', key, field, now) end
end
if ARGV[2] == '1' then
  -- Twins of an Alertmanager pair send the same within seconds: that is one time, not two.
  local from = redis.call('HGET', key, 'watchdog_from')
  if from and now - N(from) >= TWINS_MS then redis.call('HSET', key, 'watchdog_every', now - N(from)) end
  if not from or now - N(from) >= TWINS_MS then redis.call('HSET', key, 'watchdog_from', now) end
  redis.call('HSET', key, 'watchdog', now)
end
return now
