-- Notes since when this store counts, unless it is known. An empty store may be a lost one, so it counts from now on;
-- whoever says, then or at a later start, that it was empty on purpose is believed of that birth. A birth that a failover
-- or a restore wrote is another one: then something was lost.
-- ARGV: 1 "1" if an empty store is the truth
local born = redis.call('GET', P .. 'born')
if ARGV[1] == '1' then
  if not born or born == redis.call('GET', P .. 'born_empty') then redis.call('SET', P .. 'born', '0') end
elseif not born then
  local at = string.format('%d', now)
  redis.call('SET', P .. 'born', at)
  redis.call('SET', P .. 'born_empty', at)
end
return 'noted'
