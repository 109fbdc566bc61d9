import type { OnUnleashAnswer, UnleashApi, UnleashResult } from './unleash-answer.ts';

/** How often requests to Unleash ended in which way, since the start. */
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
