import { expect, test } from 'vitest';
import type { ShownSurvey } from '../../../../src/operator/words.ts';
import { importSection, surveySection } from '../../../../src/operator/views/backfill.ts';
import { sectionText } from '../../../../src/operator/views/terminal.ts';

const none = { count: 0, owners: [] };
const NO_CONCERNS = {
  unreadable: none,
  about_to_be_forgotten: none,
  escaped_items: none,
  oversize_items: none,
  repeated_items: none,
  shortened_ids: none,
  times_going_backwards: none,
  unknown_times: none,
};

const SURVEY: ShownSurvey = {
  owners_from: 'store',
  lanes: 2,
  items: 1,
  content_bytes: 20_480,
  newest_at: '2026-01-01T00:00:00.000Z',
  concerns: { ...NO_CONCERNS, shortened_ids: { count: 1, owners: ['a'.repeat(600)] } },
  strays: { 'users whose id no lane can carry': 3, 'other users': 0 },
  to_embed: { items: 1, seconds_with_the_built_in_model: 600 },
};

const lines = (text: string): string[] =>
  text.split('\n').map((line) => line.replaceAll(/(?<=\S) {2,}/g, '  '));

test('a survey shows the counts and problems of a service', () => {
  expect(lines(sectionText(surveySection('jarvis-memory', SURVEY)))).toEqual([
    'jarvis-memory',
    '  2 lanes, 1 item, 20 KiB, the newest of 2026-01-01T00:00:00.000Z',
    '  1 item to embed: about 10 min with the built-in model',
    '  times  problem  owners',
    `      1  owners whose id is too long for a session: copied under a shortened id  ${'a'.repeat(59)}…`,
    '      3  users whose id no lane can carry: no lane shows them, so they stay on legacy  –',
  ]);
  const clean = { ...SURVEY, concerns: NO_CONCERNS, strays: {} };
  expect(lines(sectionText(surveySection('jarvis-memory', clean))).at(-1)).toBe('  No problems found');
  expect(sectionText(surveySection('session-memory', { not_listed: 'its file is not there' }))).toBe(
    'session-memory\n  ◆ Left out: its file is not there',
  );
});

test('an import lists what was left out and why, at most 100 entries', () => {
  const skipped = Array.from({ length: 110 }, (_, index) => ({
    owner: `s ${index}`,
    reason: 'its file is not whole',
  }));
  const imported = {
    digest: 'd1',
    skipped: [{ owner: 'ann', reason: 'longer than 1 MiB', items: 2 }, ...skipped],
    mapping: [{ from: 'memory', to: 'content.memory' }],
    samples: [{ owner: 'ann', items: 3, digest: 'f'.repeat(32), first_item: { memory: 'string(3)#1' } }],
  };
  const text = lines(sectionText(importSection('jarvis-memory', imported))).join('\n');
  expect(text).toMatch(
    /^jarvis-memory\n {2}Digest of all lanes: d1\n {2}left out {2}items {2}reason\n {2}ann {2}2 {2}longer than 1 MiB\n/,
  );
  expect(text).toContain(
    '\n  "s 98"  –  its file is not whole\n  and 11 more: crossfade runs show --json lists all\n',
  );
  expect(text).toContain('\n  How members were mapped\n    from  to\n    memory  content.memory\n');
  expect(text).toMatch(/\n {4}ann {2}3 {2}f{12} {2}memory string\(3\)#1$/);
});
