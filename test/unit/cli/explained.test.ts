import { expect, test } from 'vitest';
import { isUnknownOwner, toldExplanation } from '../../../src/cli/explain.ts';

const LANE = { condition: 'clean', reason: '', sequence: 12 } as const;
const READ = {
  primary: 'legacy',
  dual_write: false,
  shadow_read: true,
  reason: 'interlock',
  shadow_reason: 'flag_on',
} as const;
const EXPLANATION: Parameters<typeof toldExplanation>[0] = {
  service: 'session-memory',
  owner: 's-1',
  decisions: {
    add_interaction: { primary: 'legacy', dual_write: true, shadow_read: false, reason: 'covered' },
    get_context: { ...READ, limit: { at_most: 0, lowered_by: 'interlock', because: ['never_reconciled'] } },
  },
  inputs: { lane: LANE, fence: 'open', guard: { held_by: null } },
  writes: Array.from({ length: 20 }, (_, index) => ({
    sequence: 20 - index,
    operation_id: `op-${index}`,
    action: 'add_interaction',
    accepted_at: '2026-11-22T19:30:00.000Z',
    outcome: 'applied',
    standing: 'delivered',
    dead_letter: null,
  })),
  differences: [],
};

test('the summary fits on a screen: who answers, the reason, and what blocks the rest', () => {
  const lines = toldExplanation(EXPLANATION).split('\n');
  expect(lines.length).toBeLessThan(20);
  expect(lines.slice(0, 2)).toEqual(['session-memory, owner: s-1', '  lane: clean, 12 writes; fence: open']);
  expect(lines.find((line) => line.includes('get_context'))).toMatch(
    /legacy +interlock +shadow read: yes \(flag on\) +interlock, at most 0 %: never_reconciled/,
  );
  expect(lines.filter((line) => line.includes('op-'))).toHaveLength(5);
});

test('an owner without stored data is unknown', () => {
  const inputs = { ...EXPLANATION.inputs, lane: 'never written, never copied' };
  expect(isUnknownOwner({ ...EXPLANATION, inputs, writes: [] })).toBe(true);
  expect(isUnknownOwner({ ...EXPLANATION, inputs })).toBe(false);
  expect(isUnknownOwner({ ...EXPLANATION, writes: [] })).toBe(false);
});

const AT = '2026-11-22T19:30:00.000Z';
const FLIPS: NonNullable<Parameters<typeof toldExplanation>[0]['flips']> = {
  primary: 'legacy',
  epoch: 2,
  facts: [],
  goes_first: null,
  held: { person: 'ann', reason: 'a look first', at: AT },
  hold: { replica: 'replica-1', until: AT },
  failures: { failed: 3, reason: 'write_open', first_at: AT, last_at: AT, due_in_seconds: 40 },
  history: [],
  returns: [
    {
      rollback: 7,
      person: 'bob',
      reason: 'a drill',
      began_at: AT,
      state: 'waiting',
      failed: 2,
      obstacle: 'writes_wait',
      due_in_seconds: 0,
      returned_at: null,
      stopped_by: null,
      lost: 0,
    },
  ],
};

test('the summary shows failed flips, holds, and the return of the lane', () => {
  const text = toldExplanation({ ...EXPLANATION, flips: FLIPS });
  expect(text).toMatch(/3 flips failed since .*: write open\. The next attempt is due in 40 s/);
  expect(text).toMatch(/Further flips are held by ann since .*: a look first/);
  expect(text).toMatch(/New writes wait for the replica replica-1 until .* at most/);
  expect(text).toMatch(/7 .*bob: a drill +waiting +writes wait +2 +now/);
});

test('holds and failures that keep lanes on legacy say nothing of a flipped lane', () => {
  const text = toldExplanation({ ...EXPLANATION, flips: { ...FLIPS, primary: 'orchestrator' } });
  expect(text).not.toMatch(/flips failed|Further flips are held/);
  expect(text).toContain('New writes wait');
});
