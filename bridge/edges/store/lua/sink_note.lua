-- What a sink must still know after a crash. ARGV: 1 sink, 2 incident, 3 teller, then pairs name, text ('' removes it)
-- Answers {'lost'} or {'ok'}
local sink, id = ARGV[1], ARGV[2]
if redis.call('HGET', P .. 'teller:' .. sink, id) ~= ARGV[3] then return {'lost'} end
if redis.call('EXISTS', incident_key(id)) == 0 then return {'ok'} end -- forgotten meanwhile; its notes were, too
local key = incident_key(id) .. ':told'
for a = 4, #ARGV, 2 do
  local field = sink .. ':' .. ARGV[a]
  if ARGV[a + 1] == '' then redis.call('HDEL', key, field) else redis.call('HSET', key, field, ARGV[a + 1]) end
end
return {'ok'}
