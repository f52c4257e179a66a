/** Answers each request after 30 to 50 ms, the same for the same address. Says its port, and ends when its parent does. */
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  const id = Number(request.url.split('/').at(-1));
  setTimeout(() => response.end(JSON.stringify({ id, value: id * 7 })), 30 + ((id * 13) % 21));
});
server.listen(0, '127.0.0.1', () => process.send(server.address().port));
process.on('disconnect', () => process.exit());
