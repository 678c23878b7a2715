-- Ends a storm whose end has come. Answers {'ended' or '', now}
return {end_storm() and 'ended' or '', now}
