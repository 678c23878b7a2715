-- Renews leases. ARGV: 1 lease ms, then pairs incident, claim. Answers the claims that are lost: an incident may be
-- held again, under another one, by the very worker that asks.
local lost = {}
for a = 2, #ARGV, 2 do
  if held(ARGV[a], ARGV[a + 1]) then redis.call('HSET', incident_key(ARGV[a]), 'lease', now + N(ARGV[1]))
  else lost[#lost + 1] = ARGV[a + 1] end
end
return lost
