import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';
import { createPlayground } from '../sandbox/playground.ts';
import { type Exchange, readRecording, readWireBytes } from '../sandbox/recordings.ts';
import type { FlippedService } from './flipped-service.ts';
import { flip, type Flipping, GENERATED, KINDS, type Service } from './flipped-stage.ts';
import { withoutGenerated } from './generated-values.ts';

const BAD_INPUT = 'the proxy answers it itself, because bad input must not reach a backend';
const BAD_REQUESTS = { 'invalid JSON': BAD_INPUT, array: BAD_INPUT };
const FORGOTTEN = 'what legacy has forgotten by itself stays visible on the orchestrator';

interface Recorded extends Flipping {
  /** Replies that cannot be equal, by the note of their exchange, with the reason. */
  readonly unequal: Readonly<Record<string, string>>;
  /** @defaultValue all of the service */
  readonly part?: readonly [from: number, to: number];
  /** Before this exchange the legacy service is started again. */
  readonly restartAt?: number;
  /** How many writes legacy refuses after the orchestrator has applied them, because it has forgotten their owner. @defaultValue 0 */
  readonly forgottenThere?: number;
  /** Requests that the recording made without writing them down: before this exchange. */
  readonly unrecorded?: { readonly before: number; readonly requests: readonly string[] };
}

const NO_HEALTH_PORT = "'SessionMemoryAgent' object has no attribute 'health_port'";
const ALONE = { initializationError: NO_HEALTH_PORT };
const CLIENT = { memoryClient: 'unreachable' } as const;

const FIFTY_FIVE = Array.from({ length: 55 }, (_, item) =>
  JSON.stringify({
    action: 'add_interaction',
    session_id: 'big',
    type: ['user_query', 'system_response', 'error', 'code'][item % 4],
    content: `item ${item} error database thread`,
  }),
);

const RECORDINGS: readonly (readonly [name: string, what: string, recorded: Recorded])[] = [
  ['session_memory_agent_v1_alone', '', { service: 'session-memory', unequal: BAD_REQUESTS, standIn: ALONE }],
  [
    'session_memory_agent_v1_initfixed_alone',
    '',
    { service: 'session-memory', unequal: BAD_REQUESTS, standIn: { ...ALONE, ...CLIENT } },
  ],
  ['session_memory_agent_v1_withorch', '', { service: 'session-memory', unequal: BAD_REQUESTS }],
  [
    'session_memory_agent_v1_initfixed_withorch',
    '',
    { service: 'session-memory', unequal: BAD_REQUESTS, standIn: CLIENT },
  ],
  ['dual_write_v1_into_pg_orchestrator', '', { service: 'session-memory', unequal: {} }],
  [
    'session_memory_agent_v1_restart_tz',
    ' in UTC',
    { service: 'session-memory', unequal: {}, part: [0, 4], restartAt: 3 },
  ],
  [
    'session_memory_agent_v1_restart_tz',
    ' in Manila',
    {
      service: 'session-memory',
      unequal: {},
      part: [4, 8],
      restartAt: 7,
      standIn: { timeZone: 'Asia/Manila' },
    },
  ],
  [
    'extras_restart_staleness_ttl',
    ' in New York',
    {
      service: 'session-memory',
      standIn: { timeZone: 'America/New_York' },
      unequal: {
        'after restart within 60 s; lazy load from SQLite': FORGOTTEN,
        'after the periodic cleanup: session gone although a few seconds old (UTC vs local clock mix-up)':
          FORGOTTEN,
        'and writes to it fail': FORGOTTEN,
      },
      restartAt: 4,
      forgottenThere: 1,
    },
  ],
  [
    'contextual_memory_pc2',
    '',
    {
      service: 'contextual-memory',
      unequal: {
        ...BAD_REQUESTS,
        'read after destructive read':
          'legacy keeps a summary that a small max_tokens has cut; the orchestrator has it whole',
      },
      unrecorded: { before: 17, requests: FIFTY_FIVE },
    },
  ],
  [
    'jarvis_memory_pc2',
    '',
    {
      service: 'jarvis-memory',
      unequal: { 'invalid JSON': BAD_INPUT, 'invalid utf-8': BAD_INPUT, 'JSON array': BAD_INPUT },
    },
  ],
  ['extras_restart_staleness_ttl', '', { service: 'jarvis-memory', unequal: {}, restartAt: 2 }],
];

const textOf = ({ request, requestHex = '' }: Exchange): string =>
  (request ?? Buffer.from(requestHex, 'hex').toString('latin1')).replace('a*9000', 'a'.repeat(9000));

type Asked = readonly [request: string, name?: string];

interface Replayed {
  /** By the note of the exchange. */
  readonly differing: Readonly<Record<string, unknown>>;
  readonly answered: Readonly<Record<'orchestrator' | 'legacy' | 'proxy', number>>;
}

/** Asks what was recorded, in order, and compares every reply byte for byte, except for generated values of the right form. */
async function replay(
  name: string,
  recorded: Recorded,
  { flipped, restart }: { readonly flipped: FlippedService; readonly restart: () => Promise<void> },
): Promise<Replayed> {
  const { service, part = [0, Infinity], restartAt, unrecorded } = recorded;
  const exchanges = readRecording(name).exchanges.filter(({ port }) => port === KINDS[service].port);
  const differing: Record<string, unknown> = {};
  const answered = { orchestrator: 0, legacy: 0, proxy: 0 };
  for (const [index, exchange] of exchanges.slice(...part).entries()) {
    if (part[0] + index === restartAt) await restart();
    if (index === unrecorded?.before) for (const request of unrecorded.requests) await flipped.ask(request);
    const { reply, by } = await flipped.ask(textOf(exchange));
    answered[by] += 1;
    const ours = withoutGenerated(reply, GENERATED[service]);
    const theirs = withoutGenerated(exchange.response, GENERATED[service]);
    if (ours !== theirs) differing[exchange.note || `exchange ${index}`] = { by, ours, theirs };
  }
  return { differing, answered };
}

describe.each(DATABASES)('with the orchestrator on %s as primary', (kind) => {
  const stage = createStage();
  let orchestrator: TestOrchestrator;

  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  afterAll(() => stage.stop());

  test.each(RECORDINGS)('%s%s gets the recorded replies', async (name, _what, recorded) => {
    await using playground = createPlayground();
    const { standIn, flipped, access } = await flip(playground, orchestrator, recorded);
    const restart = () => playground.restart(standIn);
    const { differing, answered } = await replay(name, recorded, { flipped, restart });
    const unexpected = Object.entries(differing).filter(([note]) => !Object.hasOwn(recorded.unequal, note));
    expect(Object.fromEntries(unexpected)).toEqual({});
    // A reply that has become equal need not be listed any more.
    expect(Object.keys(differing).toSorted()).toEqual(Object.keys(recorded.unequal).toSorted());
    expect(answered.orchestrator).toBeGreaterThan(1);
    expect(flipped.notReversed).toHaveLength(recorded.forgottenThere ?? 0);
    if (recorded.forgottenThere === undefined)
      for (const [owner, stores] of Object.entries(await flipped.stores()))
        expect(stores.orchestrator, owner).toEqual(stores.legacy);
    await access.stop();
  });

  test('unusual texts and numbers come back with the recorded bytes', async () => {
    await using playground = createPlayground();
    const wire = readWireBytes();
    const same = async (
      { flipped }: { readonly flipped: FlippedService },
      service: Service,
      [request, name]: Asked,
    ) => {
      const { reply } = await flipped.ask(request);
      if (name !== undefined)
        expect(withoutGenerated(reply, GENERATED[service]), name).toBe(
          withoutGenerated(String(wire[name]), GENERATED[service]),
        );
    };
    const sessions = await flip(playground, orchestrator, { service: 'session-memory' });
    const add = '"action": "add_interaction", "session_id": "s", "role": "user"';
    const numbers =
      '{"a": NaN, "b": Infinity, "c": 1, "c": 123456789012345678901234567890, "d": 2.50, "e": 1e3}';
    const asked: readonly Asked[] = [
      ['{"action": "create_session", "session_id": "s"}'],
      ['{"action": "create_session", "session_id": "s"}', 'sma create duplicate (null)'],
      [String.raw`{${add}, "content": "ñ 😀 \u0000 \"q\" / <\u2028>"}`],
      ['{"action": "get_context", "session_id": "s", "request_id": "x"}', 'sma get_context (send_json)'],
      [`{${add}, "content": "n", "metadata": ${numbers}}`, 'sma NaN/Infinity/bigint/dup keys in'],
    ];
    for (const one of asked) await same(sessions, 'session-memory', one);
    // The original stores it. The orchestrator holds at most 1 MiB of content, including its other members.
    const large = sessions.flipped.ask(`{${add}, "content": "${'x'.repeat(1024 * 1024)}"}`);
    await expect(large).rejects.toThrow('validation_error');
    await sessions.access.stop();

    const memories = await flip(playground, orchestrator, { service: 'jarvis-memory' });
    await same(memories, 'jarvis-memory', [
      '{"action": "add_memory", "user_id": "b", "memory": {"z": 1, "a": 2.50, "n": 1e3, "t": "ñ 😀"}}',
    ]);
    await same(memories, 'jarvis-memory', [
      '{"action": "get_memories", "user_id": "b"}',
      'jarvis get (send_string+json.dumps)',
    ]);
    await memories.access.stop();
  });
});

test('the comparison notices a reply that is altered anywhere', () => {
  const reply =
    '{"status": "success", "session_id": "9dc38df4-188e-4904-a6b3-3c867a7b479d", "context": [{"role": "user", "timestamp": "2026-11-21T01:57:15.160401"}], "request_id": "r3"}';
  const generated = GENERATED['session-memory'];
  const whole = withoutGenerated(reply, generated);
  expect(whole).toBe(
    '{"status": "success", "session_id": <session_id>, "context": [{"role": "user", "timestamp": <context[].timestamp>}], "request_id": "r3"}',
  );
  const alterations: readonly (readonly [from: string, to: string])[] = [
    ['", "', '","'],
    ['"success"', '"ok"'],
    ['"9dc38df4-188e-4904', '"9dc38df4-188e-1904'],
    ['"2026-11-21T01:57:15.160401"', '"2026-11-21T01:57:15.160Z"'],
    ['"2026-11-21T01:57:15.160401"', '1795226191.16'],
    ['"r3"', 'null'],
    ['"user"', '"user" '],
  ];
  for (const [from, to] of alterations) {
    expect(reply).toContain(from);
    expect(withoutGenerated(reply.replace(from, to), generated), to).not.toBe(whole);
  }
  const time = ['2026-11-21T01:57:15.160401', '2027-01-01T00:00:00'] as const;
  expect(withoutGenerated(reply.replace(...time), generated)).toBe(whole);
});
