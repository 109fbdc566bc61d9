import { type Definitions, parseDefinitions } from './definitions.ts';

export interface PollSettings {
  /** Unleash's API, usually ending with `/api`. */
  readonly url: string;
  readonly apiToken: string;
  readonly appName: string;
  readonly refreshIntervalMs: number;
  readonly onAnswer?: OnUnleashAnswer;
}

const REQUEST_TIMEOUT_MS = 5_000;
const SPEC_VERSION = '5.2.0';

interface PolledFlags {
  readonly definitions: Definitions;
  /** The server's original text. */
  readonly text: string;
}

type Poll = (signal: AbortSignal) => Promise<PolledFlags | undefined>;

/** Requests a server's flags. Resolves with undefined if they have not changed. @throws UnleashError with URL and status or cause */
export function createUnleashPoll(settings: PollSettings): Poll {
  const url = `${settings.url.replace(/\/+$/, '')}/client/features`;
  let known: { readonly etag: string | undefined; readonly text: string } | undefined;
  const ask: Poll = async (signal) => {
    const { status, text, etag } = await request(url, known?.etag, { settings, signal });
    if (status === 304) return undefined;
    if (status !== 200) throw new UnleashError(resultOf(status), refusalOf(url, status));
    const definitions = known?.text === text ? undefined : parseAnswer(url, text);
    known = { etag, text };
    return definitions && { definitions, text };
  };
  return async (signal) => {
    try {
      const polled = await ask(signal);
      settings.onAnswer?.('client', polled === undefined ? 'not_modified' : 'ok');
      return polled;
    } catch (error) {
      if (error instanceof UnleashError && !signal.aborted) settings.onAnswer?.('client', error.result);
      throw error;
    }
  };
}

interface Answer {
  readonly status: number;
  /** Empty unless the status is 200. */
  readonly text: string;
  readonly etag: string | undefined;
}

async function request(
  url: string,
  etag: string | undefined,
  { settings, signal }: { settings: PollSettings; signal: AbortSignal },
): Promise<Answer> {
  try {
    const response = await fetch(url, {
      headers: {
        authorization: settings.apiToken,
        'unleash-appname': settings.appName,
        'unleash-client-spec': SPEC_VERSION,
        'unleash-interval': String(settings.refreshIntervalMs),
        ...(etag === undefined ? {} : { 'if-none-match': etag }),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
    });
    const { status, headers } = response;
    if (status !== 200) await response.body?.cancel();
    // Reading the body has the same timeout, because a body may stop half-way.
    const text = status === 200 ? await response.text() : '';
    return { status, text, etag: headers.get('etag') ?? undefined };
  } catch (cause) {
    throw failureOf(url, cause, REQUEST_TIMEOUT_MS);
  }
}

const HINTS: Readonly<Record<number, string>> = {
  401: ': the API token is not accepted',
  403: ': the API token may not read these flags',
  404: ': the URL of Unleash usually ends with /api',
};

function refusalOf(url: string, status: number): string {
  return `${url} answered ${status}${HINTS[status] ?? ''}`;
}

function parseAnswer(url: string, text: string): Definitions {
  try {
    return parseDefinitions(text);
  } catch (cause) {
    throw new UnleashError('malformed', `the answer of ${url} is not in Unleash's client format`, { cause });
  }
}

/** The possible results of a request to Unleash. */
const UNLEASH_RESULTS = [
  'ok',
  'not_modified',
  'unauthorized',
  'forbidden',
  'not_found',
  'conflict',
  'rate_limited',
  'refused',
  'server_error',
  'timeout',
  'unreachable',
  'malformed',
] as const;

export type UnleashResult = (typeof UNLEASH_RESULTS)[number];

/** The API: `client` reads flags, `admin` changes them. */
type UnleashApi = 'client' | 'admin';

/** Called for every request, with its result. */
export type OnUnleashAnswer = (api: UnleashApi, result: UnleashResult) => void;

/** Why a request to Unleash failed. The message contains no token. */
export class UnleashError extends Error {
  readonly result: UnleashResult;

  constructor(result: UnleashResult, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UnleashError';
    this.result = result;
  }
}

const RESULTS: Readonly<Record<number, UnleashResult>> = {
  304: 'not_modified',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  429: 'rate_limited',
};

export function resultOf(status: number): UnleashResult {
  if (status >= 200 && status < 300) return 'ok';
  return RESULTS[status] ?? (status >= 500 ? 'server_error' : 'refused');
}

/** Converts an error of `fetch`, or of reading a body: a timeout, or an unreachable server. */
export function failureOf(url: string, cause: unknown, timeoutMs: number): UnleashError {
  const isLate = cause instanceof Error && cause.name === 'TimeoutError';
  if (isLate) return new UnleashError('timeout', `${url} did not answer within ${timeoutMs} ms`, { cause });
  return new UnleashError('unreachable', `${url} cannot be reached: ${reasonOf(cause)}`, { cause });
}

/** The message of fetch is only "fetch failed"; its cause has the reason. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return String(cause);
  return 'code' in cause ? String(cause.code) : cause.message;
}

/** Requests to Unleash since the start, by result. */
interface RequestCount {
  readonly api: UnleashApi;
  readonly result: UnleashResult;
  total: number;
}

export class RequestCounts {
  readonly #counts = new Map<string, RequestCount>();
  readonly add: OnUnleashAnswer = (api, result) => {
    const key = `${api} ${result}`;
    const known = this.#counts.get(key);
    if (known === undefined) this.#counts.set(key, { api, result, total: 1 });
    else known.total += 1;
  };

  list(): readonly Readonly<RequestCount>[] {
    return [...this.#counts.values()];
  }
}
