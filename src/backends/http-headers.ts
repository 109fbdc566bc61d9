import type { IncomingMessage } from 'node:http';

type HeaderValue = string | string[] | undefined;

/** Headers that belong to a single connection. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
] as const;

/** Headers that are not forwarded. The HTTP client writes a request's host and length; its Expect was already answered. */
const DROPPED: Record<'call' | 'request' | 'response', ReadonlySet<string>> = {
  call: new Set([...HOP_BY_HOP, 'host', 'expect', 'content-length']),
  request: new Set([...HOP_BY_HOP, 'host', 'expect', 'via', 'x-forwarded-for']),
  response: new Set(HOP_BY_HOP),
};

const VIA = '1.1 crossfade';

/** Headers that may be forwarded: none that belong to a single connection, and none named in Connection. */
export function endToEndHeaders(
  headers: Readonly<Record<string, HeaderValue>>,
  of: keyof typeof DROPPED,
): Record<string, string | string[]> {
  const dropped = DROPPED[of];
  const named = namedInConnection(headers['connection']);
  const kept: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || dropped.has(name) || named?.has(name) === true) continue;
    kept[name] = value;
  }
  return kept;
}

/** The headers of a streamed request, plus those that name us as a proxy. */
export function forwardedHeaders(request: IncomingMessage): Record<string, string | string[]> {
  const { headers, socket } = request;
  const kept = endToEndHeaders(headers, 'request');
  kept['via'] = joined(headers['via'], VIA);
  kept['x-forwarded-for'] = joined(headers['x-forwarded-for'], socket.remoteAddress ?? 'unknown');
  return kept;
}

function joined(before: HeaderValue, value: string): string {
  return before === undefined ? value : `${String(before)}, ${value}`;
}

function namedInConnection(value: HeaderValue): ReadonlySet<string> | undefined {
  if (value === undefined || value === 'keep-alive' || value === 'close') return undefined;
  return new Set(
    String(value)
      .split(',')
      .map((name) => name.trim().toLowerCase()),
  );
}
