-- A person answers a proposal: once, in time, and wherever the question was read.
-- ARGV: 1 incident, 2 the proposal ('' for the one that is asked now), 3 answer, 4 by whom, 5 entry, 6 unique per call
-- Answers {'unknown'}, {'ended', outcome}, {'not_asked'}, {'void'}, {'expired'}, {'already', answer, by, at} or
-- {'done', answer, by, at}
local key = incident_key(ARGV[1])
local i = redis.call('HMGET', key, 'state', 'ask', 'ask_until', 'answer', 'answered_by', 'answered_at', 'answer_call', 'outcome')
if not i[1] then return {'unknown'} end
local same = i[2] and (ARGV[2] == '' or ARGV[2] == i[2])
if same and i[4] then
  -- The answer to this very call was lost on its way, or somebody was faster.
  return {i[7] == ARGV[6] and 'done' or 'already', i[4], i[5], i[6]}
end
if i[1] == 'closed' then return {'ended', i[8] or ''} end
if i[1] ~= 'waiting' or not i[2] then return {'not_asked'} end
if not same then return {'void'} end
if N(i[3]) <= now then return {'expired'} end
redis.call('HSET', key, 'answer', ARGV[3], 'answered_by', ARGV[4], 'answered_at', now, 'answer_call', ARGV[6])
wake(ARGV[1])
tell(ARGV[1], ARGV[5])
return {'done', ARGV[3], ARGV[4], string.format('%d', now)}
