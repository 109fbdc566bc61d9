import { isAscii } from 'node:buffer';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { AgentReply } from '../../engine/ports/operation.ts';

/** Headers that belong to a single connection, or are written for this one. */
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

/** A shorter body is sent in one write with its headers. For longer ones a copy would cost more than a second write. */
const ONE_WRITE_BYTES = 16 * 1024;

/** Sends a reply with its own status and headers. A reply without them is sent as JSON with the given status. */
export function sendReply(response: ServerResponse, reply: AgentReply, status: number): void {
  const { body, http } = reply;
  if (response.destroyed || response.headersSent) return reply.delivered?.(false);
  if (reply.delivered !== undefined)
    response.once('close', () => reply.delivered?.(response.writableFinished));
  response.writeHead(http?.status ?? status, headersOf(http?.headers, body.length));
  if (body.length <= ONE_WRITE_BYTES && isAscii(body)) response.end(body.toString('latin1'), 'latin1');
  else response.end(body);
}

function headersOf(
  given: Readonly<Record<string, string | string[]>> | undefined,
  length: number,
): OutgoingHttpHeaders {
  if (given === undefined) return { 'content-type': 'application/json', 'content-length': length };
  const headers: OutgoingHttpHeaders = {};
  for (const name in given) {
    if (!NOT_COPIED.has(name)) headers[name] = given[name];
  }
  headers['content-length'] = length;
  return headers;
}
