import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type LaneKey, operationId, serviceName } from '../../../src/domain/ids.ts';
import { createEvents, type Events, type MigrationEvents } from '../../../src/engine/ports/events.ts';
import { createLogListener } from '../../../src/telemetry/log-events.ts';
import { createProblemLog } from '../../../src/telemetry/log.ts';

const SERVICE = serviceName('session-memory');
const LANE = 'session-memory/s-1' as LaneKey;
const OF_LANE = { service: SERVICE, lane: LANE };
const OF_WRITE = { ...OF_LANE, operationId: operationId('op-1'), action: 'add', sequence: 4 };

type Line = Record<string, unknown>;
let lines: Line[];
let events: Events;

function listen(level: string): void {
  lines = [];
  events = createEvents();
  const log = pino({ level }, { write: (text: string) => lines.push(JSON.parse(text) as Line) });
  events.subscribe(createLogListener(log));
}

beforeEach(() => {
  vi.useFakeTimers();
  listen('debug');
});

afterEach(() => vi.useRealTimers());

const WARN = 40;
const INFO = 30;
const DEBUG = 20;

const failed: MigrationEvents['delivery:failed'] = {
  writes: 3,
  attempt: 1,
  retryInMs: 100.4,
  reason: 'no answer',
};

test('events that need a person are warnings, others are not', () => {
  const { emit } = events;
  emit('lane:dirty', { ...OF_LANE, reason: 'unsettled' });
  emit('lane:stopped', { ...OF_LANE, reason: 'lost_items', lost: 2 });
  emit('lane:copy_failed', { ...OF_LANE, reason: 'no answer', attempt: 2, retryInMs: 100 });
  emit('delivery:failed', failed);
  emit('delivery:dead_letter', { ...OF_WRITE, code: 'validation_error', reason: 'duplicate' });
  emit('delivery:altered', { ...OF_LANE, sequence: 4 });
  emit('journal:failed', { reason: 'gone' });
  emit('replica:took_over', { what: 'gone' });
  emit('write:came_late', { ...OF_WRITE, outcome: 'applied' });
  emit('backfill:failed', { service: SERVICE, reason: 'no file' });
  emit('coverage:began', { service: SERVICE, number: 1 });
  emit('coverage:ended', { service: SERVICE, number: 1 });
  emit('backfill:queued', { service: SERVICE, owners: 5, lanes: 4 });
  emit('lane:copied', {
    ...OF_LANE,
    items: 1,
    written: 1,
    deleted: 0,
    forgotten: 0,
    durationMs: 1,
    heldMs: 1,
  });
  expect(lines.map(({ event, level }) => [event, level])).toEqual([
    ['lane:dirty', WARN],
    ['lane:stopped', WARN],
    ['lane:copy_failed', WARN],
    ['delivery:failed', WARN],
    ['delivery:dead_letter', WARN],
    ['delivery:altered', WARN],
    ['journal:failed', WARN],
    ['replica:took_over', INFO],
    ['write:came_late', DEBUG],
    ['backfill:failed', WARN],
    ['coverage:began', INFO],
    ['coverage:ended', INFO],
    ['backfill:queued', INFO],
    ['lane:copied', DEBUG],
  ]);
});

test('an expired rule is logged with its owner', () => {
  const rule = { kind: 'ignore', path: 'memories[].note', owner: 'ann', expires: '2026-11-22' } as const;
  events.emit('rule:expired', { service: SERVICE, action: 'get_context', ...rule });
  expect(lines).toMatchObject([{ event: 'rule:expired', level: WARN, action: 'get_context', ...rule }]);
});

test('requests are not logged', () => {
  const of = { operationId: operationId('op-1'), service: SERVICE, action: 'add' };
  events.emit('operation:received', { ...of, kind: 'write', atMs: 1 });
  events.emit('write:journaled', { ...of, lane: LANE, sequence: 1, durationMs: 1 });
  events.emit('operation:replied', { ...of, kind: 'write', status: 'answered', durationMs: 1, primaryMs: 1 });
  expect(lines).toEqual([]);
});

test('a copied lane is not logged at info', () => {
  listen('info');
  events.emit('lane:copied', {
    ...OF_LANE,
    items: 1,
    written: 1,
    deleted: 0,
    forgotten: 0,
    durationMs: 1,
    heldMs: 1,
  });
  expect(lines).toEqual([]);
  events.emit('coverage:began', { service: SERVICE, number: 1 });
  expect(lines).toHaveLength(1);
});

test('an unreachable secondary causes one line at once, then one per 5 s', () => {
  for (let attempt = 1; attempt <= 40; attempt += 1) events.emit('delivery:failed', { ...failed, attempt });
  expect(lines.map(({ count, attempt }) => [count, attempt])).toEqual([[1, 1]]);
  vi.advanceTimersByTime(4_999);
  expect(lines).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(lines.map(({ count, attempt }) => [count, attempt])).toEqual([
    [1, 1],
    [39, 40],
  ]);
  vi.advanceTimersByTime(60_000);
  expect(lines, 'nothing happened, nothing is said').toHaveLength(2);
  events.emit('delivery:failed', failed);
  expect(lines, 'quiet before: said at once').toHaveLength(3);
});

test('failed listings do not fill the log, and are counted by service', () => {
  const other = serviceName('jarvis-memory');
  for (let attempt = 0; attempt < 20; attempt += 1) {
    events.emit('backfill:failed', { service: SERVICE, reason: `no file ${attempt}` });
    events.emit('backfill:failed', { service: other, reason: 'no answer' });
  }
  vi.advanceTimersByTime(5_000);
  expect(lines.map(({ service, count, reason }) => [service, count, reason])).toEqual([
    [SERVICE, 1, 'no file 0'],
    [other, 1, 'no answer'],
    [SERVICE, 19, 'no file 19'],
    [other, 19, 'no answer'],
  ]);
});

test('repeated edge problems do not fill the log, others are logged at once', () => {
  const said: Line[] = [];
  const log = pino({ level: 'info' }, { write: (text: string) => said.push(JSON.parse(text) as Line) });
  const onProblem = createProblemLog(log);
  for (let reply = 0; reply < 500; reply += 1) onProblem(SERVICE, 'reply_undeliverable', 'Host unreachable');
  onProblem(SERVICE, 'receive_failed', 'gone');
  onProblem('jarvis-memory', 'reply_undeliverable', 'Host unreachable');
  expect(said.map(({ service, problem, count }) => [service, problem, count])).toEqual([
    [SERVICE, 'reply_undeliverable', 1],
    [SERVICE, 'receive_failed', 1],
    ['jarvis-memory', 'reply_undeliverable', 1],
  ]);
  vi.advanceTimersByTime(5_000);
  expect(said.slice(3)).toMatchObject([{ level: WARN, problem: 'reply_undeliverable', count: 499 }]);
  vi.advanceTimersByTime(60_000);
  expect(said).toHaveLength(4);
});

test('failures of journal and deliveries are counted separately', () => {
  events.emit('delivery:failed', failed);
  events.emit('journal:failed', { reason: 'gone' });
  expect(lines.map(({ event, count }) => [event, count])).toEqual([
    ['delivery:failed', 1],
    ['journal:failed', 1],
  ]);
});

test('no line has a member that is not listed for its event', () => {
  const secret = { content: 'my-secret', request: 'my-secret', reply: { text: 'my-secret' } };
  const events_: [keyof MigrationEvents, object][] = [
    ['lane:dirty', { ...OF_LANE, reason: 'unsettled', ...secret }],
    ['lane:stopped', { ...OF_LANE, reason: 'lost_items', lost: 1, ...secret }],
    ['delivery:dead_letter', { ...OF_WRITE, code: 'c', reason: 'r', ...secret }],
    ['delivery:failed', { ...failed, ...secret }],
    ['backfill:queued', { service: SERVICE, owners: 1, lanes: 1, ...secret }],
  ];
  for (const [name, event] of events_) events.emit(name, event as never);
  expect(lines).toHaveLength(events_.length);
  expect(JSON.stringify(lines)).not.toContain('my-secret');
  events.emit('lane:dirty', { ...OF_LANE, reason: 'my-secret' });
  expect(JSON.stringify(lines), 'the check can fail').toContain('my-secret');
});

test("the quoted text in JSON.parse's message is not logged", () => {
  let message = '';
  try {
    JSON.parse('{"a": my-secret-diary, "b": 2}');
  } catch (error) {
    message = String(error);
  }
  expect(message).toContain('my-secret');
  events.emit('backfill:failed', { service: SERVICE, reason: message });
  expect(lines[0]).toMatchObject({ reason: 'SyntaxError: the text is not valid JSON' });
});

async function logged(pretty: boolean, statement = `log.info({ port: 5 }, 'started');`): Promise<string> {
  const log = new URL('../../../src/telemetry/log.ts', import.meta.url).href;
  const program = `
    const { createLog } = await import(${JSON.stringify(log)});
    const log = createLog({ level: 'info', pretty: ${pretty}, name: 'crossfade' });
    log.debug('too quiet');
    ${statement}`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  return stdout;
}

test('a log is JSON lines', async () => {
  vi.useRealTimers();
  const [line, ...rest] = (await logged(false)).trim().split('\n');
  expect(rest).toEqual([]);
  expect(JSON.parse(line ?? '')).toMatchObject({ level: INFO, name: 'crossfade', port: 5, msg: 'started' });
});

test('a pretty log is readable text', async () => {
  vi.useRealTimers();
  const text = await logged(true);
  expect(text).toContain('started');
  expect(() => JSON.parse(text) as unknown).toThrow();
});

test('rows and parameters of a database error are not logged', async () => {
  vi.useRealTimers();
  const facts = `{ code: '23505', detail: 'Key (content)=(my-secret)', params: ['my-secret'] }`;
  const line = await logged(false, `log.warn({ err: Object.assign(new Error('duplicate key'), ${facts}) });`);
  expect(JSON.parse(line)).toMatchObject({
    err: { type: 'Error', message: 'duplicate key', code: '23505' },
  });
  expect(line).not.toContain('my-secret');
});
