-- Forgets incidents closed before a time. ARGV: 1 closed before ms, 2 at most. Answers how many.
local sinks = redis.call('HKEYS', P .. 'sinks')
local old = redis.call('ZRANGEBYSCORE', P .. 'closed', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(old) do
  local key = incident_key(id)
  redis.call('DEL', key, key .. ':alerts', key .. ':timeline', key .. ':told')
  for _, sink in ipairs(sinks) do
    redis.call('ZREM', P .. 'due:' .. sink, id)
    redis.call('ZREM', P .. 'dead:' .. sink, id)
  end
  redis.call('ZREM', P .. 'incidents', id)
  redis.call('ZREM', P .. 'closed', id)
end
return #old
