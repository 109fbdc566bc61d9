import { addressOf } from '../../../src/operator/api/endpoint.ts';
import type { OperatorApi } from '../../../src/operator/desk/operator-api.ts';

/** An operator's API for pages: `answer` gives the answer for each path with its query. */
export function answeringApi(answer: (path: string) => unknown): OperatorApi {
  return {
    async ask(endpoint, call) {
      const found = await answer(addressOf(endpoint, call));
      return ('json' in endpoint.answer ? found : JSON.stringify(found)) as never;
    },
    document: async (endpoint, call) => ({
      text: JSON.stringify(await answer(addressOf(endpoint, call))),
      type: 'application/json',
    }),
  };
}
