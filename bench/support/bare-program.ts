import Fastify from 'fastify';

/** A Fastify server with one route that does nothing; it says when it listens. */
const app = Fastify();
app.get('/ready', () => ({ ready: true }));
console.log(`ready at ${await app.listen({ port: 0, host: '127.0.0.1' })}`);
