import { Option } from 'commander';
import { request } from 'undici';

export type Environment = Readonly<Record<string, string | undefined>>;

const TIMEOUT_MS = 10_000;

/** Where a running proxy is asked. */
export function urlOption(env: Environment): Option {
  const given = env['CROSSFADE_URL'] ?? '';
  return new Option('--url <address>', 'HTTP address of the proxy (CROSSFADE_URL)').default(
    given === '' ? 'http://127.0.0.1:5580' : given,
  );
}

/** What a proxy with `operator.tokens` asks for. In the environment others on the machine do not see it. */
export function tokenOption(env: Environment): Option {
  const given = env['CROSSFADE_TOKEN'] ?? '';
  const option = new Option(
    '--token <token>',
    'bearer token, where the proxy asks for one (CROSSFADE_TOKEN)',
  );
  return given === '' ? option : option.default(given, 'that of CROSSFADE_TOKEN');
}

/** Where a proxy is asked, and as whom. */
export interface ProxyAddress {
  readonly url: string;
  readonly token?: string;
}

/** Nobody listens there, or not any more. */
export class NoProxy extends Error {}

/** Asks a running proxy. @throws Error in the proxy's own words */
export function askProxy(at: ProxyAddress, path: string, body?: object): Promise<string> {
  return ask({ at, path, body, timeoutMs: TIMEOUT_MS });
}

/** The same, for what may take its time: the answer is waited for as long as the proxy lives. */
export function askPatiently(at: ProxyAddress, path: string, body: object): Promise<string> {
  return ask({ at, path, body, timeoutMs: 0 });
}

interface Question {
  readonly at: ProxyAddress;
  readonly path: string;
  readonly body: object | undefined;
  /** 0: for ever. */
  readonly timeoutMs: number;
}

async function ask({ at: { url, token }, path, body, timeoutMs }: Question): Promise<string> {
  if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url))
    throw new Error(`"${url}" is no address: say --url or CROSSFADE_URL as http://127.0.0.1:5580`);
  const address = `${url.replace(/\/$/, '')}${path}`;
  const response = await request(address, {
    method: body === undefined ? 'GET' : 'POST',
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  }).catch((cause: unknown) => {
    throw new NoProxy(`no proxy answers at ${url}: start it, or name it with --url or CROSSFADE_URL`, {
      cause,
    });
  });
  const text = await response.body.text();
  if (response.statusCode < 300) return text;
  throw new Error(problemOf(response.statusCode, messageIn(text), { at: { url, token }, path }));
}

/** What is said of a refusal, and what to do about it. */
function problemOf(
  status: number,
  message: string | undefined,
  { at: { url, token }, path }: { readonly at: { url: string; token: string | undefined }; path: string },
): string {
  if (status === 401)
    return `${token === undefined ? 'this proxy asks for a token' : 'this proxy does not know that token'}: say --token or CROSSFADE_TOKEN, one of its operator.tokens`;
  // What fastify says of a path that nobody has given it.
  if (status === 404 && (message === undefined || /^Route \S+ not found$/.test(message)))
    return `what answers at ${url} is not the operator's port of a proxy (${path} is not there): name it with --url or CROSSFADE_URL`;
  return message ?? `the proxy answered ${status}`;
}

function messageIn(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
