-- An operator has mended something: what was given up is due again, and the sink is tried at once. ARGV: 1 sink
-- Answers how many, or -1 for a sink that is not configured
local sink = ARGV[1]
if redis.call('HEXISTS', P .. 'sinks', sink) == 0 then return -1 end
local dead, news = redis.call('ZRANGE', P .. 'dead:' .. sink, 0, -1), {}
for _, id in ipairs(dead) do
  redis.call('HDEL', incident_key(id) .. ':told', sink .. ':tries')
  news[#news + 1], news[#news + 2] = now, id
end
in_pieces('ZADD', P .. 'due:' .. sink, news, 'LT')
redis.call('DEL', P .. 'dead:' .. sink)
if redis.call('HEXISTS', P .. 'sink:' .. sink, 'held_until') == 1 then
  redis.call('HSET', P .. 'sink:' .. sink, 'held_until', now, 'fails', 0)
end
return #dead
