import { expect, test } from 'vitest';
import reminders from '../../../config/examples/reminder-service.ts';
import { noticedAfterFlip, whyNotFlippable } from '../../../src/domain/flippable.ts';
import type {
  PrimaryMapping,
  ServiceDefinition,
  SideEffects,
  WriteAction,
} from '../../../src/domain/service-definition.ts';
import { contextualMemory } from '../../../src/services/contextual-memory/contextual-memory.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';

const asPrimary: PrimaryMapping = { plan: () => ({ reply: '{}' }), answer: () => '{}' };
const delivered = {
  kind: 'write',
  owner: () => undefined,
  outcome: () => 'unknown' as const,
  toOrchestrator: () => [],
} as const;

test.each([sessionMemory, contextualMemory, jarvisMemory, reminders])(
  'the writes of $name can be moved',
  (definition) => {
    expect(whyNotFlippable(definition)).toEqual([]);
    const writes = Object.values(definition.actions).filter(
      (action): action is WriteAction => action.kind === 'write',
    );
    expect(writes.length).toBeGreaterThan(1);
  },
);

test('a service that cannot be flipped says why, for each of its writes', () => {
  const own: ServiceDefinition = {
    ...reminders,
    actions: {
      ...reminders.actions,
      rename: { ...delivered, reverse: 'exact' },
      shuffle: { ...delivered, asPrimary, reverse: 'impossible', loses: 'the order, which is random' },
      swap: { ...delivered, reverse: 'impossible', loses: 'everything' },
    },
  };
  expect(whyNotFlippable(own)).toEqual([
    { action: 'rename', reason: 'the definition has no asPrimary for it, so that only legacy can answer it' },
    { action: 'shuffle', reason: 'it cannot be sent to legacy afterwards: the order, which is random' },
    { action: 'swap', reason: 'the definition has no asPrimary for it, so that only legacy can answer it' },
    { action: 'swap', reason: 'it cannot be sent to legacy afterwards: everything' },
  ]);
});

test('a definition states before a flip what agents will notice', () => {
  expect(noticedAfterFlip(sessionMemory)).toEqual([
    'what is unused for 3600 s, which legacy would delete by itself, stays visible',
    'what lies beyond the newest 100 owners, which legacy would delete by itself, stays visible',
    expect.stringContaining('is refused as a duplicate'),
    'create_session: legacy does not get the time at which the session was created, because the service sets it when it gets the request',
    'add_interaction: legacy does not get the time of the interaction, because the service sets it when it gets the request',
  ]);
  expect(noticedAfterFlip(contextualMemory).slice(0, 2)).toEqual([
    'what lies beyond the newest 50 items of an owner, which legacy would delete by itself, stays visible',
    'a summary that a read with a small max_tokens has cut on legacy is whole in the next read',
  ]);
  expect(noticedAfterFlip(jarvisMemory)).toEqual([
    expect.stringContaining('add_memory: legacy does not get the time of the memory'),
    'add_memory: a memory of type "reminder" is broadcast when it is stored; legacy causes it when it gets the write, unless the write is older than 60 s',
  ]);
  const sideEffects = { what: 'a bell rings', raisedBy: 'orchestrator' } as const;
  const bell: WriteAction = { ...delivered, reverse: 'exact', sideEffects };
  expect(noticedAfterFlip({ ...reminders, actions: { bell } })).toEqual([
    'bell: a bell rings; the orchestrator causes it',
  ]);
});

test('a wrong combination of members does not compile', () => {
  const names = { atMost: 1, find: () => [0] };
  const wrong: WriteAction[] = [
    // @ts-expect-error without an answer
    { ...delivered, reverse: 'exact', asPrimary: { plan: () => ({ reply: '{}' }) } },
    // @ts-expect-error without what it loses
    { ...delivered, reverse: 'lossy' },
    // @ts-expect-error without the reason
    { ...delivered, reverse: 'impossible' },
    // @ts-expect-error it loses nothing
    { ...delivered, reverse: 'exact', loses: 'the time' },
    // @ts-expect-error without a way to find the item on legacy
    { ...delivered, reverse: 'exact', names },
    // @ts-expect-error it has no place to look for
    { ...delivered, reverse: 'exact', toLegacy: () => undefined },
    // @ts-expect-error without the largest age
    { ...delivered, reverse: 'exact', sideEffects: { what: 'a mail', raisedBy: 'legacy' } },
    // @ts-expect-error a write is either answered at once or applied
    { ...delivered, reverse: 'exact', asPrimary: { ...asPrimary, plan: () => ({ requires: [] }) } },
  ];
  const mail = { what: 'a mail', raisedBy: 'orchestrator', largestAgeSeconds: 5 } as const;
  // @ts-expect-error legacy raises nothing, so nothing is too old
  const late: SideEffects = mail;
  expect([...wrong, late]).toHaveLength(9);
});
