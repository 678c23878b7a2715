-- How many of each population are sick. ARGV: 1 '' to look, '1' to write down what becomes suspect and what is so no more,
-- then one json per population: {key, reason, limit, least, quiet ms, parts:[{host, up, down:[names], members:[names] or
--   absent}], partial (a host did not answer)}
-- Answers per population: its key, sick, known, suspect since ms (0: not), until ms (0 unknown), 'began' | 'ended' | ''
local out = {}
for a = 2, #ARGV do
  local L = cjson.decode(ARGV[a])
  local share = share_of(L)
  local change = ARGV[1] == '1' and note_share(L, share) or ''
  for _, value in ipairs({L.key, share.sick, share.known, share.since, share.free, change}) do out[#out + 1] = value end
end
return out
