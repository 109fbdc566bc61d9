import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type LaneKey, operationId, serviceName } from '../../../src/domain/ids.ts';
import { createEvents, type Emit } from '../../../src/engine/ports/events.ts';
import { createTraces, OpenOperations, type Traces } from '../../../src/telemetry/traces.ts';
import { freePort } from '../../support/ports.ts';

interface WireSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  status: { code?: number };
  attributes: { key: string; value: Record<string, unknown> }[];
}

interface WireRequest {
  resourceSpans: {
    resource: { attributes: { key: string; value: Record<string, unknown> }[] };
    scopeSpans: { spans: WireSpan[] }[];
  }[];
}

const SERVICE = serviceName('session-memory');
const LANE = 'session-memory/owner-4711' as LaneKey;

let server: Server;
let endpoint: string;
let received: WireRequest[];
let paths: (string | undefined)[];

beforeEach(async () => {
  received = [];
  paths = [];
  const port = await freePort();
  server = createServer((request, response) => {
    paths.push(request.url);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push(JSON.parse(Buffer.concat(chunks).toString()) as WireRequest);
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${port}/v1/traces`;
});

afterEach(() => new Promise((resolve) => server.close(resolve)));

function spans(): WireSpan[] {
  return received.flatMap(({ resourceSpans }) =>
    resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)),
  );
}

function spanOf(name: string): WireSpan {
  const found = spans().find((span) => span.name === name);
  if (found === undefined) throw new Error(`no span is called "${name}"`);
  return found;
}

const durationMs = (span: WireSpan): number =>
  Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6;

const attributeOf = (span: WireSpan, name: string): unknown =>
  Object.values(span.attributes.find(({ key }) => key === name)?.value ?? {})[0];

function traced(options: { sampleRatio: number; random?: () => number; endpoint?: string | undefined }): {
  emit: Emit;
  traces: Traces;
} {
  const events = createEvents();
  const traces = createTraces({ endpoint, random: () => 0.5, ...options });
  events.subscribe(traces.listener);
  return { emit: events.emit, traces };
}

function write(emit: Emit, id: string): void {
  const of = { operationId: operationId(id), service: SERVICE, action: 'add' };
  const at = { ...of, lane: LANE, sequence: 7 };
  const atMs = performance.now();
  emit('operation:received', { ...of, kind: 'write', lane: LANE, atMs });
  emit('write:journaled', { ...at, durationMs: 2 });
  emit('backend:called', {
    ...of,
    backend: 'legacy',
    purpose: 'live',
    startedAtMs: atMs + 2,
    durationMs: 5,
    result: 'answered',
  });
  emit('write:answered', { ...at, outcome: 'applied' });
  emit('operation:replied', {
    ...of,
    kind: 'write',
    backend: 'legacy',
    status: 'answered',
    durationMs: 8,
    primaryMs: 5,
  });
  emit('delivery:applied', { ...at, result: 'applied', lagMs: 40 });
}

test.each([
  ['', '/v1/traces'],
  ['/', '/v1/traces'],
  ['/collect', '/collect'],
])('an endpoint with the path "%s" is called at %s', async (path, asked) => {
  const { emit, traces } = traced({ sampleRatio: 1, endpoint: `${new URL(endpoint).origin}${path}` });
  write(emit, 'op-1');
  await traces.stop();
  expect(paths).toEqual([asked]);
});

test('a sampled write is one trace of operation, journal, primary and delivery', async () => {
  const { emit, traces } = traced({ sampleRatio: 1 });
  write(emit, 'op-1');
  await traces.stop();
  expect(
    spans()
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(['delivery', 'journal', 'legacy live', 'session-memory add']);
  const root = spanOf('session-memory add');
  expect(root.parentSpanId).toBeUndefined();
  for (const span of spans().filter((other) => other !== root)) {
    expect(span.traceId).toBe(root.traceId);
    expect(span.parentSpanId).toBe(root.spanId);
  }
});

test("spans have the engine's own times", async () => {
  const { emit, traces } = traced({ sampleRatio: 1 });
  write(emit, 'op-1');
  await traces.stop();
  const root = spanOf('session-memory add');
  const call = spanOf('legacy live');
  expect(durationMs(root)).toBeCloseTo(8, 1);
  expect(durationMs(call)).toBeCloseTo(5, 1);
  expect(durationMs(spanOf('journal'))).toBeCloseTo(2, 1);
  expect(durationMs(spanOf('delivery'))).toBeCloseTo(40, 1);
  const offsetMs = Number(BigInt(call.startTimeUnixNano) - BigInt(root.startTimeUnixNano)) / 1e6;
  expect(offsetMs).toBeCloseTo(2, 1);
  expect(Math.abs(Number(root.startTimeUnixNano) / 1e6 - Date.now())).toBeLessThan(60_000);
});

test('a later comparison is in the trace of its read', async () => {
  const { emit, traces } = traced({ sampleRatio: 1 });
  const of = { operationId: operationId('op-2'), service: SERVICE, action: 'get_context' };
  emit('operation:received', { ...of, kind: 'read', lane: LANE, atMs: performance.now() });
  emit('operation:replied', {
    ...of,
    kind: 'read',
    backend: 'legacy',
    status: 'answered',
    durationMs: 1,
    primaryMs: 1,
  });
  emit('shadow:compared', {
    ...of,
    lane: LANE,
    primary: 'legacy',
    comparison: { verdict: 'not_comparable', differences: [], suppressed: 0, reason: 'racy' },
    durationMs: 3,
  });
  await traces.stop();
  expect(spanOf('compare').traceId).toBe(spanOf('session-memory get_context').traceId);
  expect(attributeOf(spanOf('compare'), 'crossfade.reason')).toBe('racy');
});

test('a timeout of a backend is an error', async () => {
  const { emit, traces } = traced({ sampleRatio: 1 });
  const of = { operationId: operationId('op-3'), service: SERVICE, action: 'add' };
  emit('operation:received', { ...of, kind: 'write', atMs: 0 });
  emit('backend:called', {
    ...of,
    backend: 'legacy',
    purpose: 'live',
    startedAtMs: 0,
    durationMs: 1,
    result: 'timeout',
  });
  emit('operation:replied', { ...of, kind: 'write', status: 'timeout', durationMs: 1, primaryMs: 0 });
  await traces.stop();
  expect(spanOf('legacy live').status.code).toBe(2);
  expect(spanOf('session-memory add').status.code).toBe(2);
});

test('the configured share of operations is traced, decided once for each', async () => {
  let turn = 0;
  const { emit, traces } = traced({ sampleRatio: 0.25, random: () => (turn++ % 4) / 4 });
  for (let index = 0; index < 40; index += 1) write(emit, `op-${index}`);
  await traces.stop();
  expect(new Set(spans().map(({ traceId }) => traceId)).size).toBe(10);
  expect(spans()).toHaveLength(40);
});

test('no memory, owner or host name is exported', async () => {
  const { emit, traces } = traced({ sampleRatio: 1 });
  write(emit, 'op-1');
  await traces.stop();
  const text = JSON.stringify(received);
  expect(text).not.toContain('owner-4711');
  expect(text).not.toContain(process.execPath);
  expect(text, 'the check can fail').toContain('op-1');
  expect(received[0]?.resourceSpans[0]?.resource.attributes.map(({ key }) => key)).toEqual(['service.name']);
});

test.each([
  ['without an endpoint', { sampleRatio: 1, endpoint: undefined }],
  ['at ratio 0', { sampleRatio: 0 }],
])('%s nothing is sampled or sent', async (_name, options) => {
  const random = vi.fn(() => 0);
  const { emit, traces } = traced({ ...options, random });
  write(emit, 'op-1');
  await traces.stop();
  expect(random).not.toHaveBeenCalled();
  expect(received).toEqual([]);
});

test('an unanswered operation is exported as incomplete at the stop', async () => {
  const { emit, traces } = traced({ sampleRatio: 1 });
  emit('operation:received', {
    operationId: operationId('op-1'),
    service: SERVICE,
    action: 'add',
    kind: 'write',
    atMs: 0,
  });
  await traces.stop();
  expect(attributeOf(spanOf('session-memory add'), 'crossfade.is_complete')).toBe(false);
});

test('open operations are bounded by number and by age', () => {
  const open = new OpenOperations();
  const ended = vi.fn();
  const span = { setAttribute: () => span, end: ended } as never;
  const add = (id: string, startedAtMs: number, isReplied: boolean): void =>
    open.add(operationId(id), { span, startedAtMs, epochOffsetMs: 0, isReplied });
  for (let index = 0; index < 2_500; index += 1) add(`op-${index}`, 0, index > 0);
  expect(open.size).toBe(2_000);
  expect(ended).toHaveBeenCalledTimes(1);
  add('late', 60_001, true);
  expect(open.size).toBe(1);
});
