import { expect, test } from 'vitest';
import { EqualLanes } from '../../../../src/engine/runs/lane-digests.ts';

const MEMBERS = { fields: ['text'], without: [], excludeTags: [] };
const lanes = new EqualLanes(MEMBERS);
const known = lanes.statesOf({ legacy: '1:a', orchestrator: { fingerprint: 'f' } });

test('a digest decides if there is one, whatever was known', () => {
  expect(lanes.isEqual({ legacy: '1:a', orchestrator: { digest: '1:a' }, known: undefined })).toBe(true);
  expect(lanes.isEqual({ legacy: '1:a', orchestrator: { digest: '1:b', fingerprint: 'f' }, known })).toBe(
    false,
  );
});

test('without a digest both sides must show what was once found equal', () => {
  const orchestrator = { fingerprint: 'f' };
  expect(lanes.isEqual({ legacy: '1:a', orchestrator, known })).toBe(true);
  expect(lanes.isEqual({ legacy: '1:b', orchestrator, known })).toBe(false);
  expect(lanes.isEqual({ legacy: '1:a', orchestrator: { fingerprint: 'g' }, known })).toBe(false);
  expect(lanes.isEqual({ legacy: '1:a', orchestrator, known: undefined })).toBe(false);
  expect(lanes.isEqual({ legacy: '1:a', orchestrator: undefined, known })).toBe(false);
});

test('a result from other members proves nothing', () => {
  const others = new EqualLanes({ ...MEMBERS, fields: ['text', 'role'] });
  expect(others.isEqual({ legacy: '1:a', orchestrator: { fingerprint: 'f' }, known })).toBe(false);
  // Then the orchestrator must digest the lane anew, however well it knows the fingerprint.
  expect(others.fingerprintIn(known)).toBeUndefined();
  expect(lanes.fingerprintIn(known)).toBe('f');
  expect(lanes.fingerprintIn(undefined)).toBeUndefined();
});
