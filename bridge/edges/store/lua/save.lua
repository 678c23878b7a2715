-- ARGV: 1 incident, 2 claim, 3 doc, 4 evidence or '', 5 state, 6 entry or '', 7 lease ms, 8 audit or '', 9 the proposal that
-- people are asked about from now on, '' for none (absent: as before), 10 until when they may answer
if not held(ARGV[1], ARGV[2]) then return {'lost'} end
write(ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[7], ARGV[8])
local key = incident_key(ARGV[1])
if ARGV[9] and redis.call('HGET', key, 'ask') ~= ARGV[9] then
  redis.call('HDEL', key, 'ask', 'ask_until', 'answer', 'answered_by', 'answered_at', 'answer_call')
  if ARGV[9] ~= '' then redis.call('HSET', key, 'ask', ARGV[9], 'ask_until', ARGV[10]) end
end
tell(ARGV[1], ARGV[6])
return {'ok', now}
