import { describe, expect, test } from 'vitest';
import type { LaneKey, Owner } from '../../../../src/domain/ids.ts';
import { serviceName } from '../../../../src/domain/ids.ts';
import {
  acceptableSubjects,
  type CompletionFacts,
  factsDigest,
  needsOf,
  readOnlyNeeds,
  statementOf,
} from '../../../../src/operator/ends/completion.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';

const DAY_MS = 86_400_000;
const BEGAN_MS = Date.parse('2026-11-01T00:00:00Z');
const NOW_MS = BEGAN_MS + 15 * DAY_MS;

const WRITES = {
  service: serviceName('session-memory'),
  state: 'read_only',
  person: 'ada',
  reason: 'a test',
  sinceMs: BEGAN_MS - 3_000,
  settledAtMs: BEGAN_MS - 2_000,
  clockBeganAtMs: BEGAN_MS,
  clockRestarts: 0,
  census: {
    atMs: NOW_MS - 1_000,
    lanes: 1,
    equal: 1,
    unproven: 0,
    unprovenExamples: [],
    forgotten: { lanes: 0, items: 0 },
  },
} as const satisfies CompletionFacts['writes'];

function facts(more: Partial<CompletionFacts> = {}): CompletionFacts {
  return {
    definition: sessionMemory,
    writes: WRITES,
    lanes: [
      {
        lane: 'session-memory/ann' as LaneKey,
        sequence: 3,
        items: 2,
        digest: 'd',
        atMs: BEGAN_MS,
        isGivenUp: false,
      },
    ],
    owners: 1,
    bornSince: 0,
    notCopied: 0,
    openDifferences: 0,
    foreign: [],
    requests: new Map(),
    relayed: new Map(),
    accepted: [],
    orchestratorVersion: '0.1.0',
    keptPerDay: { writes: 0, bytes: 0 },
    backup: {
      folder: '/backup',
      madeAtMs: NOW_MS - 2_000,
      manifestSha256: '0'.repeat(64),
      lanes: 1,
      items: 2,
      scratchInstance: 'equal',
      restoredAtMs: NOW_MS - 1_000,
    },
    approvals: [],
    sidePorts: [],
    requiredSeconds: 14 * 86_400,
    nowMs: NOW_MS,
    ...more,
  };
}

function approvedBy(persons: readonly string[], given: CompletionFacts): CompletionFacts {
  const digest = factsDigest(given);
  const approvals = persons.map((person) => ({ person, reason: 'r', facts: digest, atMs: NOW_MS }));
  return { ...given, approvals };
}

const missing = (given: CompletionFacts): string[] =>
  needsOf(given)
    .filter(({ isMet }) => !isMet)
    .map(({ need }) => need);

const accepted = (subject: string) => [{ subject, person: 'ada', reason: 'r', atMs: NOW_MS }];

describe('a completion needs', () => {
  test('nothing more than two approvals when everything else is there', () => {
    expect(missing(facts())).toEqual(['two_approvals']);
    expect(missing(approvedBy(['ada', 'grace'], facts()))).toEqual([]);
  });

  test('two persons, however one of them spells the name', () => {
    expect(missing(approvedBy(['ada', 'ADA'], facts()))).toEqual(['two_approvals']);
  });

  test.each<[string, Partial<CompletionFacts>]>([
    ['time_without_foreign_writer', { requiredSeconds: 16 * 86_400 }],
    ['final_backup', { backup: undefined }],
    ['lanes_proven', { writes: { ...WRITES, census: { ...WRITES.census, unproven: 1 } } }],
    ['lanes_proven', { writes: { ...WRITES, census: { ...WRITES.census, atMs: BEGAN_MS - 1 } } }],
    ['no_open_difference', { openDifferences: 1 }],
    [
      'no_foreign_change',
      {
        foreign: [
          {
            owner: 'ann' as Owner,
            kind: 'writer',
            digest: 'd',
            changes: { added: 1 },
            writers: [],
            foundAtMs: 0,
            seenAtMs: 0,
          },
        ],
      },
    ],
    ['answered_without_legacy', { requests: new Map([['health_check', 3]]) }],
    ['answered_without_legacy', { requests: new Map([['other', 1]]) }],
    ['answered_without_legacy', { relayed: new Map([['create_session', 2]]) }],
    ['answered_without_legacy', { sidePorts: ['pub'] }],
  ])('%s (%#)', (need, more) => {
    expect(missing(approvedBy(['ada', 'grace'], facts(more)))).toEqual([need]);
  });

  test('no answer for what no agent has asked in the time', () => {
    expect(
      missing(
        facts({
          requests: new Map([
            ['get_context', 9],
            ['create_session', 1],
          ]),
        }),
      ),
    ).toEqual(['two_approvals']);
  });

  test('an answer for owners that no lane can have, by action', () => {
    const relayed = new Map([
      ['create_session', 2],
      ['health_check', 5],
    ]);
    const needs = needsOf(facts({ relayed })).filter(({ isMet }) => !isMet);
    expect(needs).toMatchObject([{ accept: 'answer:unmapped:create_session' }, { need: 'two_approvals' }]);
    expect(needs[0]?.says).toContain('2 requests of create_session');
    expect(acceptableSubjects(facts())).toContain('answer:unmapped:create_session');
    expect(missing(facts({ relayed, accepted: accepted('answer:unmapped:create_session') }))).toEqual([
      'two_approvals',
    ]);
  });

  test('no more of what a person has accepted by name', () => {
    const requests = new Map([['health_check', 3]]);
    expect(missing(facts({ requests, accepted: accepted('answer:health_check') }))).toEqual([
      'two_approvals',
    ]);
    expect(missing(facts({ openDifferences: 1, accepted: accepted('differences') }))).toEqual([
      'two_approvals',
    ]);
  });
});

describe('an approval falls', () => {
  test.each<[string, Partial<CompletionFacts>]>([
    ['a restarted clock', { writes: { ...WRITES, clockRestarts: 1, clockBeganAtMs: BEGAN_MS + 1 } }],
    ['another state of a lane', { lanes: facts().lanes.map((lane) => ({ ...lane, items: 3 })) }],
    ['a difference', { openDifferences: 1 }],
    ['an acceptance', { accepted: accepted('differences') }],
    ['a request that only legacy answers', { requests: new Map([['health_check', 1]]) }],
  ])('with %s', (_what, more) => {
    const approved = approvedBy(['ada', 'grace'], facts());
    expect(factsDigest({ ...approved, ...more })).not.toBe(factsDigest(approved));
  });

  test('not with the time that passes, the final backup, or the number of requests', () => {
    const requests = new Map([['health_check', 1]]);
    const digest = factsDigest(facts({ requests }));
    const later = { requests: new Map([['health_check', 2]]), nowMs: NOW_MS + 1, backup: undefined };
    expect(factsDigest(facts(later))).toBe(digest);
  });
});

test('the statement counts only the approvals of these facts', () => {
  const approved = approvedBy(['ada', 'grace'], facts());
  const other = { person: 'eve', reason: 'r', facts: '1'.repeat(64), atMs: NOW_MS };
  const statement = statementOf(
    { ...approved, approvals: [...approved.approvals, other] },
    { by: { person: 'ada', reason: 'two weeks' }, version: '0.1.0' },
  );
  expect(statement.approvals.map(({ person }) => person)).toEqual(['ada', 'grace']);
  expect(statement.root).toMatchObject({ lanes: 1, items: 2 });
  expect(statement.read_only).toMatchObject({ required_seconds: 14 * 86_400, clock_restarts: 0 });
});

describe('what a service needs to become read-only', () => {
  const NOTHING = { notFlipped: 0, examples: [], overdue: 0, bypassedAgoSeconds: null };
  const open = (accepted: CompletionFacts['accepted'] = []) => facts({ writes: undefined, accepted });
  const bypassAccepted = (atMs: number) => open([{ subject: 'bypass', person: 'ann', reason: 'r', atMs }]);
  const missing = (of: CompletionFacts, more: Partial<typeof NOTHING | { bypassedAgoSeconds: number }>) =>
    readOnlyNeeds(of, { ...NOTHING, ...more }, 3_600)
      .filter(({ isMet }) => !isMet)
      .map(({ need }) => need);

  test.each([
    ['every_lane_flipped', { notFlipped: 1 }],
    ['reverse_backlog_empty', { overdue: 1 }],
    ['no_writer_bypasses', { bypassedAgoSeconds: 3_599 }],
  ])('%s', (need, more) => {
    expect(missing(open(), {})).not.toContain(need);
    expect(missing(open(), more)).toContain(need);
  });

  test('a writer that bypassed the proxy long enough ago is no obstacle', () => {
    expect(missing(open(), { bypassedAgoSeconds: 3_600 })).not.toContain('no_writer_bypasses');
    const [lenient] = [readOnlyNeeds(open(), { ...NOTHING, bypassedAgoSeconds: 1 }, undefined)];
    expect(lenient.map(({ need }) => need)).not.toContain('no_writer_bypasses');
  });

  test('a person answers for a writer that was found before, not for a later one', () => {
    const found = { bypassedAgoSeconds: 60 };
    expect(missing(bypassAccepted(NOW_MS - 59_000), found)).not.toContain('no_writer_bypasses');
    expect(missing(bypassAccepted(NOW_MS - 61_000), found)).toContain('no_writer_bypasses');
  });

  test('nothing, once it is', () => {
    expect(readOnlyNeeds(facts(), { ...NOTHING, notFlipped: 1 }, 3_600)).toEqual([]);
  });
});
