import { Option } from 'commander';
import { request } from 'undici';
import { addressOf, type AnswerOf, type CallOf } from '../operator/api/endpoint.ts';
import type { ENDPOINTS } from '../operator/api/endpoints.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const TIMEOUT_MS = 10_000;

/** The option for the address of a running proxy. */
export function urlOption(env: Environment): Option {
  const given = env['CROSSFADE_URL'] ?? '';
  return new Option('--url <address>', 'HTTP address of the proxy (environment: CROSSFADE_URL)').default(
    given === '' ? 'http://127.0.0.1:5580' : given,
  );
}

/** The option for a token of `operator.tokens`. Other users of the machine cannot read it from the environment. */
export function tokenOption(env: Environment): Option {
  const given = env['CROSSFADE_TOKEN'] ?? '';
  const option = new Option(
    '--token <token>',
    'bearer token, if the proxy requires one (environment: CROSSFADE_TOKEN)',
  );
  return given === '' ? option : option.default(given, 'CROSSFADE_TOKEN');
}

/** The address of a proxy, and the caller's token. */
export interface ProxyAddress {
  readonly url: string;
  readonly token?: string;
}

/** No proxy listens at the address. */
export class NoProxy extends Error {}

/** The JSON text of an answer, of a known type. */
export type AnswerText<Answer> = string & { readonly [ANSWER]?: Answer };

declare const ANSWER: unique symbol;

export function parsed<Answer>(text: AnswerText<Answer>): Answer {
  return JSON.parse(text) as Answer;
}

type Endpoints = typeof ENDPOINTS;

/** The id of an operation of the API. */
export type OperationName = keyof Endpoints;

/** What a call of an operation sends. */
export type Asked<Name extends OperationName> = CallOf<Endpoints[Name]>;

type Answered<Name extends OperationName> = AnswerText<AnswerOf<Endpoints[Name]>>;

/** Calls a running proxy; times out after 10 s. @throws Error with the proxy's message */
export async function callProxy<Name extends OperationName>(
  at: ProxyAddress,
  name: Name,
  call: Asked<Name>,
): Promise<Answered<Name>> {
  return ask({ at, path: await pathOf(name, call), body: call.body, timeoutMs: TIMEOUT_MS });
}

/** The same without a timeout, for calls that may take long. */
export async function callPatiently<Name extends OperationName>(
  at: ProxyAddress,
  name: Name,
  call: Asked<Name>,
): Promise<Answered<Name>> {
  return ask({ at, path: await pathOf(name, call), body: call.body, timeoutMs: 0 });
}

/** The schemas are loaded with the first call, so that help and completion answer at once. */
async function pathOf<Name extends OperationName>(name: Name, call: Asked<Name>): Promise<string> {
  const endpoints = (await import('../operator/api/endpoints.ts')).ENDPOINTS;
  return addressOf(endpoints[name], call);
}

interface Question {
  readonly at: ProxyAddress;
  readonly path: string;
  readonly body: object | undefined;
  /** 0: no timeout. */
  readonly timeoutMs: number;
}

async function ask({ at: { url, token }, path, body, timeoutMs }: Question): Promise<string> {
  if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url))
    throw new Error(`invalid address "${url}": use --url or CROSSFADE_URL, such as http://127.0.0.1:5580`);
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
    throw new NoProxy(
      `no proxy answers at ${url}: start it, or set its address with --url or CROSSFADE_URL`,
      {
        cause,
      },
    );
  });
  const text = await response.body.text();
  if (response.statusCode < 300) return text;
  throw new Error(problemOf(response.statusCode, messageIn(text), { at: { url, token }, path }));
}

/** The message for a refused request, with what to do about it. */
function problemOf(
  status: number,
  message: string | undefined,
  { at: { url, token }, path }: { readonly at: { url: string; token: string | undefined }; path: string },
): string {
  if (status === 401)
    return `${token === undefined ? 'the proxy requires a token' : 'the proxy does not know this token'}: set --token or CROSSFADE_TOKEN to one of its operator.tokens`;
  // Fastify's message for a path without a route.
  if (status === 404 && (message === undefined || /^Route \S+ not found$/.test(message)))
    return `the server at ${url} is not the HTTP port of a proxy (${path} not found): set the address with --url or CROSSFADE_URL`;
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
