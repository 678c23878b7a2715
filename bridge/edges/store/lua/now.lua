-- Answers the time, and by how many ms the server's own clock is behind it.
return {now, behind}
