import { expect, test } from 'vitest';
import { ValidationError } from '../../../src/domain/errors.ts';
import { parseRequest, readMessage, readSender } from '../../../src/orchestrator/wire/request.ts';

/** The refusal of a request, and the processor time that it took, milliseconds. */
function refusalOf(action: string, payload: object): { message: string; details: object; cpuMs: number } {
  const bytes = Buffer.from(JSON.stringify({ action, session_id: 's', payload }));
  const before = process.cpuUsage();
  try {
    parseRequest(readMessage(bytes));
  } catch (error) {
    const { user, system } = process.cpuUsage(before);
    if (!(error instanceof ValidationError)) throw error;
    return { message: error.message, details: error.details, cpuMs: (user + system) / 1_000 };
  }
  throw new Error('the request was not refused');
}

const create = { memory_type: 'fact', content: {} };

test.each([
  ['tags', 256, 450_000, 1],
  ['tags', 256, 450_000, ''],
  ['embedding', 16_000, 450_000, 1],
  ['embedding', 16_000, 450_000, 'x'],
])('%s of more than %d items is refused by its length: %d of %j', (field, limit, count, item) => {
  const { message, details, cpuMs } = refusalOf('create', { ...create, [field]: Array(count).fill(item) });
  expect(message).toBe(`${field} must not have more than ${limit} items`);
  expect(details).toMatchObject({ field, limit });
  expect(cpuMs).toBeLessThan(1_000);
});

test('a message of more values than the limit is refused before it is parsed', () => {
  const list = Array(1_000_000).fill(1);
  const { message, details, cpuMs } = refusalOf('create', { ...create, content: { list } });
  expect(message).toBe('The message has too many JSON values: the limit is 500000');
  expect(details).toMatchObject({ field: 'message', limit: 500_000 });
  expect(cpuMs).toBeLessThan(300);
});

test('the first wrong item of a list is named by its index', () => {
  const embedding = [...Array<unknown>(15_998).fill(0.5), 'x', 'y'];
  expect(refusalOf('create', { ...create, embedding }).message).toBe('embedding.15998 must be number');
  const filter = { memory_ids: ['a', '', 'c'] };
  expect(refusalOf('batch_read', { filter }).message).toBe(
    'filter.memory_ids.1 must not have fewer than 1 characters',
  );
  expect(refusalOf('create', { content: {}, tags: [1] }).message).toBe('memory_type is required');
  expect(refusalOf('digest', { fields: [] }).message).toBe('fields must not have fewer than 1 items');
});

test('an unknown condition among 300,000 is refused by its name, at once', () => {
  const filter = Object.fromEntries(Array.from({ length: 300_000 }, (_, index) => [`a${index}`, 1]));
  const { message, cpuMs } = refusalOf('bulk_delete', { filter });
  expect(message).toBe('filter.a0 is unknown');
  expect(cpuMs).toBeLessThan(2_000);
});

test('the sender of a message is read without the rest of it', () => {
  const auth = { key: 'k' };
  const long = { request_id: 'r', payload: { tags: [1, { auth: 2 }] }, action: 'read', auth };
  expect(readSender(Buffer.from(JSON.stringify(long))).members).toEqual({
    request_id: 'r',
    action: 'read',
    auth,
  });
  const tooLong = JSON.stringify({ auth: { key: 'k'.repeat(5_000) }, action: 'read' });
  expect(readSender(Buffer.from(tooLong)).members).toEqual({ action: 'read' });
  for (const broken of ['', '[', '{"auth":{"key"', '{"auth":tru}', '{"au\\q":1,"auth":"'])
    expect(() => readSender(Buffer.from(broken)).members['auth'] ?? null).not.toThrow(TypeError);
});
