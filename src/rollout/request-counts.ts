import type { OnUnleashAnswer, UnleashApi, UnleashResult } from './unleash-answer.ts';

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
