import { addressOf } from '../../../src/operator/api/endpoint.ts';
import type { OperatorApi } from '../../../src/operator/desk/operator-api.ts';

/** An operator's API for pages: `answer` gives the answer for each path with its query. */
export function answeringApi(answer: (path: string) => unknown): OperatorApi {
  const get = async (path: string) => (await answer(path)) as never;
  return {
    ask: (endpoint, call) => get(addressOf(endpoint, call)),
    get,
    post: get,
    document: get,
  };
}
