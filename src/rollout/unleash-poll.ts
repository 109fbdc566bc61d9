import { parseDefinitions, type Definitions } from './definitions.ts';

export interface PollSettings {
  /** Unleash's API, usually ending with `/api`. */
  readonly url: string;
  readonly apiToken: string;
  readonly appName: string;
  readonly refreshIntervalMs: number;
}

const REQUEST_TIMEOUT_MS = 5_000;
const SPEC_VERSION = '5.2.0';

/** Asks a server for its flags. Resolves with nothing where they have not changed. @throws Error naming URL and status or cause */
export function createUnleashPoll(
  settings: PollSettings,
): (signal: AbortSignal) => Promise<Definitions | undefined> {
  const url = `${settings.url.replace(/\/+$/, '')}/client/features`;
  let known: { readonly etag: string | undefined; readonly text: string } | undefined;
  return async (signal) => {
    const response = await request(url, known?.etag, { settings, signal });
    if (response.status === 304) {
      await response.body?.cancel();
      return undefined;
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(refusalOf(url, response.status));
    }
    const text = await response.text();
    const etag = response.headers.get('etag') ?? undefined;
    const isSame = known?.text === text;
    const definitions = isSame ? undefined : parseAnswer(url, text);
    known = { etag, text };
    return definitions;
  };
}

async function request(
  url: string,
  etag: string | undefined,
  { settings, signal }: { settings: PollSettings; signal: AbortSignal },
): Promise<Response> {
  try {
    return await fetch(url, {
      headers: {
        authorization: settings.apiToken,
        'unleash-appname': settings.appName,
        'unleash-client-spec': SPEC_VERSION,
        'unleash-interval': String(settings.refreshIntervalMs),
        ...(etag === undefined ? {} : { 'if-none-match': etag }),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
    });
  } catch (cause) {
    throw new Error(`${url} ${failureOf(cause)}`, { cause });
  }
}

function failureOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.name === 'TimeoutError') return `did not answer within ${REQUEST_TIMEOUT_MS} ms`;
  // fetch says only "fetch failed"; what failed is its cause.
  const reason = cause.cause instanceof Error ? cause.cause : cause;
  return `cannot be reached: ${'code' in reason ? String(reason.code) : reason.message}`;
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
    throw new Error(`${url} answered what is not in Unleash's client format`, { cause });
  }
}
