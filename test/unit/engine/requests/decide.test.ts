import { describe, expect, test } from 'vitest';
import type { Backend } from '../../../../src/domain/backend.ts';
import type { ActionDefinition } from '../../../../src/domain/service-definition.ts';
import { decide } from '../../../../src/engine/requests/decide.ts';
import type { CutoverLimit, ReadLimits } from '../../../../src/engine/ports/decision.ts';
import { contextualMemory } from '../../../../src/services/contextual-memory/contextual-memory.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { flagsThatAreOn, ownerNamed, SERVICE } from '../engine-parts.ts';

const actionOf = (name: string): ActionDefinition => {
  const action = jarvisMemory.actions[name] ?? contextualMemory.actions[name];
  if (action === undefined) throw new Error(`No action is called "${name}"`);
  return action;
};
const WRITE = actionOf('add_memory');
const READ = actionOf('get_memories');
const PASSED = actionOf('health_check');
const LEGACY_ONLY: ActionDefinition = {
  kind: 'read',
  owner: () => ownerNamed('ann'),
  onLegacy: () => 'nothing',
  legacyOnly: 'no orchestrator can answer it',
};

const ALL = ['dual-write', 'shadow-read', 'read-cutover', 'write-cutover', 'legacy-read-only'];
const legacy = { primary: 'legacy', dualWrite: false, shadowRead: false };
const context = { service: SERVICE, owner: ownerNamed('ann') };

interface Case {
  /** @defaultValue legacy */
  readonly primary?: Backend;
  readonly action: ActionDefinition;
  readonly isCovered: boolean;
  readonly on: readonly string[];
  readonly expected: object;
}

const covered = { ...legacy, dualWrite: true };
const CASES: Readonly<Record<string, Case>> = {
  'passthrough, every flag on': {
    action: PASSED,
    isCovered: true,
    on: ALL,
    expected: { ...legacy, reason: 'passthrough' },
  },
  'a write that is not covered, every flag on': {
    action: WRITE,
    isCovered: false,
    on: ALL,
    expected: { ...legacy, reason: 'not_covered' },
  },
  'a read that is not covered, every flag on': {
    action: READ,
    isCovered: false,
    on: ALL,
    expected: { ...legacy, reason: 'not_covered' },
  },
  'a covered write while the flag has fallen': {
    action: WRITE,
    isCovered: true,
    on: [],
    expected: { ...covered, reason: 'covered' },
  },
  'a covered write under the kill switch': {
    action: WRITE,
    isCovered: true,
    on: [...ALL, 'kill-switch'],
    expected: { ...covered, reason: 'covered' },
  },
  'a read that no orchestrator can answer': {
    action: LEGACY_ONLY,
    isCovered: true,
    on: ALL,
    expected: { ...legacy, reason: 'legacy_only' },
  },
  'a read, no flag on': {
    action: READ,
    isCovered: true,
    on: ['dual-write'],
    expected: { ...covered, reason: 'flag_off' },
  },
  'a read, shadow-read on': {
    action: READ,
    isCovered: true,
    on: ['dual-write', 'shadow-read'],
    expected: { ...covered, shadowRead: true, reason: 'flag_off' },
  },
  'a read, cut over': {
    action: READ,
    isCovered: true,
    on: ['dual-write', 'read-cutover'],
    expected: { ...covered, primary: 'orchestrator', reason: 'flag_on' },
  },
  'a read, cut over and shadowed': {
    action: READ,
    isCovered: true,
    on: ['dual-write', 'shadow-read', 'read-cutover'],
    expected: { ...covered, primary: 'orchestrator', shadowRead: true, reason: 'flag_on' },
  },
  'a read of a flipped lane, no flag on, under the kill switch': {
    primary: 'orchestrator',
    action: READ,
    isCovered: true,
    on: ['kill-switch'],
    expected: { ...covered, primary: 'orchestrator', reason: 'flipped' },
  },
  'a read of a flipped lane, shadowed': {
    primary: 'orchestrator',
    action: READ,
    isCovered: true,
    on: ['shadow-read'],
    expected: { ...covered, primary: 'orchestrator', shadowRead: true, reason: 'flipped' },
  },
  'a read of a flipped lane that no orchestrator can answer': {
    primary: 'orchestrator',
    action: LEGACY_ONLY,
    isCovered: true,
    on: ALL,
    expected: { ...covered, reason: 'flipped' },
  },
  'a read, cut over, under the kill switch': {
    action: READ,
    isCovered: true,
    on: ['dual-write', 'shadow-read', 'read-cutover', 'kill-switch'],
    expected: { ...covered, shadowRead: true, reason: 'kill_switch' },
  },
};

describe('where an operation goes', () => {
  test.each(Object.entries(CASES))('%s', (_name, { action, isCovered, on, expected, primary = 'legacy' }) => {
    expect(decide(action, isCovered, { flags: flagsThatAreOn(on), context, primary })).toEqual(expected);
  });

  test('the flags get the operation’s own context, and only for reads', () => {
    const flags = flagsThatAreOn(['read-cutover']);
    decide(WRITE, true, { flags, context });
    expect(flags.seen).toEqual([]);
    decide(READ, true, { flags, context });
    expect(flags.seen).toEqual([context, context]);
  });

  const limited = (cutover: CutoverLimit, mayShadow = true): ReadLimits => ({
    cutover: () => cutover,
    mayShadow: () => mayShadow,
    mayBegin: () => true,
    writes: () => ({ atMost: 100, ifProven: 100, latch: null, isRampHeld: false, areFlipsHeld: false }),
  });

  test.each(['interlock', 'latched'] as const)('a cut-over read stays on legacy: %s', (loweredBy) => {
    const flags = flagsThatAreOn(['shadow-read', 'read-cutover']);
    const limits = limited({ atMost: 0, loweredBy });
    const expected = { primary: 'legacy', dualWrite: true, shadowRead: true, reason: loweredBy };
    expect(decide(READ, true, { flags, context, limits })).toEqual(expected);
    expect(decide(WRITE, true, { flags, context, limits }).dualWrite).toBe(true);
  });

  test.each(['interlock', 'latched'] as const)('a read of a flipped lane stays there: %s', (loweredBy) => {
    const limits = limited({ atMost: 0, loweredBy });
    const ask = { flags: flagsThatAreOn([]), context, limits, primary: 'orchestrator' } as const;
    expect(decide(READ, true, ask)).toMatchObject({ primary: 'orchestrator', reason: 'flipped' });
  });

  test('a share that is not requested is not reported as lowered', () => {
    const limits = limited({ atMost: 0, loweredBy: 'latched' });
    expect(decide(READ, true, { flags: flagsThatAreOn([]), context, limits }).reason).toBe('flag_off');
  });

  const orchestrator = { primary: 'orchestrator', dualWrite: true, shadowRead: false };

  test.each(['read_only', 'complete'] as const)('no read is compared with a legacy that is %s', (writes) => {
    const flags = flagsThatAreOn(['shadow-read', 'kill-switch']);
    expect(decide(READ, true, { flags, context, writes })).toEqual({ ...orchestrator, reason: writes });
    const flipped = decide(READ, true, { flags, context, writes, primary: 'orchestrator' });
    expect(flipped).toMatchObject(orchestrator);
  });

  test('a completed service has reads that need no coverage and no fence', () => {
    const ask = { flags: flagsThatAreOn([]), context, writes: 'complete', primary: 'orchestrator' } as const;
    expect(decide(READ, false, ask)).toEqual({ ...orchestrator, reason: 'complete' });
  });

  test('shadow reads are stopped to reduce load', () => {
    const flags = flagsThatAreOn(['shadow-read', 'read-cutover']);
    const limits = limited({ atMost: 100 }, false);
    const expected = { primary: 'orchestrator', dualWrite: true, shadowRead: false, reason: 'flag_on' };
    expect(decide(READ, true, { flags, context, limits })).toEqual(expected);
  });
});
