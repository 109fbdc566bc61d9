import type { ServerResponse } from 'node:http';
import type { Reply } from '../../migration/ports.ts';

/** What belongs to one connection, or is written anew for this one. */
const NOT_COPIED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Sends a reply with the status and headers it came with; what came without is JSON with the status given. */
export function sendReply(response: ServerResponse, reply: Reply, status: number): void {
  if (response.destroyed || response.headersSent) return;
  const { headers = { 'content-type': 'application/json' } } = reply.http ?? {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && !NOT_COPIED.has(name)) response.setHeader(name, value);
  }
  response.setHeader('content-length', reply.body.length);
  response.writeHead(reply.http?.status ?? status);
  response.end(reply.body);
}
