-- Ends a storm whose end has come. Answers its fields, pairwise; nothing if there is none to end.
return end_storm()
