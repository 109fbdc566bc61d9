import { expect, test } from 'vitest';
import { NotFoundError } from '../../../src/domain/errors.ts';
import { type LaneKey, serviceName } from '../../../src/domain/ids.ts';
import type { OrchestratorRead } from '../../../src/domain/orchestrator-call.ts';
import type { Trigger } from '../../../src/engine/ports/finding.ts';
import type {
  ExplainedLane,
  ExplainedMoves,
  ExplainedOperation,
} from '../../../src/engine/ports/explain-ports.ts';
import { explain, type ExplainParts, timelineOf } from '../../../src/operator/explain.ts';
import { NO_LIMITS } from '../../../src/engine/ports/decision.ts';
import { flagsThatAreOn, serviceWith } from '../engine/engine-parts.ts';

const SERVICE = serviceName('jarvis-memory');
const OPERATION = '0d9b0c9e-0000-7000-8000-000000000001';
const AT = new Date(0);

const WRITE = {
  operation_id: OPERATION,
  lane: 'jarvis-memory/ada',
  sequence: 1,
  action: 'add_memory',
  accepted_at: AT,
  outcome: 'applied',
  outcome_at: AT,
  is_through: true,
  through_at: new Date(40),
  via: 'delivery' as const,
  dead_letter: null,
  dead_letter_at: null,
  replica: 'r',
  letter_code: null,
  letter_at: null,
  letter_attempts: null,
  letter_resolved_at: null,
  letter_resolution: null,
  letter_resolved_by: null,
  letter_resolved_reason: null,
  unknown_found_at: null,
  unknown_ended_at: null,
  unknown_ending: null,
  unknown_closed_at: null,
  unknown_decided_by: null,
  unknown_decided_reason: null,
};
const SERVICE_RUNTIME = serviceWith({ name: SERVICE });

const LANE: ExplainedLane = {
  sequence: 1,
  generation: 0,
  epoch: 0,
  primary_backend: 'legacy',
  condition: 'clean',
  reason: '',
  seeded_coverage: 0,
  delivered_sequence: 1,
  settled_sequence: 1,
  exceptions: 0,
  finding: 0,
  differences: 0,
  found_by_run: null,
};

const NO_MOVES: ExplainedMoves = { failures: null, hold: null, held: null, returns: [] };

function explaining(
  store: Partial<ExplainParts['store']>,
  {
    isAsked = false,
    coverage = 0,
    dropped = [] as readonly Trigger[],
    isGone = false,
    isMoving = false,
  } = {},
) {
  const asked: OrchestratorRead[] = [];
  const parts: ExplainParts = {
    services: new Map(),
    store: {
      lane: async () => undefined,
      moves: async () => NO_MOVES,
      writes: async () => [],
      write: async () => undefined,
      laneOfRead: async () => undefined,
      differences: async () => [],
      ...store,
    },
    flags: {
      ...flagsThatAreOn([]),
      isEnabled: () => ({ enabled: isAsked, reason: 'on' }),
    },
    limits: {
      ...NO_LIMITS,
      mayShadow: () => dropped.length === 0,
    },
    guarding: {
      judged: () => undefined,
      holdOf: () => undefined,
      findingsOf: () => [],
      shadowDroppedFor: () => dropped,
      flagsOffOf: () => undefined,
    },
    coverageOf: () => coverage,
    flips: isMoving
      ? { history: async () => [], facts: async () => [], first: async () => undefined }
      : undefined,
    clock: { now: () => 0, wallMs: () => 0, sleep: async () => undefined },
    orchestrator: {
      read: async (read) => {
        asked.push(read);
        if (isGone) throw new NotFoundError('no such memory');
        return { text: '{}', data: { position: 1 } };
      },
    },
  };
  return { asked, explain: (subject: string) => explain(parts, SERVICE_RUNTIME, subject) };
}

test('an explanation reads the item without counting as its use', async () => {
  const { asked, explain: ask } = explaining({ write: async () => WRITE });
  expect(await ask(OPERATION)).toMatchObject({
    owner: 'ada',
    asked_about: 'operation',
    operation: { orchestrator: { standing: 'delivered', item: { memory_id: `mem-${OPERATION}` } } },
  });
  expect(asked.map(({ payload }) => payload['no_touch'])).toEqual([true]);
});

test('a missing item of a delivered write comes with the possible reasons', async () => {
  const itemOf = async (write: ExplainedOperation): Promise<unknown> => {
    const { explain: ask } = explaining({ write: async () => write }, { isGone: true });
    const { operation } = (await ask(OPERATION)) as { operation: { orchestrator: { item: unknown } } };
    return operation.orchestrator.item;
  };
  expect(await itemOf(WRITE)).toMatch(/is not there: .* or a copy stored it again/);
  expect(await itemOf({ ...WRITE, is_through: false })).toBe(`mem-${OPERATION} is not there`);
});

test('an operation of another service is refused, and not taken for an owner', async () => {
  const write = async () => ({ ...WRITE, lane: 'session-memory/ada' });
  await expect(explaining({ write }).explain(OPERATION)).rejects.toThrow('is an operation of session-memory');
});

test('a read with a difference is explained by its lane; an unknown id may be an owner', async () => {
  const laneOfRead = async () => 'jarvis-memory/ada' as LaneKey;
  expect(await explaining({ laneOfRead }).explain(OPERATION)).toMatchObject({
    owner: 'ada',
    asked_about: 'operation',
  });
  expect(await explaining({}).explain(OPERATION)).toMatchObject({ owner: OPERATION, asked_about: 'owner' });
});

test('every name in an explanation is spelled as in other answers', async () => {
  const explained = await explaining({ write: async () => WRITE, writes: async () => [WRITE] }).explain(
    OPERATION,
  );
  const names = [...JSON.stringify(explained).matchAll(/"([^"]+)":/g)].map(([, name]) => name ?? '');
  expect(names.length).toBeGreaterThan(30);
  expect(names.filter((name) => /[A-Z]/.test(name))).toEqual([]);
});

test('a timeline has every step in order: late outcome, refusal, decision', () => {
  const steps = timelineOf({
    ...WRITE,
    outcome_at: new Date(20),
    unknown_found_at: new Date(10),
    unknown_ended_at: new Date(20),
    unknown_ending: 'late_reply',
    unknown_closed_at: new Date(20),
    letter_code: 'validation_error',
    letter_at: new Date(30),
    letter_attempts: 2,
    letter_resolved_at: new Date(35),
    letter_resolution: 'redriven',
    letter_resolved_by: 'ann',
    letter_resolved_reason: 'the limit is higher now',
  });
  expect(steps.map(({ where, what }) => `${where}: ${what}`)).toEqual([
    'journal: accepted',
    'legacy: outcome_unknown',
    'legacy: applied',
    'journal: settled: late_reply',
    'journal: no late reply or effect is possible any more',
    'orchestrator: refused for good',
    'person: dead letter redriven',
    'orchestrator: delivered',
  ]);
  expect(steps[6]).toMatchObject({ person: 'ann', reason: 'the limit is higher now' });
});

test('a refused write is not due, and a skipped one is left out', () => {
  const last = (more: Partial<ExplainedOperation>) => timelineOf({ ...WRITE, ...more }).at(-1)?.what;
  expect(last({ outcome: 'refused' })).toBe('refused');
  expect(last({ letter_resolution: 'skipped' })).toBe('left_out');
  expect(last({ via: 'copy' })).toBe('copied');
  expect(last({ is_through: false, through_at: null })).toBe('applied');
});

test.each<[string, Parameters<typeof explaining>[1], string, boolean]>([
  ['covered and asked', { isAsked: true, coverage: 1 }, 'flag_on', true],
  ['not asked', { coverage: 1 }, 'flag_off', false],
  ['not covered', { isAsked: true }, 'not_covered', false],
  [
    'held back by the guard',
    { isAsked: true, coverage: 1, dropped: ['latency'] },
    'shadow_load_dropped: latency',
    false,
  ],
])('the reason why a read is compared or not: %s', async (_case, facts, reason, isCompared) => {
  const { decisions } = (await explaining({}, facts).explain('ada')) as {
    decisions: Record<string, { shadow_read: boolean; shadow_reason?: string }>;
  };
  const read = decisions['get_memories'];
  expect(read).toMatchObject({ shadow_read: isCompared, shadow_reason: reason });
  expect(decisions['add_memory']).not.toHaveProperty('shadow_reason');
});

test.each([
  ['not_seeded', undefined],
  ['differs', { seeded_coverage: 1, condition: 'clean', exceptions: 0, finding: 7 }],
  ['stopped', { seeded_coverage: 1, condition: 'stopped', exceptions: 0, finding: 0 }],
] as const)('a read that the flag moves stays on legacy while its lane is %s', async (fence, lane) => {
  const asked = explaining(
    { lane: async () => lane && { ...LANE, ...lane } },
    { isAsked: true, coverage: 1 },
  );
  const { decisions, inputs } = (await asked.explain('ada')) as {
    decisions: Record<string, object>;
    inputs: object;
  };
  expect(inputs).toMatchObject({ fence });
  expect(decisions['get_memories']).toMatchObject({ primary: 'legacy', reason: `lane_${fence}` });
});

test('a read of an open lane goes where the flag sends it', async () => {
  const { decisions } = (await explaining(
    { lane: async () => ({ ...LANE, seeded_coverage: 1 }) },
    { isAsked: true, coverage: 1 },
  ).explain('ada')) as { decisions: Record<string, object> };
  expect(decisions['get_memories']).toMatchObject({ primary: 'orchestrator', reason: 'flag_on' });
});

test('an explanation names failed flips, holds and returns with their times', async () => {
  const asked = explaining(
    {
      lane: async () => LANE,
      moves: async () => ({
        failures: { failed: 3, reason: 'writes_wait', first_at: AT, last_at: AT, due_in_seconds: 40 },
        hold: { replica: 'r', until: AT },
        held: { person: 'ann', reason: 'a test', at: AT },
        returns: [
          {
            rollback: 7,
            person: 'bob',
            reason: 'a test',
            began_at: AT,
            state: 'waiting',
            failed: 2,
            obstacle: 'halted',
            due_in_seconds: 1,
            returned_at: null,
            stopped_by: null,
            lost: 0,
          },
        ],
      }),
    },
    { isMoving: true },
  );
  const at = AT.toISOString();
  expect((await asked.explain('ada')).flips).toMatchObject({
    failures: { failed: 3, reason: 'writes_wait', first_at: at, last_at: at, due_in_seconds: 40 },
    hold: { replica: 'r', until: at },
    held: { person: 'ann', at },
    returns: [{ rollback: 7, person: 'bob', began_at: at, obstacle: 'halted', returned_at: null }],
  });
});
