-- Renews the leases of what is being told. ARGV: 1 sink, 2 lease ms, then pairs incident, teller. Answers the
-- lost ones, as pairs, too.
local sink, lost = ARGV[1], {}
for a = 3, #ARGV, 2 do
  local mine = redis.call('HGET', P .. 'teller:' .. sink, ARGV[a]) == ARGV[a + 1]
  if mine and redis.call('ZSCORE', P .. 'leased:' .. sink, ARGV[a]) then
    redis.call('ZADD', P .. 'leased:' .. sink, 'XX', now + N(ARGV[2]), ARGV[a])
  else lost[#lost + 1], lost[#lost + 2] = ARGV[a], ARGV[a + 1] end
end
return lost
