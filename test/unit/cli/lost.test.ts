import { expect, test } from 'vitest';
import { lostLines } from '../../../src/cli/lost.ts';
import { blocksOf } from '../../support/guide-examples.ts';

const item = (owner: string, id: string) => ({
  service: 'session-memory',
  owner,
  memory_id: id,
  stored_at: '2026-01-01T00:00:00.000Z',
  shape: 'content: string(5)#1234',
  found_at: '2026-01-02T00:00:00.000Z',
});

test('lost items are listed with their place in the lane, time and shape', () => {
  const old = { ...item('bob', 'm-9'), stored_at: null, shape: null };
  expect(lostLines([item('ann', 'm-7'), item('ann', 'm-1'), old])).toEqual([
    'session-memory/ann  1/2  2026-01-01T00:00:00.000Z  content: string(5)#1234  m-7  found 2026-01-02T00:00:00.000Z',
    'session-memory/ann  2/2  2026-01-01T00:00:00.000Z  content: string(5)#1234  m-1  found 2026-01-02T00:00:00.000Z',
    'session-memory/bob  1/1  time unknown  shape unknown  m-9  found 2026-01-02T00:00:00.000Z',
  ]);
});

test('the guide shows a line as it is printed', () => {
  const [shown = ''] = blocksOf('lost-items.md', 'text');
  expect(lostLines([item('ann', 'm-7'), item('ann', 'm-1')])).toContain(shown.trimEnd());
});
