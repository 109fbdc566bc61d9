/** What a person asks a replica for. */
export interface OperatorCalls {
  /** @throws Error with the reason, where the replica refuses, or is away */
  get<Answer>(path: string): Promise<Answer>;
  /** In the name of a person. @throws Error with the reason, where the replica refuses, or is away */
  post<Answer>(path: string, body?: object): Promise<Answer>;
}

const TIMEOUT_MS = 5_000;

/** @param url of the replica, without a slash at the end */
export function createOperatorCalls(url: string): OperatorCalls {
  const call = async <Answer>(path: string, init: RequestInit = {}): Promise<Answer> => {
    const reply = await fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${path} answers ${reply.status}: ${text}`);
    return JSON.parse(text) as Answer;
  };
  return {
    get: (path) => call(path),
    post: (path, body = {}) =>
      call(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ person: 'ann', reason: 'a test', ...body }),
      }),
  };
}
