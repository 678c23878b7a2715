-- The sinks of a process are configured: from now on every transition is put on their backlogs.
-- ARGV: 1 retire ms (a sink that no process has named for so long is forgotten, its backlog with it; 0: none is),
--   then pairs sink, how long it gathers news (ms)
for a = 2, #ARGV, 2 do
  redis.call('HSET', P .. 'sinks', ARGV[a], ARGV[a + 1])
  redis.call('HSET', P .. 'sink:' .. ARGV[a], 'seen', now)
end
if N(ARGV[1]) > 0 then
  for _, sink in ipairs(redis.call('HKEYS', P .. 'sinks')) do
    if N(redis.call('HGET', P .. 'sink:' .. sink, 'seen') or '0') < now - N(ARGV[1]) then
      redis.call('HDEL', P .. 'sinks', sink)
      redis.call('DEL', P .. 'sink:' .. sink, P .. 'due:' .. sink, P .. 'leased:' .. sink, P .. 'dead:' .. sink,
        P .. 'teller:' .. sink)
    end
  end
end
return now
