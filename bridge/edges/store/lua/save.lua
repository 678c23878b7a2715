-- ARGV: 1 incident, 2 claim, 3 doc, 4 evidence or '', 5 state, 6 entry or '', 7 lease ms, 8 audit or ''
if not held(ARGV[1], ARGV[2]) then return {'lost'} end
write(ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[7], ARGV[8])
tell(ARGV[1], ARGV[6])
return {'ok', now}
