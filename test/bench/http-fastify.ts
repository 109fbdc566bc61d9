import proxy from '@fastify/http-proxy';
import { fastify } from 'fastify';
import { serveParent, settingsOfChild } from './child.ts';

// @fastify/http-proxy with its defaults: the baseline.
const { port, upstream } = settingsOfChild() as { port: number; upstream: string };
const app = fastify({ logger: false });
await app.register(proxy, { upstream });
await app.listen({ host: '127.0.0.1', port });
serveParent();
