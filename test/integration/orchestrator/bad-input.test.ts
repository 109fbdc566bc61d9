import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Action, PAYLOADS } from '../../../src/orchestrator/wire/payloads.ts';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { badValues, fieldsOf, requiredOf, type Schema } from './bad-values.ts';
import { createKept, GOOD, keptIn, MEMORY, SESSION } from './good-payloads.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const ACTIONS = Object.keys(PAYLOADS) as Action[];
// Their payload means nothing.
const ASKS = ACTIONS.filter(
  (action) => !['health', 'ping', 'health_check', 'close_sequence'].includes(action),
);
const ESCAPING: Partial<Record<Action, string>> = { batch_write: 'operations' };

const REFUSED = { status: 'error', error: { code: 'validation_error', details: { effect: 'rejected' } } };

interface Bad {
  readonly what: string;
  readonly payload: object;
}

/** Every field of the action's schema with every value that it must refuse, and without each that it needs. */
function badPayloads(action: Action): Bad[] {
  const schema = PAYLOADS[action] as Schema;
  const good = GOOD[action];
  const without = requiredOf(schema).map((field) => ({
    what: `without ${field}`,
    payload: Object.fromEntries(Object.entries(good).filter(([name]) => name !== field)),
  }));
  const wrong = Object.entries(fieldsOf(schema)).flatMap(([field, of]) =>
    badValues(field, of)
      .filter(({ what }) => !(ESCAPING[action] === field && what.includes('in it')))
      .map(({ what, value }) => ({
        what: `${field}: ${what}`,
        payload: { ...good, [field]: value },
      })),
  );
  return [...without, ...wrong];
}

describe.each(DATABASES)('bad input on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let before: unknown;

  const everything = (): Promise<unknown> => keptIn(orchestrator);

  beforeAll(async () => {
    orchestrator = await stage.start(kind);
    await createKept(orchestrator);
    before = await everything();
  });

  test.each(ASKS)('%s refuses every bad value of every field, without partial writes', async (action) => {
    const bad = badPayloads(action);
    expect(bad.length).toBeGreaterThan(0);
    const answers = await Promise.all(
      bad.map(async ({ what, payload }) => {
        const { status, error } = await orchestrator.ask(action, payload, { session_id: SESSION });
        const { code, details } = error ?? {};
        return { what, status, code, effect: details?.['effect'], field: typeof details?.['field'] };
      }),
    );
    expect(answers).toEqual(
      bad.map(({ what }) => ({
        what,
        status: 'error',
        code: 'validation_error',
        effect: 'rejected',
        field: 'string',
      })),
    );
    expect(await everything()).toEqual(before);
  });

  const operation = (payload: object, more: object = {}) => ({ action: 'update', payload, ...more });
  test.each([
    ['without an action', [{ payload: {} }], 'invalid_request'],
    ['that only reads', [{ action: 'read', payload: { memory_id: MEMORY } }], 'invalid_request'],
    ['that is a batch', [{ action: 'batch_write', payload: { operations: [{}] } }], 'invalid_request'],
    ['with a payload that is none', [{ action: 'update', payload: 5 }], 'invalid_request'],
    [
      'of a session that is none',
      [operation({ memory_id: MEMORY, priority: 1 }, { session_id: 5 })],
      'invalid_request',
    ],
    [
      'behind a fence that is none',
      [operation({ memory_id: MEMORY }, { lane: { key: '' } })],
      'validation_error',
    ],
    ['with NUL', [operation({ memory_id: MEMORY, content: { text: '\0' } })], 'validation_error'],
    ['with a tag that has NUL', [operation({ memory_id: MEMORY, tags: ['\0'] })], 'validation_error'],
    [
      'that is refused after others were taken',
      [operation({ memory_id: MEMORY, priority: 1 }), operation({ memory_id: 'nobody', priority: 1 })],
      'memory_not_found',
    ],
  ])('batch_write refuses an operation %s', async (_what, operations, code) => {
    const { error } = await orchestrator.ask('batch_write', { operations }, { session_id: SESSION });
    expect(error).toMatchObject({ code, details: { operation: operations.length - 1, effect: 'rejected' } });
    expect(await everything()).toEqual(before);
  });

  const nobody = { session_id: 'nobody' };
  const fenced = (lane: unknown) => ({ session_id: SESSION, lane }) as object;
  test.each<[what: string, action: Action, payload: object, envelope: object, expected: object]>([
    ['an unknown session', 'create', GOOD.create, nobody, { code: 'session_not_found' }],
    ['an unknown session', 'bulk_delete', {}, nobody, { code: 'session_not_found' }],
    ['an unknown session', 'end_session', {}, nobody, { code: 'session_not_found' }],
    ['an unknown session', 'put_agent_state', GOOD.put_agent_state, nobody, { code: 'session_not_found' }],
    ['another session', 'read', GOOD.read, nobody, { code: 'memory_not_found' }],
    ['another session', 'update', GOOD.update, nobody, { code: 'memory_not_found' }],
    ['another session', 'delete', GOOD.delete, nobody, { code: 'memory_not_found' }],
    ['another session', 'add_relationship', GOOD.add_relationship, nobody, { code: 'memory_not_found' }],
    ['an unknown memory', 'read', { memory_id: 'none' }, {}, { code: 'memory_not_found' }],
    ['an unknown user', 'get_profile', { user_id: 'none' }, {}, { code: 'memory_not_found' }],
    ['an unknown user', 'delete_profile', { user_id: 'none' }, {}, { code: 'memory_not_found' }],
    ['an unknown agent', 'get_agent_state', { agent_id: 'none' }, {}, { code: 'memory_not_found' }],
    ['neither end', 'get_related', {}, {}, { code: 'validation_error' }],
    ['an id in use', 'create', { ...GOOD.create, memory_id: MEMORY }, {}, duplicate()],
    [
      'an id in use in a session that it would make',
      'create',
      { ...GOOD.create, memory_id: MEMORY, create_session: true },
      { session_id: 'never made' },
      duplicate(),
    ],
    [
      'an id in use, told twice, in a session that it would make',
      'create',
      { ...GOOD.create, memory_id: MEMORY, create_session: true },
      { session_id: 'never made', request_id: 'told twice' },
      duplicate(),
    ],
    ["somebody else's id", 'create_session', { user_id: 'thief' }, {}, duplicate()],
    ['another version', 'update', { ...GOOD.update, if_version: 7 }, {}, conflict()],
    ['another version', 'delete', { ...GOOD.delete, if_version: 7 }, {}, conflict()],
    ['another version', 'put_profile', { ...GOOD.put_profile, if_version: 7 }, {}, conflict()],
    [
      'another version',
      'put_agent_state',
      { ...GOOD.put_agent_state, if_version: 7 },
      { session_id: '' },
      conflict(),
    ],
    ['a cursor of nobody', 'scan', { cursor: 'x' }, {}, { code: 'validation_error' }],
    ['a cursor of nobody', 'list_sessions', { cursor: 'WzFd' }, {}, { code: 'validation_error' }],
    [
      'a cursor of nobody',
      'get_related',
      { ...GOOD.get_related, cursor: 'W10' },
      {},
      { code: 'validation_error' },
    ],
    ['no session', 'create', GOOD.create, { session_id: '' }, { code: 'invalid_request' }],
    ['a session that is no text', 'create', GOOD.create, { session_id: 5 }, { code: 'invalid_request' }],
    [
      'a session of 65 characters',
      'create',
      GOOD.create,
      { session_id: 'x'.repeat(65) },
      { code: 'validation_error' },
    ],
    ['a session with NUL', 'create', GOOD.create, { session_id: 'a\0' }, { code: 'validation_error' }],
    ['a payload that is a list', 'create', [], {}, { code: 'invalid_request' }],
    ['a fence that is a list', 'create', GOOD.create, fenced([]), { code: 'validation_error' }],
    ['a fence without a key', 'create', GOOD.create, fenced({ generation: 1 }), { code: 'validation_error' }],
    [
      'a fence with NUL',
      'create',
      GOOD.create,
      fenced({ key: 'a\0', generation: 1 }),
      { code: 'validation_error' },
    ],
    [
      'a generation below 0',
      'create',
      GOOD.create,
      fenced({ key: 'k', generation: -1 }),
      { code: 'validation_error' },
    ],
    [
      'a sequence of 2^53',
      'create',
      GOOD.create,
      fenced({ key: 'k', generation: 1, sequence: 2 ** 53 }),
      { code: 'validation_error' },
    ],
    [
      'an expiry beyond all years',
      'create',
      { ...GOOD.create, created_at: '9999-12-31', ttl: 90_000 },
      {},
      { code: 'validation_error' },
    ],
    ['a deadline of 0', 'ping', {}, { deadline_ms: 0 }, { code: 'validation_error' }],
    ['a deadline that is no number', 'ping', {}, { deadline_ms: 'soon' }, { code: 'validation_error' }],
  ])('%s is refused to %s by its documented code', async (_what, action, payload, envelope, expected) => {
    const { error } = await orchestrator.ask(action, payload, { session_id: SESSION, ...envelope });
    expect(error).toMatchObject({ ...expected, details: { effect: 'rejected' } });
    expect(await everything()).toEqual(before);
  });

  // Ignored as what is not known is elsewhere, each of these would delete the whole session.
  test.each([
    ['filter.memory_typ', { filter: { memory_typ: 'fact' } }],
    ['filter.limit', { filter: { tags: ['a'], limit: 1 } }],
    ['filters', { filters: { memory_type: 'fact' } }],
    ['memory_ids', { memory_ids: ['nobody'] }],
    ['tags', { tags: ['a'], filter: {} }],
  ])('bulk_delete refuses the misplaced condition %s by its name', async (field, payload) => {
    const { error } = await orchestrator.ask('bulk_delete', payload, { session_id: SESSION });
    expect(error).toMatchObject({ code: 'validation_error', details: { field, effect: 'rejected' } });
    const operations = [{ action: 'bulk_delete', payload }];
    const batch = await orchestrator.ask('batch_write', { operations }, { session_id: SESSION });
    expect(batch.error).toMatchObject({ code: 'validation_error', details: { field, operation: 0 } });
    expect(await everything()).toEqual(before);
  });

  test('a number beyond a double is refused, not rounded', async () => {
    const send = (position: string) =>
      orchestrator.send(
        `{"action":"update","session_id":"${SESSION}","payload":{"memory_id":"${MEMORY}","position":${position}}}`,
      );
    for (const position of ['9007199254740993', '1e400', '-1', '0.5', 'NaN', 'Infinity'])
      expect(await send(position)).toMatchObject(REFUSED);
    expect(await everything()).toEqual(before);
  });
});

function duplicate(): object {
  return { code: 'validation_error', details: { reason: 'duplicate', effect: 'rejected' } };
}

function conflict(): object {
  return { code: 'validation_error', details: { reason: 'version_conflict', effect: 'rejected' } };
}
