-- Forgets consumers that hold nothing and have not asked for anything for a while: each process has a name of its own, so
-- that every restart leaves one behind. ARGV: 1 group, 2 idle ms. Answers how many.
local gone = 0
if redis.call('EXISTS', P .. 'work') == 0 then return gone end
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', P .. 'work', ARGV[1])) do
  local told = {}
  for n = 1, #consumer, 2 do told[consumer[n]] = consumer[n + 1] end
  if told.pending == 0 and told.idle > N(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', P .. 'work', ARGV[1], told.name)
    gone = gone + 1
  end
end
return gone
