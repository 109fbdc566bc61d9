import { expect, test } from 'vitest';
import { lostTable } from '../../../../src/operator/views/lost.ts';
import { tableText } from '../../../../src/operator/views/terminal.ts';
import { blocksOf } from '../../../support/guide-examples.ts';

const item = (owner: string, id: string) => ({
  service: 'session-memory',
  owner,
  memory_id: id,
  position: null,
  stored_at: '2026-01-01T00:00:00.000Z',
  shape: 'content: string(5)#1234',
  digest: '0123456789abcdef',
  found_at: '2026-01-02T00:00:00.000Z',
});

test('lost items are listed with their place in the lane, time and shape', () => {
  const old = { ...item('bob', 'm-9'), stored_at: null, shape: null };
  const lines = tableText(lostTable([item('ann', 'm-7'), item('ann', 'm-1'), old])).split('\n');
  expect(lines.map((line) => line.replaceAll(/ {2,}/g, '  '))).toEqual([
    'lane  item  stored  shape  memory id  found',
    'session-memory/ann  1/2  2026-01-01T00:00:00.000Z  content: string(5)#1234  m-7 (digest 0123456789ab)  2026-01-02T00:00:00.000Z',
    'session-memory/ann  2/2  2026-01-01T00:00:00.000Z  content: string(5)#1234  m-1 (digest 0123456789ab)  2026-01-02T00:00:00.000Z',
    'session-memory/bob  1/1  –  unknown  m-9 (digest 0123456789ab)  2026-01-02T00:00:00.000Z',
  ]);
});

test('the guide shows the list as it is printed', () => {
  const [shown = ''] = blocksOf('lost-items.md', 'text');
  expect(tableText(lostTable([item('ann', 'm-7'), item('ann', 'm-1')]))).toBe(shown.trimEnd());
});
