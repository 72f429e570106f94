import { connect } from 'node:net';

/** So many readers of a service's events, in a process of its own: they take what comes and throw it away. */
const [port, count] = process.argv.slice(2).map(Number) as [number, number];
let open = 0;
for (let i = 0; i < count; i++) {
  const socket = connect(port, '127.0.0.1', () => {
    socket.write('GET /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n');
  });
  socket.once('data', () => {
    if (++open === count) process.send!('open');
  });
  socket.resume();
}
process.on('disconnect', () => process.exit(0));
